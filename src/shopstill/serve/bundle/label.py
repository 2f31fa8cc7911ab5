"""A product's text, picture, or both to its class. Texts and ready pixels need numpy alone; files need Pillow.

Shapes: ``N`` products, ``B`` of them at once, ``H`` × ``W`` pixels, ``T`` ids of the longest text, ``K`` classes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopstill.core.errors import ArtifactError, DataError
from shopstill.data.images import ImageFault, ImageForm, ImageLimits, decode
from shopstill.data.images.files import Pictures
from shopstill.data.reading import read_texts
from shopstill.data.tokens import Ragged, TextTokenizer, padded
from shopstill.serve.bundle import manifest as form
from shopstill.serve.bundle.cross import pieces
from shopstill.serve.bundle.manifest import Manifest
from shopstill.serve.bundle.sessions import Sessions
from shopstill.serve.bundle.texts import text_of

_GRAPH, _PIXELS, _IDS, _MASK, _LOGITS = "classes", "image_BHWC", "ids_BT", "mask_BT", "logits"
_CALL_IDS, _PIECE_IDS = 60, 4096
_AT_ONCE = 16
"""Pictures of a run: with more, what a large network makes of them leaves the processor's cache on its way to the next
operator; with fewer, a small one pays for each run."""

Pixels = NDArray[np.uint8]
Cut = Callable[[np.ndarray], dict[str, np.ndarray]]


class WrongPicture(DataError):
    """One of several pictures cannot be used: ``at`` its place, ``reason`` why."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(f"picture {at}: {reason}")
        self.at, self.reason = at, reason


