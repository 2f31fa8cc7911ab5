"""What the model puts in order within a budget of time: as many of the best as there is time for.

Shapes: ``N`` candidates.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from shopstill.serve.index.ready import Ready

RERANKED = 100
"""Candidates that the model scores, where there is time."""

WEIGHT = 1.0
"""How much the model's ranks count beside the legs', found as ``legs.WEIGHTS`` was."""

_FIRST = 8
_MARGIN = 0.85
_OLD = 0.8
_FADES = 0.95
"""What is left of a pace each time that it keeps a search from trying at all: one slow moment is forgotten."""


@dataclass
class Pace:
    """How long a model takes for a candidate, as it was lately; in ms."""

    per_candidate: float = field(default=0.0)

    def take(self, candidates: int, ms: float) -> None:
        """Learn from a run."""
        now = ms / candidates
        self.per_candidate = now if not self.per_candidate else _OLD * self.per_candidate + (1 - _OLD) * now

    def fade(self) -> None:
        """Forget a little, where nothing was tried for lack of time: a moment's slowness must not last for good."""
        self.per_candidate *= _FADES

    def fits(self, ms: float) -> int:
        """Candidates that a time is enough for; a few where nothing is known yet."""
        return int(_MARGIN * ms / self.per_candidate) if self.per_candidate else _FIRST


def scored(model: Ready, pace: Pace, query: str, rows_N: np.ndarray, until: float) -> np.ndarray:
    """Scores of the first candidates, as many as there is time for.

    Args:
        model: that scores.
        pace: how fast it is; it learns.
        query: what was asked.
        rows_N: candidates, best first.
        until: when to stop, by ``time.perf_counter``.
    """
    parts: list[np.ndarray] = []
    done = 0
    while done < len(rows_N):
        start = time.perf_counter()
        some = rows_N[done : done + pace.fits(1e3 * (until - start))]
        if not len(some):
            if not done:
                pace.fade()
            break
        parts.append(model.score(query, some))
        pace.take(len(some), 1e3 * (time.perf_counter() - start))
        done += len(some)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
