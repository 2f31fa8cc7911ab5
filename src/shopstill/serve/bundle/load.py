"""``load_bundle``: a bundle, verified and ready to score, without torch.

Shapes: ``N`` pairs or candidates, ``K`` outputs, ``F`` lexical features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from shopstill import __version__
from shopstill.core.errors import ArtifactError, DataError
from shopstill.data.lexical import FEATURES, LexicalIndex
from shopstill.data.tokens import TextTokenizer
from shopstill.data.vectors import Vectors
from shopstill.serve.bundle import manifest as form
from shopstill.serve.bundle import stored
from shopstill.serve.bundle.cross import Cross, CrossAhead
from shopstill.serve.bundle.history import HistoryBundle
from shopstill.serve.bundle.label import LabelBundle
from shopstill.serve.bundle.manifest import Manifest
from shopstill.serve.bundle.scan import Wanted
from shopstill.serve.bundle.sessions import Sessions
from shopstill.serve.bundle.texts import text_of
from shopstill.serve.bundle.towers import Towers, TowersAhead


class Bundle:
    """A model as it is served.

    Args:
        folder: where it lies.
        manifest: what it states.
        threads: pieces of work of a request that may run at once.
    """

    def __init__(self, folder: Path, manifest: Manifest, threads: int) -> None:
        self.folder, self.manifest = folder, manifest
        tokenizer = TextTokenizer(folder / form.TOKENIZER)
        sessions = Sessions(folder, manifest.graphs)
        limits = manifest.limits
        self._cross = self._towers = None
        if "pair" in limits:
            self._cross = Cross(sessions, tokenizer, limits["pair"], manifest.outputs, threads)
        if "query" in limits:
            lexical = LexicalIndex.load(folder / form.LEXICAL) if manifest.features else None
            self._towers = Towers(sessions, tokenizer, limits, lexical)

    def ahead(self, products: Sequence[str | None]) -> Ahead:
        """Everything about some products done ahead of time: tokenised, encoded, their words packed.

        Where the manifest states a codec, their vectors are kept by it: scores then differ a little from ``score``.
        """
        texts = [text_of(product, "product", at) for at, product in enumerate(products)]
        parts: list[CrossAhead | TowersAhead] = []
        if self._cross is not None:
            parts.append(CrossAhead(self._cross, self._cross.tokenizer.encode(texts)))
        if self._towers is not None:
            parts.append(TowersAhead.of(self._towers, texts, self.manifest.vectors))
        return Ahead(parts, len(texts), self.manifest.outputs)

    @property
    def towers(self) -> Towers | None:
        """The towers, where the model has some: what finds products, and does not only order them."""
        return self._towers

    def read_ahead(self, folder: Path) -> Ahead:
        """Products that ``Ahead.write`` put into a folder, mapped into memory.

        Raises:
            ArtifactError: there are none, or they are torn.
        """
        parts: list[CrossAhead | TowersAhead] = []
        if self._cross is not None:
            parts.append(stored.read_cross(folder, self._cross))
        if self._towers is not None:
            parts.append(stored.read_towers(folder, self._towers, self.manifest.vectors))
        return Ahead(parts, stored.count(folder), self.manifest.outputs)

    def products(self) -> tuple[list[str], Ahead]:
        """The ids of the products that the bundle brings along, in order, and these products ready to be scored.

        Raises:
            ArtifactError: it brings none.
        """
        folder = self.folder / form.PRODUCTS
        if not folder.is_dir():
            raise ArtifactError(f"{self.folder}: brings no products along; use ahead, or export it with its products")
        return stored.read_ids(folder), self.read_ahead(folder)

    def score(self, pairs: Sequence[tuple[str | None, str | None]]) -> np.ndarray:
        """Scores [N], or [N, K] where there are several, of pairs (query, product); a missing text is an empty one.

        Raises:
            DataError: a text is neither a string nor missing.
        """
        queries, query_N = _distinct([text_of(query, "query", at) for at, (query, _) in enumerate(pairs)])
        products, product_N = _distinct([text_of(product, "product", at) for at, (_, product) in enumerate(pairs)])
        out = _nothing(len(pairs), self.manifest.outputs)
        if self._cross is not None:
            encode = self._cross.tokenizer.encode
            out = out + self._cross.score(encode(queries), encode(products), query_N, product_N)
        if self._towers is not None and len(pairs):
            out = out + self._apart(queries, products, query_N, product_N)
        return out

    def _apart(self, queries: list[str], products: list[str], query_N: np.ndarray, product_N: np.ndarray) -> np.ndarray:
        assert self._towers is not None
        ahead = TowersAhead.of(self._towers, products)
        out = _nothing(len(query_N), 1)
        order = np.argsort(query_N, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(query_N[order])) + 1):
            out[rows] = ahead.score(queries[query_N[rows[0]]], product_N[rows])
        return out


class Ahead:
    """A bundle with everything about some products done."""

    def __init__(self, parts: Sequence[CrossAhead | TowersAhead], products: int, outputs: int) -> None:
        self.parts, self._products, self._outputs = parts, products, outputs

    def __len__(self) -> int:
        return self._products

    @property
    def vectors(self) -> np.ndarray | Vectors | None:
        """The products' pooled vectors [P, D], where the model has towers."""
        return next((part.products.pooled_PD for part in self.parts if isinstance(part, TowersAhead)), None)

    def pooled(self, candidates: np.ndarray) -> np.ndarray:
        """Some products' pooled vectors [N, D]."""
        return next(part.products.pooled(candidates) for part in self.parts if isinstance(part, TowersAhead))

    def write(self, folder: Path) -> None:
        """Write everything about the products into a folder; ``Bundle.read_ahead`` reads it."""
        stored.write(folder, self._products, self.parts)

    def extend(self, products: Sequence[str | None]) -> None:
        """Add products; those that were there keep their places, and who scores them meanwhile is not disturbed."""
        texts = [text_of(product, "product", at) for at, product in enumerate(products)]
        for part in self.parts:
            part.extend(texts)
        self._products += len(texts)

    def score(self, query: str | None, candidates: ArrayLike, lexical: ArrayLike | None = None) -> np.ndarray:
        """Scores [N] or [N, K] of some of the products for a query.

        Args:
            query: what was typed; None and NaN count as nothing.
            candidates: positions of products.
            lexical: [N, F] lexical features where they were worked out elsewhere; NaN where one is not known.

        Raises:
            IndexError: a position is out of range.
            DataError: the query is not a text, or the features are not of this shape.
        """
        rows = np.asarray(candidates, np.int64)
        if not rows.size:
            return _nothing(0, self._outputs)
        if rows.min() < 0 or rows.max() >= self._products:
            raise IndexError(f"candidates: {rows.min()} to {rows.max()}, where there are {self._products} products")
        text, given = text_of(query, "query", 0), _features(lexical, len(rows))
        found = [part.score(text, rows, given) for part in self.parts]
        return found[0] if len(found) == 1 else np.add(*found)