class LabelBundle:
    """A model of classes as it is served.

    Args:
        folder: where it lies.
        manifest: what it states.
        threads: pieces of several products that may run at once.

    Attributes:
        classes: their names, in the order of the logits.
        tokenizer: of its texts; None where it reads no tokens.

    Raises:
        ArtifactError: its classes cannot be read, or its parts do not fit each other.
    """

    def __init__(self, folder: Path, manifest: Manifest, threads: int = 1) -> None:
        self.folder, self.manifest = folder, manifest
        self.classes = _read_classes(folder, manifest)
        self._reading, self._form = manifest.reading, manifest.pictures
        tokens = self._reading is not None and self._reading.tokens
        self.tokenizer = TextTokenizer(folder / form.TOKENIZER) if tokens else None
        self._sessions = Sessions(folder, manifest.graphs)
        self._pool = ThreadPoolExecutor(threads, "shopstill-label") if threads > 1 else None

    @property
    def reads_texts(self) -> bool:
        """Whether it reads texts."""
        return self._reading is not None

    @property
    def reads_pictures(self) -> bool:
        """Whether it looks at pictures."""
        return self._form is not None

    def best(
        self, texts: Sequence[str | None] | None = None, pixels: Pixels | None = None, *, limit: int = 5
    ) -> list[list[tuple[str, float]]]:
        """Of each product the classes that are most likely, with their probabilities, the likeliest first.

        Raises:
            DataError: as ``logits``.
        """
        likely_NK = self.classify(texts, pixels)
        order_NK = np.argsort(-likely_NK, axis=1, kind="stable")[:, : max(0, limit)]
        both = zip(likely_NK, order_NK, strict=True)
        return [[(self.classes[k], float(row[k])) for k in first] for row, first in both]

    def classify(self, texts: Sequence[str | None] | None = None, pixels: Pixels | None = None) -> np.ndarray:
        """Probabilities [N, K] of the classes.

        Raises:
            DataError: as ``logits``.
        """
        logit_NK = self.logits(texts, pixels).astype(np.float64)
        likely_NK = np.exp(logit_NK - logit_NK.max(1, keepdims=True))
        likely_NK /= likely_NK.sum(1, keepdims=True)
        return likely_NK

    def logits(self, texts: Sequence[str | None] | None = None, pixels: Pixels | None = None) -> np.ndarray:
        """Logits [N, K] of products.

        Args:
            texts: one a product, for a model that reads some; a missing one is an empty one.
            pixels: [N, H, W, 3] of uint8, for a model that looks at pictures; ``pixels()`` makes them.

        Raises:
            DataError: what the model reads is missing, of another kind or number, or it reads no such thing.
        """
        read, seen = self._texts(texts), self._pictures(pixels)
        counts = {len(part) for part in (read, seen) if part is not None}
        if len(counts) > 1:
            raise DataError(f"texts and pixels: of {sorted(counts)} products; give both of each")
        return self._run(self._read(read), seen, counts.pop())

    def pixels(self, pictures: Sequence[bytes | str | Path | None], limits: ImageLimits | None = None) -> Pixels:
        """Pictures as the model sees them: [N, H, W, 3] of uint8.

        Args:
            pictures: files' bytes; or paths, or ``archive.zip!/member``; None for a product without one, which is
                white, as it was in training.
            limits: what a picture may cost; the defaults when None.

        Raises:
            WrongPicture: a picture cannot be used; which one, and why.
            DataError: the model looks at none.
            MissingDependency: Pillow is not installed.
        """
        wanted, limits = self.form, limits or ImageLimits()
        found = np.full((len(pictures), wanted.height, wanted.width, 3), 255, np.uint8)
        with Pictures() as files:
            for at, picture in enumerate(pictures):
                if picture is None:
                    continue
                try:
                    content = picture if isinstance(picture, bytes) else files.read(str(picture), limits.file_bytes)
                    found[at] = decode(content, wanted, limits)
                except ImageFault as fault:
                    raise WrongPicture(at, str(fault)) from None
        return found

    @property
    def form(self) -> ImageForm:
        """How a picture becomes pixels.

        Raises:
            DataError: the model looks at none.
        """
        if self._form is None:
            raise DataError(f"{self.manifest.name}: reads texts alone; leave pictures out")
        return self._form

    def _texts(self, texts: Sequence[str | None] | None) -> list[str] | None:
        if (texts is not None) is not self.reads_texts:
            told = "reads texts; give some" if self.reads_texts else "looks at pictures alone; leave texts out"
            raise DataError(f"{self.manifest.name}: {told}")
        return None if texts is None else [text_of(text, "text", at) for at, text in enumerate(texts)]

    def _pictures(self, pixels: Pixels | None) -> Pixels | None:
        if pixels is None:
            if self.reads_pictures:
                raise DataError(f"{self.manifest.name}: looks at pictures; give pixels, which pixels() makes of files")
            return None
        wanted = self.form
        found = np.asarray(pixels)
        if found.dtype != np.uint8 or found.ndim != 4 or found.shape[1:] != (wanted.height, wanted.width, 3):
            raise DataError(
                f"pixels: {found.dtype} of shape {found.shape}; give uint8 [N, {wanted.height}, {wanted.width}, 3], "
                "which pixels() makes of files"
            )
        return found

    def _read(self, texts: list[str] | None) -> Ragged | None:
        if texts is None or self._reading is None:
            return None
        return read_texts(texts, self.tokenizer, self._reading)

    def _run(self, read: Ragged | None, pixels: Pixels | None, count: int) -> np.ndarray:
        """Products in pieces: by the length of their texts, few pictures at once."""
        length_N = np.ones(count, np.int32) if read is None else np.maximum(read.length_N, 1)
        order = np.argsort(length_N, kind="stable")
        if pixels is None:
            cuts = pieces(length_N[order], _CALL_IDS, _PIECE_IDS)
        else:
            cuts = [slice(at, min(at + _AT_ONCE, count)) for at in range(0, count, _AT_ONCE)]

        def run(cut: slice) -> np.ndarray:
            rows = order[cut]
            given: dict[str, np.ndarray] = {} if pixels is None else {_PIXELS: np.ascontiguousarray(pixels[rows])}
            if read is not None:
                given |= rectangle(read.take(rows), self.tokenizer)
            return self._sessions.run(_GRAPH, given)[0]

        out = np.empty((count, len(self.classes)), np.float32)
        found = list((self._pool.map if self._pool else map)(run, cuts))
        if found:
            out[order] = np.concatenate(found)
        return out


def rectangle(read: Ragged, tokenizer: TextTokenizer | None, more: int = 0) -> dict[str, np.ndarray]:
    """Texts side by side as the graph takes them: a place at least, and ``more`` that are needless."""
    ids_BT, mask_BT = padded(read, 0 if tokenizer is None else tokenizer.pad)
    spare = max(more, 1 - ids_BT.shape[1])
    if spare > 0:
        ids_BT, mask_BT = (np.pad(part, ((0, 0), (0, spare))) for part in (ids_BT, mask_BT))
    return {_IDS: ids_BT, _MASK: mask_BT}


def _read_classes(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    """Names of the classes, as many as the graph has logits."""
    path = folder / form.CLASSES
    graph = manifest.graphs.get(_GRAPH)
    reads = {name for name, there in ((_PIXELS, manifest.pictures), (_IDS, manifest.reading)) if there is not None}
    if graph is None or not reads or set(graph.inputs) != reads | ({_MASK} if _IDS in reads else set()):
        raise ArtifactError(f"{folder}: needs the graph {_GRAPH!r}, and how what it reads is made; export it again")
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise ArtifactError(f"{path}: not readable ({cause}); export the model again") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ArtifactError(f"{path}: is no list of names; export the model again")
    shape = next(iter(graph.outputs.values())).shape
    if shape[-1] != len(names):
        raise ArtifactError(f"{path}: names {len(names):,} classes, the graph has {shape[-1]}; export the model again")
    return tuple(names)
