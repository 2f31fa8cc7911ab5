"""Decoded pictures on disk, found again by the content of their file; read through memory maps.

Shapes: ``N`` rows asked for, ``H`` and ``W`` pixels.
"""

from __future__ import annotations

import functools
import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopstill.core.config import plain
from shopstill.core.errors import DataError
from shopstill.core.fingerprint import fingerprint
from shopstill.data.chunk import Reject
from shopstill.data.images.decode import ImageForm, decoder

_PACK_BYTES = 1 << 26
_OPEN = 64

Place = tuple[Path, int]
Content = bytes


def content_of(file: bytes) -> Content:
    """16 bytes that name a file's content."""
    return hashlib.blake2b(file, digest_size=16).digest()


@dataclass(frozen=True, kw_only=True)
class Images:
    """Pictures of N rows, as they lie on disk.

    Attributes:
        form: their size, and how it was reached.
        places: where each row's pixels lie; None where it has no picture, or one that was rejected.
        contents: a name of each row's pixels, equal where two pictures look the same once decoded; None as above.
        missing: rows that name no picture.
        rejects: pictures that could not be used, each with its reason, in the order of rows.
    """

    form: ImageForm
    places: Sequence[Place | None]
    contents: Sequence[Content | None]
    missing: int
    rejects: tuple[Reject, ...]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def there_N(self) -> NDArray[np.bool_]:
        """Which rows have a picture."""
        return np.array([place is not None for place in self.places], bool)

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Pixels [n, H, W, 3] of some rows; white where a row has none."""
        pixels = np.full((len(rows), self.form.height, self.form.width, 3), 255, np.uint8)
        wanted: dict[Path, list[tuple[int, int]]] = {}
        for at, row in enumerate(rows):
            place = self.places[int(row)]
            if place:
                wanted.setdefault(place[0], []).append((at, place[1]))
        for path, pairs in wanted.items():
            at, within = np.array(pairs).T
            pixels[at] = opened(path)["pixels"][within]
        return pixels


class Packs:
    """A folder of packs: files of up to 64 MiB that hold pictures of one form, each under its content.

    A pack appears whole, under a name of its own, so that several processes may add to one folder.

    Args:
        folder: where packs of every form lie.
        form: the form of these.
    """

    def __init__(self, folder: Path, form: ImageForm) -> None:
        self._folder = folder / fingerprint([plain(form), decoder()])[:16]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._kind = _kind(form)
        self.rows = max(_PACK_BYTES // self._kind.itemsize, 1)
        self.places: dict[Content, Place] = {}
        for path in sorted(self._folder.glob("*.npy")):
            self._enter(path, opened(path))

    def looks(self, contents: Sequence[Content | None]) -> Iterator[Content | None]:
        """A name of the pixels behind each content."""
        for content in contents:
            place = self.places[content] if content else None
            yield opened(place[0])["look"][place[1]].tobytes() if place else None

    def add(self, contents: Sequence[Content], pixels: Sequence[NDArray[np.uint8]]) -> None:
        """Write pictures as one pack."""
        if not contents:
            return
        pack = np.empty(len(contents), self._kind)
        pack["content"] = np.frombuffer(b"".join(contents), np.uint8).reshape(-1, 16)
        for row, picture in enumerate(pixels):
            pack["pixels"][row] = picture
            pack["look"][row] = np.frombuffer(content_of(picture.tobytes()), np.uint8)
        path = self._folder / f"{content_of(b''.join(contents)).hex()}.npy"
        aside = path.with_suffix(f".{uuid.uuid4().hex}.draft")
        with aside.open("wb") as file:
            np.save(file, pack, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        self._enter(path, pack)

    def _enter(self, path: Path, pack: NDArray[np.void]) -> None:
        if pack.dtype != self._kind:
            raise DataError(f"{path}: is no pack of {self._kind['pixels'].shape} pictures; delete it")
        for row, content in enumerate(np.ascontiguousarray(pack["content"])):
            self.places.setdefault(content.tobytes(), (path, row))


@functools.lru_cache(maxsize=_OPEN)
def opened(path: Path) -> NDArray[np.void]:
    """A pack, mapped into memory.

    Raises:
        DataError: it is damaged.
    """
    try:
        pack = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as cause:
        raise DataError(f"{path}: is no whole pack of pictures ({cause}); delete it, and it is made anew") from None
    return pack


def _kind(form: ImageForm) -> np.dtype[np.void]:
    sides = (form.height, form.width, 3)
    return np.dtype([("content", np.uint8, (16,)), ("look", np.uint8, (16,)), ("pixels", np.uint8, sides)])
