"""Exact lexical features of (query, product) pairs: what a student's small head is given beside embeddings.

Everything about a product is packed ahead of time into one row of 32-bit words, and everything about a pair is worked
out on bit masks of title positions, so that a hundred candidates cost a few dozen small numpy operations.

Shape legend: ``N`` pairs or candidates, ``F`` features, ``W`` words of a packed row, ``G`` distinct queries.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shopstill.core.errors import ArtifactError
from shopstill.core.mapped import mapped
from shopstill.core.progress import progress
from shopstill.data.bm25 import K1, B
from shopstill.data.lexical_kernel import (
    FEATURES,
    GRID,
    QUERY_TOKENS,
    TITLE_TOKENS,
    Fact,
    Queries,
    Query,
    Title,
    pair_features,
)
from shopstill.data.terms import GRAM_BITS, Kind, Term, joined, noun_place, parts, term

__all__ = ["FEATURES", "LexicalIndex"]

_ARRAYS, _REST = "lexical.safetensors", "lexical.json"
_FORMAT = 1
_ROWS_AT_ONCE = 8192
_PAIRS_AT_ONCE = 4096
_EVERYWHERE = 0xFFFFFFFF
_RECORDS_KEPT = 1 << 17

_RECORD = np.dtype([("idf", "<f4"), ("scale", "<f4"), ("grams", "<u8", (GRAM_BITS // 64,))])
# For numbers_found, measures_found, measures_against and models_found. A measure found takes back what its unit gives.
_COUNTS_FOR = {
    Kind.NUMBER: [(1, 0, 0, 0)],
    Kind.MEASURE: [(0, 1, -1, 0), (0, 0, 1, 0)],
    Kind.MODEL: [(0, 0, 0, 1)],
}
_NO_FIGURES = (np.zeros((0, 1), np.uint32), np.zeros((4, 0, 1), np.float32), np.ones((4, 1), np.float32))


class LexicalIndex:
    """The products of a catalogue, packed for exact matching.

    Rarity is ``idf(t) = ln(1 + (n − df + 0.5) / (df + 0.5)) / ln(1 + (n + 0.5) / 0.5)``, in (0, 1], over the catalogue
    that the index was built from; a token that no product holds has 1. It is rounded to multiples of 1/1024, so that
    sums are exact and ``features`` and ``pairs`` agree to the last bit. Titles count up to 32 tokens, queries up to 16.

    >>> index = LexicalIndex.build(["red mug with lid", "blue chair, 18 in."])
    >>> found = index.features("red mugs", [0, 1])[:, FEATURES.index("found")]
    >>> found.tolist()
    [1.0, 0.0]
    """

    def __init__(
        self, rows_NW: NDArray[np.uint32], codes: NDArray[np.uint32], idf: NDArray[np.float32], average: float
    ) -> None:
        self._rows = rows_NW
        self._codes, self._idf = codes, idf
        self._average = average
        self._records: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @classmethod
    def build(cls, texts: Iterable[str]) -> LexicalIndex:
        """Pack a catalogue: one text a product, such as its title."""
        rows = _pack(texts)
        codes, idf = _idf(rows[:, Title.tokens])
        average = float(rows[:, Title.facts].view(np.float32)[:, Fact.size].mean()) if len(rows) else 1.0
        index = cls(rows, codes, idf, average)
        index._complete(0)
        return index

    def others(self, texts: Iterable[str]) -> LexicalIndex:
        """An index of other products with this one's rarity and average length, so that features mean the same."""
        index = LexicalIndex(self._rows[:0], self._codes, self._idf, self._average)
        index.extend(texts)
        return index

    def extend(self, texts: Iterable[str]) -> range:
        """Add products that came later; rarity and average length stay those of ``build``. Returns their rows."""
        before = len(self)
        self._rows = np.concatenate([self._rows, _pack(texts)])
        self._complete(before)
        return range(before, len(self))

    def features(self, query: str, candidates: ArrayLike) -> NDArray[np.float32]:
        """``features_NF`` of one query and N rows, for serving; columns as in ``FEATURES``.

        Raises:
            IndexError: a row is out of range.
        """
        return pair_features(self._query(query), self._rows.take(np.asarray(candidates, np.int64), axis=0))

    def pairs(self, queries: Sequence[str], query_index: ArrayLike, product_index: ArrayLike) -> NDArray[np.float32]:
        """``features_NF`` of N pairs, each a position in ``queries`` and a row, for training.

        Raises:
            IndexError: a position or row is out of range.
        """
        asked, query_N = np.unique(np.asarray(query_index, np.int64), return_inverse=True)
        row_N = np.asarray(product_index, np.int64)
        out_NF = np.empty((len(query_N), len(FEATURES)), np.float32)
        read = [self._query(queries[place]) for place in asked]
        width_G = np.array([len(query.idf) for query in read], np.int64)
        with progress("lexical features", len(query_N), "pairs") as bar:
            for width in np.unique(width_G[query_N]):
                alike = np.flatnonzero(width_G == width)
                together = Queries.of([read[place] for place in alike])
                chosen = np.flatnonzero(width_G[query_N] == width)
                for start in range(0, len(chosen), _PAIRS_AT_ONCE):
                    at = chosen[start : start + _PAIRS_AT_ONCE]
                    columns = together.at(np.searchsorted(alike, query_N[at]))
                    out_NF[at] = pair_features(columns, self._rows.take(row_N[at], axis=0))
                    bar.advance(len(at))
        return out_NF

    def save(self, folder: Path) -> None:
        """Write the index into a folder: arrays as safetensors, the rest as JSON."""
        from safetensors.numpy import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"rows": self._rows, "codes": self._codes, "idf": self._idf}, folder / _ARRAYS)
        stated = {"format": _FORMAT, "average": self._average, "features": FEATURES}
        (folder / _REST).write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> LexicalIndex:
        """Read an index that ``save`` wrote.

        Raises:
            ArtifactError: there is none, or it was made for other features.
        """
        folder = Path(folder)
        try:
            stated = json.loads((folder / _REST).read_text(encoding="utf-8"))
            arrays = mapped(folder / _ARRAYS)
        except (FileNotFoundError, json.JSONDecodeError) as cause:
            raise ArtifactError(f"{folder}: no readable lexical index here ({cause}); build it again") from None
        if (stated.get("format"), stated.get("features")) != (_FORMAT, list(FEATURES)):
            raise ArtifactError(f"{folder / _REST}: was made for other features than this version has; build it again")
        return cls(arrays["rows"], arrays["codes"], arrays["idf"], stated["average"])

    def _complete(self, start: int) -> None:
        """Fill in what needs the whole catalogue: BM25's share of length, and the rarity of the noun."""
        rows = self._rows[start:]
        facts = rows[:, Title.facts].view(np.float32)
        facts[:, Fact.norm] = K1 * (1 - B + B * facts[:, Fact.size] / self._average)
        noun = rows[np.arange(len(rows)), facts[:, Fact.noun].astype(np.int64) - 1]
        facts[:, Fact.noun_idf] = self._rarity(noun)

    def _rarity(self, codes: NDArray[np.uint32]) -> NDArray[np.float32]:
        place = np.searchsorted(self._codes, codes)
        return np.where(self._codes[place] == codes, self._idf[place], np.float32(1)) * (codes != 0)

    def _query(self, text: str) -> Queries:
        about, aside = parts(text)
        tokens = (about + aside)[:QUERY_TOKENS] or [""]
        terms = [term(token) for token in tokens]
        records = np.frombuffer(b"".join([self._record(token) for token in tokens]), _RECORD)
        probe = [t.code for t in terms] + [joined(one, two) for one, two in pairwise(tokens)]
        idf = records["idf"]
        noun = max(noun_place(terms, min(len(about), len(terms))), 0)
        # An empty query is one token that nothing holds.
        total, size = float(np.add.reduce(idf)) or 1.0, len(tokens)
        kinds = [t.kind for t in terms]
        numbers, models = min(kinds.count(Kind.NUMBER), 4), min(kinds.count(Kind.MODEL), 4)
        shown = size / QUERY_TOKENS, total / size, float(idf[noun]), numbers / 4, models / 4
        return Queries(
            np.array(probe, np.uint32)[:, None],
            idf[:, None],
            records["scale"][:, None],
            records["grams"][:, None],
            np.array([noun]),
            Query.floats(shown, size, total),
            *(_figures(terms) if any(kinds) else _NO_FIGURES),
        )

    def _record(self, token: str) -> bytes:
        """What the index knows of a query's token, as bytes of ``_RECORD``."""
        kept = self._records.get(token)
        if kept is None:
            if len(self._records) >= _RECORDS_KEPT:
                self._records.clear()
            found = term(token)
            idf = self._rarity(np.array([found.code], np.uint32))[0] * bool(token)
            scale = GRID / max(found.gram_count, 1)
            kept = np.array([(idf, scale, np.frombuffer(found.grams, "<u8"))], _RECORD).tobytes()
            self._records[token] = kept
        return kept


