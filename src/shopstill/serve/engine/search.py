"""A search: what was found put in order by the model within a budget of time, counted, and shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from pydantic import TypeAdapter

from shopstill.data.text import fold, normalise
from shopstill.serve.engine.clock import Clock
from shopstill.serve.engine.counting import Counting, Found
from shopstill.serve.engine.gather import gathered, matched
from shopstill.serve.engine.legs import Pool, places, reciprocal
from shopstill.serve.engine.marks import marks
from shopstill.serve.engine.ranking import RERANKED, WEIGHT, Pace, scored
from shopstill.serve.engine.recent import Recent
from shopstill.serve.engine.spelling import corrected
from shopstill.serve.forms import DEPTH, LONGEST, Answer, Facet, Filters, Hit, Search
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.index.facets import Wanted
from shopstill.serve.index.ready import Ready
from shopstill.serve.index.words import tokens_of

form = TypeAdapter(Filters)

_NOTHING = (np.zeros(0, np.int64), np.zeros(0, np.float32))


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """All that was found for a query, best first.

    Attributes:
        pool: what the legs found.
        rows: in their final order.
        scores: of the same rows.
        judged: rows that the model scored, best first, and its scores.
        total: products that match.
        every: whether what matches has every word; else it has any.
        listed: rows found otherwise than by having every word, whatever the filters; none where sorted by price.
        complete: whether the budget was enough.
    """

    pool: Pool
    rows: np.ndarray
    scores: np.ndarray
    judged: tuple[np.ndarray, np.ndarray]
    total: int
    every: bool
    listed: np.ndarray
    complete: bool = True


@dataclass(frozen=True, kw_only=True)
class Served:
    """A model as it answers: its name, how fast it is, and what it ranked of late; or none, and words alone answer."""

    name: str
    model: Ready | None
    pace: Pace
    recent: Recent[Ranking]


def search(catalogue: Catalogue, served: Served, asked: Search) -> Answer:
    """Answer a search on one model."""
    clock = Clock()
    # Spelling a ligature out may make a text longer.
    typed = normalise(asked.query)[:LONGEST]
    # A blank behind the last word finishes it.
    unfinished = asked.prefix and not asked.query[-1:].isspace()
    # A form is checked anew when it is made anew.
    asked = asked if asked.query == typed else replace(asked, query=typed, prefix=unfinished)
    better = None
    if asked.query:
        # A word that no product has finds nothing: what is nearest to it is searched for in its place.
        with clock.stage("spelling"):
            better = corrected(catalogue, asked.query, prefix=asked.prefix)
        asked = replace(asked, query=better) if better else asked
    ranking = _ranked(catalogue, served, asked, clock)
    with clock.stage("facets"):
        found = _counted(catalogue, asked, ranking) if asked.facets else []
    with clock.stage("documents"):
        hits = _hits(catalogue, asked, ranking)
    return Answer(
        query=typed,
        total=ranking.total,
        hits=hits,
        facets=found,
        spelling=better,
        corrected=better is not None,
        complete=ranking.complete,
        reranked=len(ranking.judged[0]),
        took_ms=clock.ms,
        stages_ms=clock.stages,
        model=served.name,
        generation=catalogue.generation.name,
    )


def _ranked(catalogue: Catalogue, served: Served, asked: Search, clock: Clock) -> Ranking:
    """The ranking that an earlier page was of, or else a new one."""
    if asked.sort != "relevance":
        return _by_price(catalogue, asked, clock)
    # By content, not by name: another model may be loaded under the name of one that is gone.
    model = "" if served.model is None else served.model.bundle.manifest.digest
    what = (asked.query, asked.prefix, asked.legs, asked.rerank, model, form.dump_json(asked.filters))
    key = (*what, catalogue.generation.name, catalogue.number)
    found = served.recent.get(key)
    if found is None or not (found.complete or asked.offset):
        found = _ranking(catalogue, served.model, served.pace, asked, clock)
    if len(found.rows) < min(asked.offset + asked.limit, found.total, DEPTH):
        found = _deepened(catalogue, asked, found, clock)
    served.recent.put(key, found)
    return found


def _deepened(catalogue: Catalogue, asked: Search, found: Ranking, clock: Clock) -> Ranking:
    """A ranking with what matches further down, in the order of words."""
    wanted = Wanted.of(asked.filters, catalogue.values)
    further = matched(catalogue, replace(asked, offset=DEPTH - asked.limit), wanted, clock)[0].rows
    more = further[~np.isin(further, found.rows)] if "lexical" in asked.legs else further[:0]
    rows, scores = np.concatenate([found.rows, more]), np.concatenate([found.scores, np.zeros(len(more))])
    return replace(found, rows=rows, scores=scores)


def _ranking(catalogue: Catalogue, model: Ready | None, pace: Pace, asked: Search, clock: Clock) -> Ranking:
    found = gathered(catalogue, model, asked, clock)
    pool = found.pool
    known = partial(Ranking, pool=pool, total=found.total, every=found.every, listed=found.listed)
    rows, scores = pool.rows.copy(), pool.scores.copy()
    if model is None or pool.final or not (asked.rerank and asked.query and len(pool.rows)):
        return known(rows=rows, scores=scores, judged=_NOTHING)
    with clock.stage("rerank"):
        best = pool.rows[:RERANKED]
        judged_N = scored(model, pace, asked.query, best, clock.start + asked.budget_ms / 1e3)
        count, order = len(judged_N), np.argsort(-judged_N, kind="stable")
        scores[order] += WEIGHT * reciprocal(count)
        front = np.argsort(-scores[:count], kind="stable")
        rows[:count], scores[:count] = rows[front], scores[front]
    return known(rows=rows, scores=scores, judged=(best[order], judged_N[order]), complete=count == len(best))


def _by_price(catalogue: Catalogue, asked: Search, clock: Clock) -> Ranking:
    found, every = matched(catalogue, asked, Wanted.of(asked.filters, catalogue.values), clock)
    pool = Pool(rows=found.rows, scores=found.scores, legs={})
    return Ranking(
        pool=pool,
        rows=found.rows,
        scores=found.scores,
        judged=_NOTHING,
        total=found.total,
        every=every,
        listed=_NOTHING[0],
    )


def _counted(catalogue: Catalogue, asked: Search, ranking: Ranking) -> list[Facet]:
    # Sorted by price, all that has any of the words counts; by relevance, only the best of it, which are listed.
    by_words = asked.sort != "relevance" or (ranking.every and "lexical" in asked.legs)
    query = partial(catalogue.words.query, asked.query, prefix=asked.prefix, every=ranking.every)
    matching = query if by_words else None
    rows = ranking.rows if matching is None or len(ranking.rows) == ranking.total else None
    found = Found(rows=rows, matching=matching, listed=ranking.listed)
    return Counting(catalogue, found, asked.filters).facets(asked.facets)


def _hits(catalogue: Catalogue, asked: Search, ranking: Ranking) -> list[Hit]:
    pool, tokens = ranking.pool, {*tokens_of(asked.query)}
    judged = {"fused": (pool.rows, pool.scores), "model": ranking.judged} if len(ranking.judged[0]) else {}
    last = fold(asked.query).split()[-1:] if asked.prefix else []
    page = slice(asked.offset, min(asked.offset + asked.limit, DEPTH))
    rows, scores = ranking.rows[page].tolist(), np.nan_to_num(ranking.scores[page]).tolist()
    # Where nothing is asked, products are listed, not found.
    found_by = places({**pool.legs, **judged} if asked.query else {}, rows)
    products = [catalogue.product(row) for row in rows]
    return [
        Hit(
            position=asked.offset + at + 1,
            product=product,
            score=scores[at],
            marks=marks(product.title, tokens, last[0] if last else ""),
            found_by=found_by[at],
        )
        for at, product in enumerate(products)
    ]
