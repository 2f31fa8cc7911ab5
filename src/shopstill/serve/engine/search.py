"""A search: both legs, fused, put in order by the model within a budget of time, counted, and shown."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from pydantic import TypeAdapter

from shopstill.data.text import fold, normalise
from shopstill.serve.engine.counting import Counting, Found
from shopstill.serve.engine.legs import LEXICAL, WEIGHTS, Pool, blend, by_words, dense, fuse, places, reciprocal
from shopstill.serve.engine.marks import marks
from shopstill.serve.engine.ranking import RERANKED, WEIGHT, Pace, scored
from shopstill.serve.engine.recent import Recent
from shopstill.serve.engine.spelling import corrected
from shopstill.serve.forms import DEPTH, LONGEST, Answer, Facet, Filters, Hit, Search
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.index.facets import Wanted
from shopstill.serve.index.ready import Ready
from shopstill.serve.index.words import Matched, tokens_of

form = TypeAdapter(Filters)

_NOTHING = (np.zeros(0, np.int64), np.zeros(0, np.float32))


@dataclass
class Clock:
    """Time since a search began, and what each stage took, in ms."""

    start: float = field(default_factory=time.perf_counter)
    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what is done within as a stage."""
        start = time.perf_counter()
        yield
        self.stages[name] = self.stages.get(name, 0.0) + 1e3 * (time.perf_counter() - start)

    @property
    def ms(self) -> float:
        """So far."""
        return 1e3 * (time.perf_counter() - self.start)


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """All that was found for a query, best first.

    Attributes:
        pool: what the legs found.
        rows: in their final order.
        scores: of the same rows.
        judged: rows that the model scored, best first, and its scores.
        total: products that match.
        complete: whether the budget was enough.
        every: whether what matches has every word; else it has any.
    """

    pool: Pool
    rows: np.ndarray
    scores: np.ndarray
    judged: tuple[np.ndarray, np.ndarray]
    total: int
    complete: bool = True
    every: bool = True


@dataclass(frozen=True, kw_only=True)
class Served:
    """A model as it answers: its name, how fast it is, and what it ranked of late."""

    name: str
    model: Ready
    pace: Pace
    recent: Recent[Ranking]


def search(catalogue: Catalogue, served: Served, asked: Search) -> Answer:
    """Answer a search on one model."""
    clock = Clock()
    # Spelling a ligature out may make a text longer.
    typed = normalise(asked.query)[:LONGEST]
    # A form is checked anew when it is made anew.
    asked = asked if asked.query == typed else replace(asked, query=typed)
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


def pool_of(catalogue: Catalogue, model: Ready, asked: Search, clock: Clock) -> tuple[Pool, Matched, bool]:
    """What both legs find, fused; what the lexical one matched in all; and whether that has every word."""
    wanted, legs = Wanted.of(asked.filters, catalogue.values), {}
    matched, every = _matched(catalogue, asked, wanted, clock)
    if "lexical" in asked.legs:
        legs["lexical"] = (matched.rows[:LEXICAL], matched.scores[:LEXICAL])
    if "dense" in asked.legs and asked.query and model.near is not None:
        with clock.stage("dense"):
            legs["dense"] = dense(catalogue, model, asked.query, wanted)
    with clock.stage("fuse"):
        return _fused(model, asked.query, legs), matched, every