def _figures(terms: list[Term]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Digests [M, 1] of a query's figures, what they count for [4, M, 1], and the shares' denominators [4, 1]."""
    codes: list[int] = []
    groups: list[tuple[int, int, int, int]] = []
    for t in terms:
        if t.kind != Kind.WORD:
            codes += t.figures
            groups += _COUNTS_FOR[t.kind]
    chosen = np.array(groups, np.float32).T[:, :, None]
    return np.array(codes, np.uint32)[:, None], chosen, np.maximum((chosen > 0).sum(axis=1), 1).astype(np.float32)


def _pack(texts: Iterable[str]) -> NDArray[np.uint32]:
    source = iter(texts)
    pieces = []
    while piece := list(islice(source, _ROWS_AT_ONCE)):
        pieces.append(_pack_rows(piece))
    return np.concatenate(pieces) if pieces else np.zeros((0, Title.width), np.uint32)


def _pack_rows(texts: list[str]) -> NDArray[np.uint32]:
    rows = np.zeros((len(texts), Title.width), np.uint32)
    held: list[bytes] = []
    sizes = np.zeros(len(texts), np.int64)
    for row, text in enumerate(texts):
        about, aside = parts(text)
        terms = [term(token) for token in (about + aside)[:TITLE_TOKENS]]
        _pack_row(rows[row], terms, noun_place(terms, min(len(about), len(terms))) + 1)
        held += [t.grams for t in terms]
        sizes[row] = len(terms)
    full = np.flatnonzero(sizes)
    if len(full):
        words = np.frombuffer(b"".join(held), "<u4").reshape(-1, GRAM_BITS // 32)
        rows[full, Title.grams] = np.bitwise_or.reduceat(words, (np.cumsum(sizes) - sizes)[full], axis=0)
    return rows


def _pack_row(row_W: NDArray[np.uint32], terms: list[Term], noun: int) -> None:
    """Fill a row but for its n-grams and what needs the catalogue; ``noun`` counts from 1, and is 0 where none is."""
    figures = [figure for t in terms for figure in t.figures][: Title.figures.stop - Title.figures.start]
    row_W[: len(terms)] = [t.code for t in terms]
    row_W[Title.figures.start : Title.figures.start + len(figures)] = figures
    facts = row_W[Title.facts]
    floats = facts.view(np.float32)
    numbers = sum(t.kind == Kind.NUMBER for t in terms)
    floats[Fact.shown] = len(terms) / TITLE_TOKENS, 0, min(numbers / 8, 1)
    floats[Fact.size], floats[Fact.noun] = max(len(terms), 1), max(noun, 1)
    at = 1 << noun >> 1
    facts[Fact.near] = _EVERYWHERE, (1 << noun) - 1, at | at >> 1, at


def _idf(tokens_NT: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Codes, ascending, and the idf of each."""
    ordered = np.sort(tokens_NT, axis=1)
    first = np.ones(ordered.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    codes, counts = np.unique(ordered[first & (ordered > 0)], return_counts=True)
    products = len(tokens_NT)
    most = math.log(1 + (products + 0.5) / 0.5)
    idf = np.log1p((products - counts + 0.5) / (counts + 0.5)) / most
    idf = (np.maximum(np.rint(idf * GRID), 1) / GRID).astype(np.float32)
    # A last entry that no token has lets every search end on a place that exists.
    return np.append(codes, np.uint32(0xFFFFFFFF)), np.append(idf, np.float32(0))
