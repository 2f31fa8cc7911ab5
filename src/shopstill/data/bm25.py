"""BM25 over a catalogue: the baseline, the miner of candidates and a feature, from one index built by bm25s.

Shape legend: ``Q`` queries, ``K`` results a query, ``N`` pairs or candidates.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shopstill.core.errors import ArtifactError, ConfigError
from shopstill.core.progress import progress
from shopstill.data.text import tokenise

K1 = 1.2
B = 0.75

_ARRAYS, _REST = "bm25.safetensors", "bm25.json"
_FORMAT = 1
_PAIRS_AT_ONCE = 1 << 17
_SHOW_EVERY = 256


class BM25:
    """Lucene's BM25 of queries against the rows of a catalogue.

    ``score(q, d) = Σ_t idf(t) · f(t, d) / (f(t, d) + k1 · (1 − b + b · |d| / avg|d|))``, over the tokens ``t`` of the
    query (one that is typed twice counts twice), with ``idf(t) = ln(1 + (n − df(t) + 0.5) / (df(t) + 0.5))``.
    The sums are made in double precision, so that every method gives the same score for the same pair.

    Source: Kamphuis et al., "Which BM25 do you mean?" (ECIR 2020), the accurate Lucene variant.

    >>> index = BM25.build(["red mug", "blue mug", "red chair"])
    >>> index_QK, score_QK = index.top(["red mug"], k=2)
    >>> index_QK.tolist()
    [[0, 1]]
    """

    def __init__(self, vocabulary: Mapping[str, int], arrays: Mapping[str, NDArray[Any]], count: int) -> None:
        self.count = count
        self._vocabulary = dict(vocabulary)
        self._starts, self._rows, self._weights = arrays["starts"], arrays["rows"], arrays["weights"]

    @classmethod
    def build(cls, texts: Iterable[str], *, k1: float = K1, b: float = B, language: str | None = None) -> BM25:
        """Index texts; the rows that the other methods speak of are positions in ``texts``.

        Args:
            texts: one text a product, such as its title.
            k1: how slowly repeated words saturate; at least 0.
            b: how much long texts are held back, from 0 to 1.
            language: of all texts, or None to read each word by its script.

        Raises:
            ConfigError: ``k1`` or ``b`` is out of bounds.
        """
        if not (k1 >= 0 and 0 <= b <= 1):
            raise ConfigError(f"BM25: k1={k1}, b={b}: k1 must be at least 0, and b from 0 to 1")
        vocabulary: dict[str, int] = {}
        documents = [
            [vocabulary.setdefault(token, len(vocabulary)) for token in tokenise(text, language)] for text in texts
        ]
        if not vocabulary:
            arrays: dict[str, NDArray[Any]] = {
                "starts": np.zeros(1, np.int64),
                "rows": np.zeros(0, np.int32),
                "weights": np.zeros(0, np.float32),
            }
            return cls({}, arrays, len(documents))
        return cls(vocabulary, _postings(documents, vocabulary, k1, b), len(documents))

    def top(
        self, queries: Sequence[str], k: int, *, language: str | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k best rows for each query, best first; equal scores in the order of the rows.

        Args:
            queries: Q texts.
            k: results a query, at least 1.
            language: of all queries, or None to read each word by its script.

        Returns:
            ``index_QK`` and ``score_QK``; where fewer than k rows share a token with the query, the rest is -1 and 0.

        Raises:
            ConfigError: ``k`` is below 1.
        """
        if k < 1:
            raise ConfigError(f"BM25.top: k={k}: must be at least 1")
        index_QK = np.full((len(queries), k), -1, np.int64)
        score_QK = np.zeros((len(queries), k), np.float32)
        scores = np.zeros(self.count)
        with progress("BM25", len(queries), "queries") as bar:
            for place, query in enumerate(queries):
                rows, values = self._best(self._tokens(query, language), k, scores)
                index_QK[place, : len(rows)], score_QK[place, : len(rows)] = rows, values
                if (place + 1) % _SHOW_EVERY == 0 or place + 1 == len(queries):
                    bar.advance(place % _SHOW_EVERY + 1)
        return index_QK, score_QK

    def scores(self, query: str, candidates: ArrayLike, *, language: str | None = None) -> NDArray[np.float32]:
        """``score_N`` of one query against N rows."""
        rows_N = np.asarray(candidates, np.int64)
        return self.pairs([query], np.zeros(len(rows_N), np.int64), rows_N, language=language)

    def pairs(
        self, queries: Sequence[str], query_index: ArrayLike, product_index: ArrayLike, *, language: str | None = None
    ) -> NDArray[np.float32]:
        """``score_N`` of N pairs, each a position in ``queries`` and a row.

        Raises:
            IndexError: a position or row is out of range.
        """
        query_N, row_N = np.asarray(query_index, np.int64), np.asarray(product_index, np.int64)
        if len(row_N) and not 0 <= row_N.min() <= row_N.max() < self.count:
            raise IndexError(f"BM25.pairs: rows must be from 0 to {self.count - 1}; got {row_N.min()} to {row_N.max()}")
        tokens = [self._tokens(query, language) for query in queries]
        lengths = np.array([len(t) for t in tokens], np.int64)
        flat = np.array([token for each in tokens for token in each], np.int64)
        starts = np.cumsum(lengths) - lengths
        pieces = [slice(at, at + _PAIRS_AT_ONCE) for at in range(0, len(row_N), _PAIRS_AT_ONCE)]
        found = [self._score(flat, starts[query_N[p]], lengths[query_N[p]], row_N[p]) for p in pieces]
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def save(self, folder: Path) -> None:
        """Write the index into a folder: arrays as safetensors, the vocabulary as JSON."""
        from safetensors.numpy import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"starts": self._starts, "rows": self._rows, "weights": self._weights}, folder / _ARRAYS)
        stated = {"format": _FORMAT, "count": self.count, "vocabulary": list(self._vocabulary)}
        (folder / _REST).write_text(json.dumps(stated, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> BM25:
        """Read an index that ``save`` wrote.

        Raises:
            ArtifactError: there is none, or it is of another format.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(folder)
        try:
            stated = json.loads((folder / _REST).read_text(encoding="utf-8"))
            arrays = load_file(folder / _ARRAYS)
        except (FileNotFoundError, json.JSONDecodeError, SafetensorError) as cause:
            raise ArtifactError(f"{folder}: no readable BM25 index here ({cause}); build it again") from None
        if stated.get("format") != _FORMAT:
            raise ArtifactError(
                f"{folder / _REST}: format {stated.get('format')!r} where {_FORMAT} is read; build it again"
            )
        return cls({token: number for number, token in enumerate(stated["vocabulary"])}, arrays, stated["count"])

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        """``token · count + row`` of each posting: sorted, so that any pair is found by bisection."""
        tokens = np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts))
        return tokens * self.count + self._rows

    def _tokens(self, query: str, language: str | None) -> list[int]:
        known = self._vocabulary
        return [known[token] for token in tokenise(query, language) if token in known]

    def _best(
        self, tokens: list[int], k: int, scores: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The best rows of one query; ``scores`` is all zeros before and after."""
        pieces = [slice(self._starts[token], self._starts[token + 1]) for token in tokens]
        for piece in pieces:
            scores[self._rows[piece]] += self._weights[piece]
        touched = np.concatenate([self._rows[p] for p in pieces]) if pieces else np.zeros(0, np.int32)
        values = scores[touched]
        scores[touched] = 0.0
        # A row is touched at most once a token: the best k rows are among the best k · tokens touches and their ties.
        enough = k * len(tokens)
        if len(values) > enough:
            kept = values >= np.partition(values, -enough)[-enough]
            touched, values = touched[kept], values[kept]
        rows, first = np.unique(touched, return_index=True)
        order = np.argsort(-values[first], kind="stable")[:k]
        return rows[order], values[first][order]

    def _score(
        self,
        flat: NDArray[np.int64],
        starts_N: NDArray[np.int64],
        lengths_N: NDArray[np.int64],
        row_N: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        if not len(self._keys):
            return np.zeros(len(row_N), np.float32)
        pair = np.repeat(np.arange(len(row_N)), lengths_N)
        within = np.arange(len(pair)) - np.repeat(np.cumsum(lengths_N) - lengths_N, lengths_N)
        wanted = flat[starts_N[pair] + within] * self.count + row_N[pair]
        place = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        weight = np.where(self._keys[place] == wanted, self._weights[place], np.float32(0))
        return np.bincount(pair, weight, minlength=len(row_N)).astype(np.float32)


def _postings(
    documents: list[list[int]], vocabulary: Mapping[str, int], k1: float, b: float
) -> dict[str, NDArray[Any]]:
    """bm25s' weight of each token in each row, as columns of a sparse matrix."""
    import bm25s

    built = bm25s.BM25(k1=k1, b=b, method="lucene")
    built.index((documents, dict(vocabulary)), create_empty_token=False, show_progress=False)
    matrix = built.scores
    return {
        "starts": np.asarray(matrix["indptr"], np.int64),
        "rows": np.asarray(matrix["indices"], np.int32),
        "weights": np.asarray(matrix["data"], np.float32),
    }
