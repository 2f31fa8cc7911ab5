"""What is found for a query: both legs, fused, and how much it is.

A filter takes away from what is found without it, so that the counts of facets hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shopstill.serve.engine.clock import Clock
from shopstill.serve.engine.legs import (
    LEXICAL,
    WEIGHTS,
    Brought,
    Pool,
    blend,
    by_words,
    dense,
    fuse,
    narrowed,
    nearest_that_fit,
)
from shopstill.serve.forms import DEPTH, Search
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.index.facets import Wanted
from shopstill.serve.index.ready import Ready
from shopstill.serve.index.words import Matched


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What the legs found for a query under its filters, and how much it is.

    Attributes:
        pool: what they found, fused.
        total: products that match.
        every: whether what matches has every word; else it has any.
        listed: rows found otherwise than by having every word, whatever the filters: each is counted by itself.
    """

    pool: Pool
    total: int
    every: bool
    listed: np.ndarray


def gathered(catalogue: Catalogue, model: Ready | None, asked: Search, clock: Clock) -> Gathered:
    """What the legs find and fits; only where none of it fits, what they find looking through nothing but what fits."""
    wanted, legs = Wanted.of(asked.filters, catalogue.values), dict[str, Brought]()
    found, every = matched(catalogue, asked, wanted, clock)
    if "lexical" in asked.legs:
        legs["lexical"] = (found.rows[:LEXICAL], found.scores[:LEXICAL])
    if "dense" in asked.legs and asked.query and model is not None and model.near is not None:
        with clock.stage("dense"):
            legs["dense"] = dense(catalogue, model, asked.query)
    worded = every and "lexical" in legs
    with clock.stage("lexical"):
        cut = bool(wanted) or found.total > LEXICAL
        listed = _listed(catalogue, asked, legs, cut) if worded else _union(legs)
    fitting = {name: narrowed(catalogue, leg, wanted) for name, leg in legs.items()}
    if wanted and asked.query and not any(len(rows) for rows, _ in fitting.values()):
        fitting = _resort(catalogue, model, asked, wanted, fitting)
        listed = np.concatenate([listed, _union(fitting)])
    total = int(np.count_nonzero(catalogue.fit(listed, wanted))) + (found.total if worded else 0)
    with clock.stage("fuse"):
        return Gathered(pool=_fused(model, asked.query, fitting), total=total, listed=listed, every=every)


def _listed(catalogue: Catalogue, asked: Search, legs: Mapping[str, Brought], cut: bool) -> np.ndarray:
    """Rows that are found otherwise than by having every word, whatever the filters.

    Args:
        cut: whether more has every word than the leg of words lists.
    """
    beside = _less(_union(legs), legs["lexical"][0])
    if not (cut and len(beside)):
        return beside
    words = catalogue.words
    return _less(beside, words.among(words.query(asked.query, Wanted(), prefix=asked.prefix), beside))


def _union(legs: Mapping[str, Brought]) -> np.ndarray:
    # For a few hundred rows a dictionary is sooner done than sorting them.
    rows = dict.fromkeys(row for rows, _ in legs.values() for row in rows.tolist())
    return np.fromiter(rows, np.int64, len(rows))


def _less(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Rows that are not among others."""
    known = {*others.tolist()}
    return np.fromiter((row for row in rows.tolist() if row not in known), np.int64)


def _resort(
    catalogue: Catalogue, model: Ready | None, asked: Search, wanted: Wanted, legs: Mapping[str, Brought]
) -> dict[str, Brought]:
    """What the same legs find looking through nothing but what fits: what has any of the words, and what is nearest."""
    found, words = dict[str, Brought](), catalogue.words
    if "lexical" in legs:
        any_word = words.query(asked.query, wanted, prefix=asked.prefix, every=False)
        best = words.search(any_word, LEXICAL, count=False)
        found["lexical"] = (best.rows, best.scores)
    if model is not None and "dense" in legs:
        found["dense"] = nearest_that_fit(catalogue, model, asked.query, wanted)
    return found


def _fused(model: Ready | None, query: str, legs: Mapping[str, Brought]) -> Pool:
    """What the legs found, put together as the model was shipped for."""
    weight = None if model is None else model.bundle.manifest.fusion
    if model is None or weight is None or len(legs) < len(WEIGHTS):
        return fuse(legs)
    return blend(legs, weight, lambda rows: model.vectors(rows) @ model.vector(query))


def matched(catalogue: Catalogue, asked: Search, wanted: Wanted, clock: Clock) -> tuple[Matched, bool]:
    """What has every word; or, where that is little, what has any; and which of the two it is."""
    depth = min(DEPTH, max(LEXICAL, asked.offset + asked.limit))
    with clock.stage("lexical"):
        return by_words(catalogue.words, asked.query, wanted, depth, prefix=asked.prefix, sort=asked.sort)