AnyBundle = Bundle | HistoryBundle | LabelBundle

_DOES: dict[type[AnyBundle], str] = {
    Bundle: "that scores texts",
    HistoryBundle: "of histories",
    LabelBundle: "of classes",
}
_SERVED: dict[type[AnyBundle], str] = {HistoryBundle: "--recommend", LabelBundle: "--categorise"}
"""Options of the server that load a bundle beside the search."""


def load_bundle(path: str | Path, threads: int = 1) -> AnyBundle:
    """A bundle, every file of it held to its SHA-256, ready to answer.

    Args:
        path: the bundle's folder.
        threads: threads that one request may use; one is best where several requests come at once.

    Raises:
        ArtifactError: there is none, a later version wrote it, or a file is missing, torn, changed or not listed.
    """
    folder = Path(path)
    manifest = form.read(folder)
    if manifest.kind in form.HISTORIES:
        return HistoryBundle(folder, manifest, max(1, threads))
    if manifest.kind in form.LABELS:
        return LabelBundle(folder, manifest, max(1, threads))
    return _texts(folder, manifest, max(1, threads))


def load_texts(path: str | Path, threads: int = 1) -> Bundle:
    """A bundle that scores queries with products.

    Raises:
        ArtifactError: as ``load_bundle``, or it is for something else.
    """
    return _load(path, threads, Bundle)


def load_history(path: str | Path, threads: int = 1) -> HistoryBundle:
    """A bundle that recommends items from a history.

    Raises:
        ArtifactError: as ``load_bundle``, or it is for something else.
    """
    return _load(path, threads, HistoryBundle)


def load_label(path: str | Path, threads: int = 1) -> LabelBundle:
    """A bundle that puts products into classes.

    Raises:
        ArtifactError: as ``load_bundle``, or it is for something else.
    """
    return _load(path, threads, LabelBundle)


B = TypeVar("B", Bundle, HistoryBundle, LabelBundle)


def _load(path: str | Path, threads: int, wanted: type[B]) -> B:
    found = load_bundle(path, threads)
    if isinstance(found, wanted):
        return found
    option = _SERVED.get(type(found))
    raise ArtifactError(
        f"{path}: a model {_DOES[type(found)]} ({found.manifest.kind}), and a model {_DOES[wanted]} is asked for; "
        f"name a bundle of one{f', or serve this one with {option}' if option else ''}"
    )


def _texts(folder: Path, manifest: Manifest, threads: int) -> Bundle:
    if manifest.features and manifest.features != list(FEATURES):
        raise ArtifactError(
            f"{folder}: takes other lexical features than shopstill {__version__} computes; "
            f"install shopstill=={manifest.shopstill}, or export the model again"
        )
    return Bundle(folder, manifest, threads)


def _features(lexical: ArrayLike | None, rows: int) -> np.ndarray | None:
    if lexical is None:
        return None
    given = np.asarray(lexical, np.float32)
    if given.shape != (rows, len(FEATURES)):
        raise DataError(f"lexical: has shape {given.shape}; give [{rows}, {len(FEATURES)}], a row a candidate")
    return given


def _distinct(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Each text once, and which of them each was."""
    place: dict[str, int] = {}
    rows = np.fromiter((place.setdefault(text, len(place)) for text in texts), np.int64, len(texts))
    return list(place), rows


def _nothing(rows: int, outputs: int) -> np.ndarray:
    return np.zeros(rows if outputs == 1 else (rows, outputs), np.float32)


def answer_once(folder: str, query: str, products: Sequence[str]) -> None:
    """Load a bundle and score a query with all products, as a process would that does nothing else."""
    load_texts(folder).ahead(products).score(query, np.arange(len(products)))


def recommend_once(folder: str, history: Sequence[int]) -> None:
    """Load a bundle and answer one history of item numbers, as a process would that does nothing else."""
    load_history(folder).best([np.array(history, np.int64)], Wanted(limit=10, seen=True))


def categorise_once(folder: str, text: str) -> None:
    """Load a bundle and answer one product, as a process would that does nothing else: a text, a picture of noise."""
    bundle = load_label(folder)
    pixels = None
    if bundle.reads_pictures:
        sides = (1, bundle.form.height, bundle.form.width, 3)
        pixels = np.random.default_rng(0).integers(0, 256, sides, np.uint8)
    bundle.classify([text] if bundle.reads_texts else None, pixels)
