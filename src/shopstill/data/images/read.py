"""Read the pictures of many products, each decoded once."""

from __future__ import annotations

import logging
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopstill.core.progress import progress
from shopstill.data.chunk import Reject
from shopstill.data.images.decode import ImageFault, ImageForm, ImageLimits, decode
from shopstill.data.images.files import Pictures
from shopstill.data.images.packs import Content, Images, Packs, content_of

log = logging.getLogger(__name__)

_WINDOW = 256
_THREADS = 4

Pixels = NDArray[np.uint8]
Found = tuple[Content, Pixels | None] | ImageFault


def read_images(
    images: Sequence[str | None],
    form: ImageForm,
    cache: Path,
    *,
    root: Path | None = None,
    limits: ImageLimits | None = None,
    threads: int | None = None,
) -> Images:
    """Find, decode and keep the pictures of a table's rows; those that the cache holds are not decoded again.

    A picture that cannot be used is a reject and stops nothing. Memory holds a pack of pictures (64 MiB) and some 100
    bytes a row, however many there are.

    Args:
        images: the column ``image``: paths, or ``archive.zip!/member``; None where a row has none.
        form: the size, and how it is reached.
        cache: the folder that keeps pixels; made if need be, and good for any number of shops and forms.
        root: the folder in which relative paths are looked for first, such as ``shop.path``.
        limits: what a picture may cost; the defaults when None.
        threads: how many decode at a time; as many as there are processors, up to 4, when None.

    Raises:
        DataError: the cache is damaged.
        MissingDependency: Pillow is not installed.
    """
    packs = Packs(cache, form)
    gathered = _Gathered(packs)
    workers = threads or min(_THREADS, os.cpu_count() or 1)
    with _quiet(), Pictures(root) as files, ThreadPoolExecutor(workers) as pool:
        one = _reader(files, gathered, form, limits or ImageLimits())
        for window in _windows(images):
            for image, found in zip(window, pool.map(one, window), strict=True):
                gathered.take(image, found)
    return gathered.finish(form)


def _windows(images: Sequence[str | None]) -> Iterator[Sequence[str | None]]:
    """Parts that are waited for, so that what is decoded does not run away from what is written."""
    with progress("reading pictures", len(images), "pictures") as bar:
        for begin in range(0, len(images), _WINDOW):
            window = images[begin : begin + _WINDOW]
            yield window
            bar.advance(len(window))


@contextmanager
def _quiet() -> Iterator[None]:
    # Pillow warns of notes that cannot be read in pictures that can.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _reader(
    files: Pictures, gathered: _Gathered, form: ImageForm, limits: ImageLimits
) -> Callable[[str | None], Found | None]:
    """What a thread does with one picture."""

    def read(image: str | None) -> Found | None:
        if image is None:
            return None
        try:
            file = files.read(image, limits.file_bytes)
            content = content_of(file)
            return content, None if gathered.has(content) else decode(file, form, limits)
        except ImageFault as fault:
            return fault

    return read


class _Gathered:
    """Rows as they come, and pictures until there are enough for a pack."""

    def __init__(self, packs: Packs) -> None:
        self._packs = packs
        self._contents: list[Content | None] = []
        self._rejects: list[Reject] = []
        self._waiting: dict[Content, Pixels] = {}
        self._missing = 0

    def has(self, content: Content) -> bool:
        """Whether a picture of this content was decoded before."""
        return content in self._waiting or content in self._packs.places

    def take(self, image: str | None, found: Found | None) -> None:
        """Count one row."""
        content = None
        if isinstance(found, ImageFault):
            name = str(image)
            reject = Reject(file=name, line=None, table="products", field="image", value=name, reason=str(found))
            self._rejects.append(reject)
        elif found is None:
            self._missing += 1
        else:
            content, pixels = found
            if pixels is not None and not self.has(content):
                self._waiting[content] = pixels
        self._contents.append(content)
        if len(self._waiting) >= self._packs.rows:
            self._write()

    def finish(self, form: ImageForm) -> Images:
        """All rows, with what is left written."""
        self._write()
        if self._rejects:
            kinds = Counter(reject.reason.partition(":")[0] for reject in self._rejects)
            counted = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
            log.warning("%d pictures are left out (%s); the first: %s", len(self._rejects), counted, self._rejects[0])
        return Images(
            form=form,
            places=[self._packs.places[content] if content else None for content in self._contents],
            contents=list(self._packs.looks(self._contents)),
            missing=self._missing,
            rejects=tuple(self._rejects),
        )

    def _write(self) -> None:
        # Between has() and here a thread may ask again; it then decodes in vain, and take() drops it.
        self._packs.add(list(self._waiting), list(self._waiting.values()))
        self._waiting = {}
