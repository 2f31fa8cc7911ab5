"""A model with what it needs of every product: those of the generation, mapped into memory, and those that came later.

Shapes: ``N`` candidates, ``D`` width of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shopstill.serve.bundle.load import Ahead, Bundle
from shopstill.serve.index.nearest import Nearest, best


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A model that is ready to find and to score products, by row.

    Attributes:
        bundle: the model.
        base: the generation's products, done ahead.
        near: their vectors, where the model has towers.
        later: products that came later; it grows, and rows that were there stay what they are.
    """

    bundle: Bundle
    base: Ahead
    near: Nearest | None
    later: Ahead | None = None

    def extended(self, texts: Sequence[str]) -> Ready:
        """With more products behind the others."""
        if self.later is None:
            return replace(self, later=self.bundle.ahead(texts))
        self.later.extend(texts)
        return self

    def score(self, query: str, rows_N: np.ndarray) -> np.ndarray:
        """Scores [N] of products for a query."""
        early = rows_N < len(self.base)
        if early.all():
            return self.base.score(query, rows_N)
        assert self.later is not None
        out = np.empty(len(rows_N), np.float32)
        out[early] = self.base.score(query, rows_N[early])
        out[~early] = self.later.score(query, rows_N[~early] - len(self.base))
        return out

    def vector(self, query: str) -> np.ndarray:
        """The query's pooled unit vector [D]."""
        assert self.bundle.towers is not None
        return self.bundle.towers.ask(query).pooled

    def vectors(self, rows_N: np.ndarray) -> np.ndarray:
        """Products' pooled unit vectors [N, D]."""
        early = rows_N < len(self.base)
        if early.all():
            return self.base.pooled(rows_N)
        assert self.later is not None
        late = self.later.pooled(rows_N[~early] - len(self.base))
        out = np.empty((len(rows_N), late.shape[1]), np.float32)
        out[early], out[~early] = self.base.pooled(rows_N[early]), late
        return out

    def nearest(self, query_D: np.ndarray, k: int, alive_P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and cosines of the k products nearest to a vector, of those that are alive; nearest first."""
        assert self.near is not None
        rows, scores = self.near.top(query_D, k, alive_P[: len(self.base)])
        later = np.flatnonzero(alive_P[len(self.base) :]) + len(self.base)
        if not len(later):
            return rows, scores
        rows = np.concatenate([rows, later])
        return best(rows, np.concatenate([scores, self.vectors(later) @ query_D]), k)

    def compare(self, query_D: np.ndarray, rows_N: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and cosines of the k nearest of some products, each of them compared."""
        return best(rows_N, self.vectors(rows_N) @ query_D, k)
