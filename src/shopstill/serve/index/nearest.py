"""The dense leg: the products whose vectors are nearest to a query's.

A small catalogue is compared whole, which is exact. A large one has a graph (HNSW, Malkov & Yashunin 2018,
https://arxiv.org/abs/1603.09320) over int8 vectors, mapped into memory; what it finds is compared once more by the
vectors themselves. Shapes: ``P`` products, ``D`` width of a vector.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from shopstill.core.mapped import fetch
from shopstill.data.vectors import Vectors
from shopstill.serve.bundle.sessions import runtime

EXACT = 6_400_000
"""Numbers of all vectors up to which all of them are compared: those of 100,000 products of width 64, or 25,000 of 256.
"""

_GRAPH = "nearest.usearch"
_NEIGHBOURS, _WIDE, _SEARCH = 16, 96, 96


class Nearest:
    """Vectors that can be searched.

    Args:
        vectors_PD: unit vectors, as numbers or in codes.
        graph: over the same vectors, where there are many.
    """

    def __init__(self, vectors_PD: np.ndarray | Vectors, graph: Any = None) -> None:
        self._vectors, self._graph = vectors_PD, graph

    @staticmethod
    def open(vectors_PD: np.ndarray | Vectors, folder: Path) -> Nearest:
        """With the graph that ``build`` wrote, if it wrote one."""
        path = folder / _GRAPH
        if not path.exists():
            return Nearest(vectors_PD)
        fetch(path)
        # Keys are rows. To look nodes up by them takes a table, which takes two thirds of the time of opening a million
        # products, in which no other thread may run.
        return Nearest(vectors_PD, _usearch().Index.restore(str(path), view=True, enable_key_lookups=False))

    @property
    def exact(self) -> bool:
        """Whether every product is compared."""
        return self._graph is None

    def __len__(self) -> int:
        return len(self._vectors)

    def scores(self, query_D: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Cosines of a query with some products, or all."""
        if isinstance(self._vectors, Vectors):
            return self._vectors.scores(query_D, rows)
        found: np.ndarray = (self._vectors if rows is None else self._vectors.take(rows, axis=0)) @ query_D
        return found

    def top(self, query_D: np.ndarray, k: int, alive_P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and cosines of the nearest among the products that are alive, nearest first."""
        if self.exact:
            score_P = self.scores(query_D)
            if alive_P.all():
                return best(np.arange(len(score_P)), score_P, k)
            return best(np.flatnonzero(alive_P), score_P[alive_P], k)
        rows = self._found(query_D, k)
        alive = alive_P[rows]
        if not alive.all():
            # Few searches meet one that is gone; only these look further.
            rows = self._found(query_D, k + min(k, len(alive_P) - int(np.count_nonzero(alive_P))))
            alive = alive_P[rows]
        rows = np.sort(rows[alive])
        return best(rows, self.scores(query_D, rows), k)

    def _found(self, query_D: np.ndarray, k: int) -> np.ndarray:
        found: np.ndarray = self._graph.search(query_D, k).keys.astype(np.int64)
        return found


def best(rows: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of the highest scores, highest first; ties in the order of ``rows``.

    >>> best(np.array([4, 7, 9]), np.array([0.1, 0.3, 0.2]), 2)[0].tolist()
    [7, 9]
    """
    if k < len(scores):
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= least)
        rows, scores = rows[kept], scores[kept]
    order = np.argsort(-scores, kind="stable")[:k]
    return rows[order], scores[order]


def _usearch() -> Any:
    # In a process that loads usearch first, onnxruntime 1.31 ends with a segmentation fault.
    runtime()
    import usearch.index

    return usearch.index


def build(vectors_PD: np.ndarray | Vectors, folder: Path, exact: int = EXACT) -> None:
    """Write a graph over vectors, where they have more numbers than ``exact``."""
    width = vectors_PD.shape[1] if isinstance(vectors_PD, np.ndarray) else vectors_PD.width
    if len(vectors_PD) * width <= exact:
        return
    graph = _usearch().Index(
        ndim=width,
        metric="cos",
        dtype="i8",
        connectivity=_NEIGHBOURS,
        expansion_add=_WIDE,
        expansion_search=_SEARCH,
        enable_key_lookups=False,
    )
    for at in range(0, len(vectors_PD), 1 << 16):
        rows = np.arange(at, min(at + (1 << 16), len(vectors_PD)))
        piece = vectors_PD[rows] if isinstance(vectors_PD, np.ndarray) else vectors_PD.decode(rows)
        graph.add(rows.astype(np.uint64), np.ascontiguousarray(piece))
    graph.save(str(folder / _GRAPH))