def _fused(model: Ready, query: str, legs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Pool:
    """What the legs found, put together as the model was shipped for."""
    weight = model.bundle.manifest.fusion
    if weight is None or len(legs) < len(WEIGHTS):
        return fuse(legs)
    return blend(legs, weight, lambda rows: model.vectors(rows) @ model.vector(query))


def _ranked(catalogue: Catalogue, served: Served, asked: Search, clock: Clock) -> Ranking:
    """The ranking that an earlier page was of, or else a new one."""
    if asked.sort != "relevance":
        return _by_price(catalogue, asked, clock)
    # By content, not by name: another model may be loaded under the name of one that is gone.
    model = served.model.bundle.manifest.digest
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
    matched = _matched(catalogue, replace(asked, offset=DEPTH - asked.limit), wanted, clock)[0].rows
    more = matched[~np.isin(matched, found.rows)] if "lexical" in asked.legs else matched[:0]
    rows, scores = np.concatenate([found.rows, more]), np.concatenate([found.scores, np.zeros(len(more))])
    return replace(found, rows=rows, scores=scores)


def _ranking(catalogue: Catalogue, model: Ready, pace: Pace, asked: Search, clock: Clock) -> Ranking:
    pool, matched, every = pool_of(catalogue, model, asked, clock)
    lexical = len(pool.legs["lexical"][0]) if "lexical" in pool.legs else 0
    # Of what has any of the words only the best count: the rest has next to nothing of what was asked.
    total = len(pool.rows) + (matched.total - lexical if lexical and every else 0)
    rows, scores = pool.rows.copy(), pool.scores.copy()
    if pool.final or not (asked.rerank and asked.query and len(pool.rows)):
        return Ranking(pool=pool, rows=rows, scores=scores, judged=_NOTHING, total=total, every=every)
    with clock.stage("rerank"):
        best = pool.rows[:RERANKED]
        judged_N = scored(model, pace, asked.query, best, clock.start + asked.budget_ms / 1e3)
        count, order = len(judged_N), np.argsort(-judged_N, kind="stable")
        scores[order] += WEIGHT * reciprocal(count)
        front = np.argsort(-scores[:count], kind="stable")
        rows[:count], scores[:count] = rows[front], scores[front]
    return Ranking(
        pool=pool,
        rows=rows,
        scores=scores,
        judged=(best[order], judged_N[order]),
        total=total,
        every=every,
        complete=count == len(best),
    )


def _matched(catalogue: Catalogue, asked: Search, wanted: Wanted, clock: Clock) -> tuple[Matched, bool]:
    """What has every word; or, where that is little, what has any; and which of the two it is."""
    depth = min(DEPTH, max(LEXICAL, asked.offset + asked.limit))
    with clock.stage("lexical"):
        return by_words(catalogue.words, asked.query, wanted, depth, prefix=asked.prefix, sort=asked.sort)


def _by_price(catalogue: Catalogue, asked: Search, clock: Clock) -> Ranking:
    found, every = _matched(catalogue, asked, Wanted.of(asked.filters, catalogue.values), clock)
    pool = Pool(rows=found.rows, scores=found.scores, legs={})
    return Ranking(pool=pool, rows=found.rows, scores=found.scores, judged=_NOTHING, total=found.total, every=every)


def _beside(pool: Pool) -> np.ndarray:
    """What was found by vectors alone, beside words."""
    if "lexical" not in pool.legs or "dense" not in pool.legs:
        return pool.rows[:0]
    return np.setdiff1d(pool.legs["dense"][0], pool.legs["lexical"][0])


def _counted(catalogue: Catalogue, asked: Search, ranking: Ranking) -> list[Facet]:
    # Sorted by price, all that has any of the words counts; by relevance, only the best of it, which are listed.
    by_words = asked.sort != "relevance" or (ranking.every and "lexical" in asked.legs)
    query = partial(catalogue.words.query, asked.query, prefix=asked.prefix, every=ranking.every)
    matching = query if by_words else None
    rows = ranking.rows if matching is None or len(ranking.rows) == ranking.total else None
    found = Found(rows=rows, matching=matching, beside=_beside(ranking.pool))
    return Counting(catalogue, found, asked.filters).facets(asked.facets)


def _hits(catalogue: Catalogue, asked: Search, ranking: Ranking) -> list[Hit]:
    pool, tokens = ranking.pool, {*tokens_of(asked.query)}
    judged = {"fused": (pool.rows, pool.scores), "model": ranking.judged} if len(ranking.judged[0]) else {}
    last = fold(asked.query).split()[-1:] if asked.prefix else []
    page = slice(asked.offset, min(asked.offset + asked.limit, DEPTH))
    rows, scores = ranking.rows[page].tolist(), np.nan_to_num(ranking.scores[page]).tolist()
    found_by = places({**pool.legs, **judged}, rows)
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
