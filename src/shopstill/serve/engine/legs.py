"""How products are found: by their words, by their vectors, and both put together.

Shapes: ``N`` products found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shopstill.serve.forms import Place
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.index.facets import Wanted
from shopstill.serve.index.ready import Ready
from shopstill.serve.index.words import Matched

LEXICAL, DENSE = 200, 100
"""Products that each leg brings."""

WEIGHTS = {"lexical": 1.0, "dense": 0.1}
"""How much each leg's ranks count: found on validation queries of Home Depot, over its whole catalogue
(``benchmarks/LOG.md``). What vectors alone found comes behind what words found."""

_SMOOTH = 60
_COMPARED = 5_000
"""Products that fit a filter up to which all of them are looked up and compared; of more, the nearest are checked."""
_WIDER = 10


class Places:
    """Ranks in several orders, looked up by row.

    Args:
        orders: rows, best first, and their scores, by name.
    """

    def __init__(self, orders: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
        self._orders = orders
        self._rank = {name: {row: at for at, row in enumerate(rows.tolist())} for name, (rows, _) in orders.items()}

    def of(self, row: int) -> dict[str, Place]:
        """Where each order has a product."""
        return {
            name: Place(rank=at + 1, score=float(self._orders[name][1][at]))
            for name, rank in self._rank.items()
            if (at := rank.get(row)) is not None
        }


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What was found: rows best first, the fused score of each, and each leg's rows and scores."""

    rows: np.ndarray
    scores: np.ndarray
    legs: Mapping[str, tuple[np.ndarray, np.ndarray]]


def dense(catalogue: Catalogue, model: Ready, query: str, wanted: Wanted) -> tuple[np.ndarray, np.ndarray]:
    """Rows and cosines of the products nearest to a query among those that fit."""
    query_D = model.vector(query)
    if not wanted:
        return model.nearest(query_D, DENSE, catalogue.alive_P)
    assert model.near is not None
    if model.near.exact:
        every = np.flatnonzero(catalogue.alive_P)
        return model.compare(query_D, every[catalogue.fit(every, wanted)], DENSE)
    fitting: Matched = catalogue.words.search(catalogue.words.query("", wanted), _COMPARED)
    if fitting.total <= _COMPARED:
        return model.compare(query_D, np.sort(fitting.rows), DENSE)
    rows, scores = model.nearest(query_D, DENSE * _WIDER, catalogue.alive_P)
    fits = np.flatnonzero(catalogue.fit(rows, wanted))[:DENSE]
    return rows[fits], scores[fits]


def fuse(legs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Pool:
    """Legs put together by reciprocal ranks: ``Σ weight / (60 + rank)``; ties in the order of the legs.

    Source: Cormack, Clarke, Büttcher, "Reciprocal rank fusion outperforms Condorcet" (SIGIR 2009).

    >>> found = fuse({"lexical": (np.array([5, 7]), np.ones(2)), "dense": (np.array([7, 9]), np.ones(2))})
    >>> found.rows.tolist()
    [7, 5, 9]
    """
    every = np.concatenate([*(rows for rows, _ in legs.values()), np.zeros(0, np.int64)]).astype(np.int64)
    worth = np.concatenate([WEIGHTS[leg] * reciprocal(len(rows)) for leg, (rows, _) in legs.items()] or [np.zeros(0)])
    rows, first, place = np.unique(every, return_index=True, return_inverse=True)
    total = np.bincount(place, worth, len(rows))
    order = np.lexsort((first, -total))
    return Pool(rows=rows[order], scores=total[order], legs=legs)


def reciprocal(count: int) -> np.ndarray:
    """What the first ranks are worth."""
    worth: np.ndarray = 1 / (_SMOOTH + 1 + np.arange(count))
    return worth
