"""A cross-encoder's scores: texts tokenised once, rows sorted by length and run in pieces with hardly any padding.

Shapes: ``N`` pairs, ``B`` rows of a piece, ``T`` its tokens a row, ``K`` outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from shopstill.data.tokens import Pairs, Ragged, TextTokenizer, concatenate, padded
from shopstill.serve.bundle.sessions import Sessions

CALL_TOKENS = 60
"""What a run of a graph costs beyond its rows, in tokens of a two-layer encoder of width 128."""

PIECE_TOKENS = 512
"""Tokens of a piece, at most: more would leave the processor's cache between one operator and the next."""


class Cross:
    """The graph ``pair`` with its tokenizer.

    Args:
        sessions: the bundle's graphs.
        tokenizer: its tokenizer.
        limit: tokens of a pair, at most.
        outputs: K.
        threads: pieces that are run at once.
    """

    def __init__(self, sessions: Sessions, tokenizer: TextTokenizer, limit: int, outputs: int, threads: int) -> None:
        self.tokenizer = tokenizer
        self._sessions, self._limit, self._outputs = sessions, limit, outputs
        self._pool = ThreadPoolExecutor(threads, "shopstill-cross") if threads > 1 else None

    def score(self, queries: Ragged, products: Ragged, query_N: np.ndarray, product_N: np.ndarray) -> np.ndarray:
        """Scores [N], or [N, K] where there are several, of pairs of tokenised texts."""
        lengths = self.tokenizer.pair_lengths(queries, products, query_N, product_N, self._limit)
        order = np.argsort(lengths, kind="stable")
        pairs = self.tokenizer.pairs(queries, products, query_N[order], product_N[order], self._limit)
        cuts = pieces(lengths[order])
        run = self._pool.map if self._pool else map
        found = list(run(lambda cut: self._run(pairs, cut), cuts))
        out = np.empty((len(order),) if self._outputs == 1 else (len(order), self._outputs), np.float32)
        if found:
            out[order] = np.concatenate(found)
        return out

    def _run(self, pairs: Pairs, cut: slice) -> np.ndarray:
        rows = Ragged(ids_S=pairs.rows.ids_S, start_N=pairs.rows.start_N[cut], length_N=pairs.rows.length_N[cut])
        ids_BT, mask_BT = padded(rows, self.tokenizer.pad)
        second_BT = (np.arange(ids_BT.shape[1]) >= pairs.second_N[cut, None]) & mask_BT
        inputs = {
            "input_ids": ids_BT,
            "attention_mask": mask_BT.astype(np.int64),
            "token_type_ids": second_BT.astype(np.int64),
        }
        return self._sessions.run("pair", inputs)[0]


class CrossAhead:
    """A cross-encoder whose product texts are tokenised ahead of time."""

    def __init__(self, cross: Cross, products: Ragged) -> None:
        self._cross, self.products = cross, products

    def extend(self, texts: Sequence[str]) -> None:
        """Add products; those that were there keep their places."""
        self.products = concatenate([self.products, self._cross.tokenizer.encode(texts)])

    def score(self, query: str, candidates: np.ndarray, _: np.ndarray | None = None) -> np.ndarray:
        """Scores [N] or [N, K] of some products, given as positions, for a query."""
        asked = self._cross.tokenizer.encode([query])
        return self._cross.score(asked, self.products, np.zeros(len(candidates), np.int64), candidates)


def pieces(length_N: np.ndarray, call: int = CALL_TOKENS, most: int = PIECE_TOKENS) -> list[slice]:
    """Cuts of rows sorted by length that cost least: padding on one side, a run of the graph for each on the other.

    Rows of one length stay together, so that what is chosen depends on the lengths alone.

    Args:
        length_N: tokens of each row, ascending.
        call: what a run costs, in tokens.
        most: tokens of a piece, at most; one row always fits.

    >>> pieces(np.array([3, 3, 9, 9]), call=4)
    [slice(0, 2, None), slice(2, 4, None)]
    >>> pieces(np.array([3, 3, 4, 4]), call=4)
    [slice(0, 4, None)]
    """
    if not len(length_N):
        return []
    size_L, start_L = np.unique(length_N, return_index=True)
    end_L = np.append(start_L[1:], len(length_N))
    least, came = np.zeros(len(size_L) + 1), np.zeros(len(size_L) + 1, np.int64)
    for at, (size, end) in enumerate(zip(size_L.tolist(), end_L.tolist(), strict=True)):
        cost = least[: at + 1] + (end - start_L[: at + 1]) * size
        came[at + 1] = np.argmin(cost)
        least[at + 1] = cost[came[at + 1]] + call
    found, at = [], len(size_L)
    while at:
        found.append(slice(int(start_L[came[at]]), int(end_L[at - 1])))
        at = int(came[at])
    return [part for cut in reversed(found) for part in _split(cut, int(length_N[cut.stop - 1]), most)]


def _split(cut: slice, size: int, most: int) -> list[slice]:
    """A piece in equal parts that are small enough."""
    rows = cut.stop - cut.start
    parts = -(-rows // max(1, most // size))
    edges = [cut.start + part * rows // parts for part in range(parts + 1)]
    return [slice(one, other) for one, other in pairwise(edges)]
