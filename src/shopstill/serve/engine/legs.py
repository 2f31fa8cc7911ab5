"""How products are found: by their words, by their vectors, and both put together.

Shapes: ``N`` products found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shopstill.serve.forms import Place, Sort
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.index.facets import Wanted
from shopstill.serve.index.ready import Ready
from shopstill.serve.index.words import Matched, Words, tokens_of

Compare = Callable[[np.ndarray], np.ndarray]
"""Rows of products → their cosines with a query."""

Brought = tuple[np.ndarray, np.ndarray]
"""Rows of products, best first, and their scores."""

LEXICAL, DENSE = 200, 100
"""Products that each leg brings."""

WEIGHTS = {"lexical": 1.0, "dense": 0.1}
"""How much each leg's ranks count: found on validation queries of Home Depot, over its whole catalogue
(``benchmarks/LOG.md``). What vectors alone found comes behind what words found."""

FEW = 3
"""Products with every word of a query; where there are fewer, those with any of its words count."""

SMOOTH = 60
"""What is added to a rank before its reciprocal is taken."""

COMPARED = 5_000
"""Products that fit a filter up to which all of them are looked up and compared; of more, the nearest are checked."""
_WIDER = 10


def places(orders: Mapping[str, Brought], shown: Sequence[int]) -> list[dict[str, Place]]:
    """Where several orders have some products.

    Args:
        orders: rows, best first, and their scores, by name.
        shown: rows of the products.
    """
    found: list[dict[str, Place]] = [{} for _ in shown]
    shown_S = np.array(shown, np.int64)
    for name, (rows, scores) in orders.items():
        at_S, rank_S = np.nonzero(shown_S[:, None] == rows)
        for at, rank, score in zip(at_S.tolist(), rank_S.tolist(), scores[rank_S].tolist(), strict=True):
            found[at][name] = Place(rank=rank + 1, score=score)
    return found


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What was found: rows best first, the fused score of each, and each leg's rows and scores.

    It is ``final`` where the model's cosines are in the scores already, so that it has no second opinion.
    """

    rows: np.ndarray
    scores: np.ndarray
    legs: Mapping[str, Brought]
    final: bool = False


def by_words(
    words: Words, text: str, wanted: Wanted, most: int, *, prefix: bool = False, sort: Sort = "relevance"
) -> tuple[Matched, bool]:
    """What has every word of a text; or, where that is little, what has any; and which of the two it is.

    Which of the two is decided without filters, so that a filter only ever takes away. Of what has any of the words
    only the best counts, unless it is sorted by price: it is the best of all products, still to be narrowed. Where
    there are no words, nothing is better than anything, and all is listed as the shop has it.
    """
    listed = sort == "relevance" and not text.strip()
    found = words.search(words.query(text, wanted, prefix=prefix), most, "place" if listed else sort)
    if found.total >= FEW or len(tokens_of(text)) < 2 or (wanted and _enough(words, text, prefix)):
        return found, True
    if sort == "relevance":
        return words.search(words.query(text, Wanted(), prefix=prefix, every=False), most, count=False), False
    return words.search(words.query(text, wanted, prefix=prefix, every=False), most, sort), False


def _enough(words: Words, text: str, prefix: bool) -> bool:
    """Whether enough products have every word of a text, whatever the filters."""
    return words.search(words.query(text, Wanted(), prefix=prefix), FEW, count=False).total >= FEW


def dense(catalogue: Catalogue, model: Ready, query: str) -> Brought:
    """Rows and cosines of the products nearest to a query."""
    return model.nearest(model.vector(query), DENSE, catalogue.alive_P)


def narrowed(catalogue: Catalogue, leg: Brought, wanted: Wanted) -> Brought:
    """What a leg brought, but for what does not fit."""
    if not wanted:
        return leg
    rows, scores = leg
    fits = catalogue.fit(rows, wanted)
    return rows[fits], scores[fits]


def nearest_that_fit(catalogue: Catalogue, model: Ready, query: str, wanted: Wanted) -> Brought:
    """Rows and cosines of the products nearest to a query among those that fit, however far off they are."""
    query_D = model.vector(query)
    assert model.near is not None
    if model.near.exact:
        every = np.flatnonzero(catalogue.alive_P)
        return model.compare(query_D, every[catalogue.fit(every, wanted)], DENSE)
    fitting: Matched = catalogue.words.search(catalogue.words.query("", wanted), COMPARED)
    if fitting.total <= COMPARED:
        return model.compare(query_D, np.sort(fitting.rows), DENSE)
    rows, scores = narrowed(catalogue, model.nearest(query_D, DENSE * _WIDER, catalogue.alive_P), wanted)
    return rows[:DENSE], scores[:DENSE]


def fuse(legs: Mapping[str, Brought]) -> Pool:
    """Legs put together by reciprocal ranks: ``Σ weight / (60 + rank)``; ties in the order of the legs.

    Source: Cormack, Clarke, Büttcher, "Reciprocal rank fusion outperforms Condorcet" (SIGIR 2009).

    >>> found = fuse({"lexical": (np.array([5, 7]), np.ones(2)), "dense": (np.array([7, 9]), np.ones(2))})
    >>> found.rows.tolist()
    [7, 5, 9]
    """
    # For a few hundred rows a dictionary is sooner done than sorting them.
    worth: dict[int, float] = {}
    for leg, (found, _) in legs.items():
        ranks = WEIGHTS[leg] * reciprocal(len(found))
        for row, more in zip(found.tolist(), ranks.tolist(), strict=True):
            worth[row] = worth.get(row, 0.0) + more
    rows = np.fromiter(worth.keys(), np.int64, len(worth))
    scores = np.fromiter(worth.values(), np.float64, len(worth))
    order = np.argsort(-scores, kind="stable")
    return Pool(rows=rows[order], scores=scores[order], legs=legs)


def blend(legs: Mapping[str, Brought], weight: float, compare: Compare) -> Pool:
    """Legs put together by scores: ``share of the best score by words + weight · cosine``; ties in the order of words.

    Args:
        legs: ``lexical`` and ``dense``, rows and scores, best first.
        weight: found on validation queries when the model was shipped.
        compare: rows → their cosines: products that words found have one as well.

    >>> legs = {"lexical": (np.array([5, 7]), np.array([4.0, 2.0])), "dense": (np.array([7, 9]), np.array([0.9, 0.3]))}
    >>> blend(legs, 1.0, lambda rows: np.where(rows == 7, 0.9, 0.1)).rows.tolist()
    [7, 5, 9]
    """
    (by_words, score), (near, cosine) = legs["lexical"], legs["dense"]
    beside = ~np.isin(near, by_words)
    rows = np.concatenate([by_words, near[beside]])
    total = weight * np.concatenate([compare(by_words), cosine[beside]]).astype(np.float64)
    total[: len(by_words)] += score / max(float(score.max(initial=0)), 1e-12)
    order = np.argsort(-total, kind="stable")
    return Pool(rows=rows[order], scores=total[order], legs=legs, final=True)


def reciprocal(count: int) -> np.ndarray:
    """What the first ranks are worth."""
    worth: np.ndarray = 1 / (SMOOTH + 1 + np.arange(count))
    return worth
