"""The towers' scoring in numpy: at a hundred candidates, a framework's overhead would cost more than the work.

Shapes: ``P`` products, ``N`` candidates, ``S`` tokens of several products end to end, ``U`` tokens of the query, ``V``
tokens of the vocabulary, ``D`` width, ``H`` hidden units, ``F`` features, ``L`` levels, ``T`` distinct tokens, ``W``
places in a product.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shopstill.data.tokens import Ragged
from shopstill.data.vectors import Codec, Vectors

_TOKENS_AT_ONCE = 1 << 16
_NOWHERE = -2.0
"""Less than any cosine: of a place where no token stands."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An encoded query: unit token vectors [U, D], weights [U], pooled unit vector [D]."""

    tokens: np.ndarray
    weight: np.ndarray
    pooled: np.ndarray


class Products:
    """Encoded products to take candidates from; their tokens lie end to end, so that padding costs nothing.

    Every product has a token: at the least those that begin and end a text.

    Args:
        vectors: unit vectors [·, D], of the tokens themselves or of a vocabulary.
        length_P: tokens of each product.
        pooled_PD: pooled unit vectors.
        ids_S: where in ``vectors`` each token is found; None where they are the tokens' own, in order.
    """

    def __init__(
        self,
        vectors: np.ndarray | Vectors,
        length_P: np.ndarray,
        pooled_PD: np.ndarray | Vectors,
        ids_S: np.ndarray | None = None,
    ) -> None:
        self.vectors, self.pooled_PD, self.ids_S = vectors, pooled_PD, ids_S
        self.length_P = length_P.astype(np.int64)
        self._start_P = np.cumsum(self.length_P) - self.length_P

    def __len__(self) -> int:
        return len(self.length_P)

    @staticmethod
    def of(tokens_PTD: np.ndarray, weight_PT: np.ndarray, pooled_PD: np.ndarray) -> Products:
        """Products whose tokens were encoded as a rectangle, with weight 0 where nothing stands."""
        there_PT = weight_PT != 0
        return Products(tokens_PTD[there_PT], there_PT.sum(axis=1), pooled_PD)

    def keep(self, codec: Codec) -> None:
        """Keep what is the products' own, not a vocabulary's, in the codec's codes from now on."""
        assert isinstance(self.pooled_PD, np.ndarray)
        assert isinstance(self.vectors, np.ndarray)
        self.pooled_PD = Vectors.fit(self.pooled_PD, codec)
        if self.ids_S is None and len(self.vectors):
            self.vectors = Vectors.fit(self.vectors, codec)

    def joined(self, other: Products) -> Products:
        """These products and then others of the same tower, none of them in codes."""
        pooled_PD = np.concatenate([self.pooled(np.arange(len(self))), other.pooled(np.arange(len(other)))])
        length_P = np.concatenate([self.length_P, other.length_P])
        if self.ids_S is not None and other.ids_S is not None:
            return Products(self.vectors, length_P, pooled_PD, np.concatenate([self.ids_S, other.ids_S]))
        tokens = [p.vectors if isinstance(p.vectors, np.ndarray) else p.vectors.decode() for p in (self, other)]
        return Products(np.concatenate(tokens), length_P, pooled_PD)

    def without_tokens(self) -> Products:
        """The pooled vectors alone: all that the ``dot`` head reads."""
        nothing = np.zeros((0, self.width), np.float32)
        return Products(nothing, np.zeros(len(self), np.int64), self.pooled_PD)

    @property
    def width(self) -> int:
        """D."""
        return self.pooled_PD.shape[1] if isinstance(self.pooled_PD, np.ndarray) else self.pooled_PD.width

    def pooled(self, candidates: np.ndarray) -> np.ndarray:
        """Pooled vectors [N, D] of some products."""
        return _rows(self.pooled_PD, candidates)

    def take(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Token vectors [S, D] of some products, where each product's begin [N], and how many it has [N]."""
        length_N = self.length_P[candidates]
        first_N = np.cumsum(length_N) - length_N
        rows_S = np.arange(length_N.sum()) + np.repeat(self._start_P[candidates] - first_N, length_N)
        rows_S = rows_S if self.ids_S is None else self.ids_S.take(rows_S)
        return _rows(self.vectors, rows_S), first_N, length_N

    def distinct(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The distinct token vectors [T, D] of some products, and which one stands where [W, N]; T where none does."""
        length_N = self.length_P[candidates]
        place_W1 = np.arange(length_N.max())[:, None]
        there_WN = place_W1 < length_N
        rows_WN = place_W1 + self._start_P[candidates]
        if self.ids_S is None:
            rows_T = rows_WN[there_WN]
            place_WN = np.full(there_WN.shape, len(rows_T))
            place_WN[there_WN] = np.arange(len(rows_T))
            return _rows(self.vectors, rows_T), place_WN
        nothing = len(self.vectors)
        ids_WN = np.where(there_WN, self.ids_S.take(rows_WN, mode="clip"), nothing)
        # A table over the vocabulary takes a third of the time of sorting.
        held_V = np.zeros(nothing + 1, bool)
        held_V[ids_WN] = True
        held_V[nothing] = False
        ids_T = np.flatnonzero(held_V)
        place_V = np.full(nothing + 1, len(ids_T), np.int32)
        place_V[ids_T] = np.arange(len(ids_T))
        return _rows(self.vectors, ids_T), place_V.take(ids_WN)

    def padded(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Some products as a rectangle: token vectors [N, T, D], and 1 where one stands [N, T], else 0."""
        tokens_SD, _, length_N = self.take(candidates)
        there = np.arange(length_N.max()) < length_N[:, None]
        whole = np.zeros((*there.shape, tokens_SD.shape[1]), np.float32)
        whole[there] = tokens_SD
        return whole, there.astype(np.float32)


class Words:
    """A static tower: every token of the vocabulary has one vector.

    Args:
        table_VD: projected vectors.
        importance_V: logarithm of each token's weight, to within a constant.
    """

    def __init__(self, table_VD: np.ndarray, importance_V: np.ndarray) -> None:
        self.table, self.importance = table_VD, importance_V
        self.unit = _unit(table_VD)

    def one(self, ids_U: np.ndarray) -> Asked:
        """Encode one query's ids."""
        weight = self.importance[ids_U]
        weight = np.exp(weight - weight.max())
        weight /= weight.sum()
        pooled = weight @ self.table[ids_U]
        length = max(float(np.sqrt(pooled @ pooled)), 1e-12)
        return Asked(tokens=self.unit[ids_U], weight=weight, pooled=pooled / length)

    def products(self, rows: Ragged) -> Products:
        """Encode products; their ids are kept in place of vectors, which cost as much to find and far more to hold."""
        ids, length = rows.ids_S, rows.length_N.astype(np.int64)
        keep = np.ones(len(ids), bool)
        pooled_PD = np.empty((len(rows), self.table.shape[1]), np.float32)
        step = max(1, _TOKENS_AT_ONCE // max(int(length.max(initial=1)), 1))
        for at in range(0, len(rows), step):
            several = slice(at, at + step)
            start = rows.start_N[several]
            span = slice(int(start[0]), int(start[-1] + length[several][-1]))
            pooled_PD[several], keep[span] = self._pool(ids[span], start - start[0], length[several])
        left = np.add.reduceat(keep, rows.start_N, dtype=np.int64) if len(rows) else length
        return Products(self.unit, left, pooled_PD, ids[keep])

    def _pool(self, ids: np.ndarray, start: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pooled vectors of products, and which of their tokens weigh anything."""
        weight = self.importance[ids]
        weight = np.exp(weight - np.repeat(np.maximum.reduceat(weight, start), length))
        weight /= np.repeat(np.add.reduceat(weight, start), length)
        return _unit(np.add.reduceat(weight[:, None] * self.table[ids], start)), weight != 0


class Dot:
    """The ``dot`` head: the pooled vectors' cosine, scaled and shifted."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._scale, self._bias = float(arrays["head.scale"]), float(arrays["head.bias"])

    def __call__(self, query: Asked, products: Products, candidates: np.ndarray, _: np.ndarray | None) -> np.ndarray:
        """Scores [N]."""
        return products.pooled(candidates) @ query.pooled * self._scale + self._bias


class Interaction:
    """The ``interaction`` head: its norm folded into the first layer, its soft counts from two exponentials.

    Around equally spaced levels ``l·s`` the counts' terms are ``exp(−(c − l·s)² / 2σ²) = k_l · g · h^l`` with
    ``g = exp(−c² / 2σ²)``, ``h = exp(c·s / σ²)`` and ``k_l = exp(−(l·s)² / 2σ²)``.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._w = {name.removeprefix("head."): value for name, value in arrays.items()}
        levels, spread = self._w["levels_L"][::-1].astype(np.float64), float(self._w["spread"])
        self._step, self._levels = float(levels[1] - levels[0]), len(levels)
        assert np.allclose(levels, self._step * np.arange(len(levels)))
        self._growth, self._fall = np.float32(self._step / spread**2), np.float32(-0.5 / spread**2)
        self._factor_L = np.exp(-(levels**2) / (2 * spread**2)).astype(np.float32)

    def __call__(
        self, query: Asked, products: Products, candidates: np.ndarray, lexical: np.ndarray | None
    ) -> np.ndarray:
        """Scores [N]; a lexical feature that is not known (NaN) counts as its mean."""
        assert lexical is not None
        w = self._w
        read = np.concatenate([self.match(query, products, candidates), lexical], axis=1)
        if np.isnan(lexical).any():
            read = np.where(np.isnan(read), w["mean_F"], read)
        scaled = (query.pooled * len(query.pooled) ** 0.5)[:, None]
        hidden = read @ w["matched_FH"]
        hidden += products.pooled(candidates) @ (scaled * w["product_of_DH"] + w["product_DH"])
        hidden += query.pooled @ w["query_DH"] + w["matched_H"]
        hidden = np.maximum(hidden, 0, out=hidden) @ w["middle_HH"] + w["middle_H"]
        return np.maximum(hidden, 0, out=hidden) @ w["out_H"] + w["out"][0]

    def match(self, query: Asked, products: Products, candidates: np.ndarray) -> np.ndarray:
        """[N, 2 + L]: mean and least of the query tokens' best cosines, and their soft counts, weighted."""
        # Products of one query share most of their tokens: each is compared once, and then looked up.
        vectors_TD, place_WN = products.distinct(candidates)
        count, width = len(vectors_TD), len(query.tokens)
        cosine_TU = np.full((count + 1, width), _NOWHERE, np.float32)
        np.matmul(vectors_TD, query.tokens.T, out=cosine_TU[:-1])
        best_NU = cosine_TU.take(place_WN, axis=0).max(axis=0)
        terms_TLU = np.zeros((count + 1, self._levels, width), np.float32)
        growth_TU = np.exp(cosine_TU[:-1] * self._growth)
        np.exp(np.square(cosine_TU[:-1]) * self._fall, out=terms_TLU[:-1, 0])
        for level in range(1, self._levels):
            np.multiply(terms_TLU[:-1, level - 1], growth_TU, out=terms_TLU[:-1, level])
        # Sums in the order of the tokens, so that a score depends on no other product.
        counts_NLU = terms_TLU.take(place_WN, axis=0).sum(axis=0)
        counts_NLU *= self._factor_L[:, None]
        out = np.empty((len(candidates), 2 + self._levels), np.float32)
        out[:, 0] = best_NU @ query.weight
        out[:, 1:-1] = (np.log1p(counts_NLU, out=counts_NLU) @ query.weight)[:, ::-1]
        out[:, -1] = best_NU[:, query.weight != 0].min(axis=1)
        return out


def words(arrays: Mapping[str, np.ndarray], side: str) -> Words | None:
    """The static tower of a side that some arrays are of, if they are; both sides may have one table."""
    if f"{side}.importance" not in arrays:
        return None
    table = f"{side}.table" if f"{side}.table" in arrays else "query.table"
    return Words(arrays[table], arrays[f"{side}.importance"])


def head(arrays: Mapping[str, np.ndarray]) -> Dot | Interaction | None:
    """The head that some arrays are of, if they are of one."""
    if "head.scale" in arrays:
        return Dot(arrays)
    return Interaction(arrays) if "head.out" in arrays else None


def _rows(vectors: np.ndarray | Vectors, rows: np.ndarray) -> np.ndarray:
    return vectors.take(rows, axis=0) if isinstance(vectors, np.ndarray) else vectors.decode(rows)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.sqrt(np.einsum("nd,nd->n", vectors, vectors)), 1e-12)[:, None]
