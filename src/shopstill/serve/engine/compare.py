"""Two models side by side on one query: the same candidates, each model's order, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shopstill.serve.engine.agreement import shared, tau
from shopstill.serve.engine.clock import Clock
from shopstill.serve.engine.gather import gathered
from shopstill.serve.engine.ranking import RERANKED
from shopstill.serve.engine.spelling import corrected
from shopstill.serve.forms import Comparison, Hit, Place, Ranked, Search
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.index.ready import Ready

Side = tuple[str, Ready]


def compare(catalogue: Catalogue, query: str, sides: tuple[Side, Side], limit: int) -> Comparison:
    """What the first model's legs find, in the order of both; spelt as a search spells it."""
    better = corrected(catalogue, query)
    asked = better or query
    pool = gathered(catalogue, sides[0][1], Search(query=asked), Clock()).pool
    rows = pool.rows[:RERANKED]
    one, other = (_scored(model, asked, rows) for _, model in sides)
    ranked = [
        Ranked(model=name, hits=_hits(catalogue, rows, scores, pool.scores, limit), took_ms=ms)
        for (name, _), (scores, ms) in zip(sides, (one, other), strict=True)
    ]
    return Comparison(
        query=query,
        sides=(ranked[0], ranked[1]),
        tau=tau(one[0], other[0]) if len(rows) else None,
        shared=shared(one[0], other[0]),
        spelling=better,
    )


def _scored(model: Ready, query: str, rows: np.ndarray) -> tuple[np.ndarray, float]:
    clock = Clock()
    return model.score(query, rows).reshape(-1) if len(rows) else np.zeros(0, np.float32), clock.ms


def _hits(
    catalogue: Catalogue, rows: np.ndarray, scores: np.ndarray, fused: Sequence[float] | np.ndarray, limit: int
) -> list[Hit]:
    return [
        Hit(
            position=rank + 1,
            product=catalogue.product(int(rows[at])),
            score=float(scores[at]),
            found_by={"pool": Place(rank=int(at) + 1, score=float(fused[at]))},
        )
        for rank, at in enumerate(np.argsort(-scores, kind="stable")[:limit])
    ]
