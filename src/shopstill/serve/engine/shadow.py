"""A second model off the path of the answers: how far it would have ordered a sample of the searches otherwise."""

from __future__ import annotations

import queue
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shopstill.data.text import language, length
from shopstill.serve.engine.agreement import shared, tau
from shopstill.serve.forms import Answer
from shopstill.serve.index.live import Snapshot

_WAITING, _KEPT = 256, 1_000
_ENOUGH = 30
"""Searches before an alarm is raised."""


NOTHING: dict[str, Any] = {
    "model": None,
    "sampled": 0,
    "dropped": 0,
    "failed": 0,
    "threshold": 0.0,
    "alarm": False,
    "slices": {},
}
"""The state where no second model is there."""


@dataclass(frozen=True, kw_only=True)
class Shadowing:
    """A second model off the path of the answers: its bundle, the share of searches it scores, and when to alarm."""

    bundle: Path
    share: float = 0.05
    alarm: float = 0.5


class Shadow:
    """Counts disagreement of two models by slice of the queries.

    Args:
        name: of the second model.
        share: of the searches that it scores, from 0 to 1.
        alarm: raised while the part of the first ten that both models share is below this, on average.
        now: the index as it is; both models are there by name.
    """

    def __init__(self, name: str, share: float, alarm: float, now: Callable[[], Snapshot]) -> None:
        self.name, self.share, self.alarm, self._now = name, share, alarm, now
        self.sampled = self.dropped = self.failed = 0
        self._slices: dict[str, deque[tuple[float, float]]] = {}
        self._waiting: queue.Queue[Answer | None] = queue.Queue(_WAITING)
        self._draw = random.Random(0)
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="shopstill-shadow", daemon=True)
        self._thread.start()

    def offer(self, answer: Answer) -> None:
        """Maybe have a search scored later; dropped, and counted as such, where too many wait."""
        if len(answer.hits) < 2 or self._draw.random() >= self.share:
            return
        try:
            self._waiting.put_nowait(answer)
        except queue.Full:
            self.dropped += 1

    def state(self) -> dict[str, Any]:
        """What was found so far: by slice the number of searches, the part of the first ten shared, and tau."""
        with self._counting:
            slices = {name: _mean(found) for name, found in sorted(self._slices.items())}
        every = slices.get("all", {"n": 0, "top10": 1.0, "tau": None})
        return {
            "model": self.name,
            "sampled": self.sampled,
            "dropped": self.dropped,
            "failed": self.failed,
            "threshold": self.alarm,
            "alarm": every["n"] >= _ENOUGH and every["top10"] < self.alarm,
            "slices": slices,
        }

    def close(self) -> None:
        """Stop once what waits is done."""
        self._waiting.put(None)
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while (answer := self._waiting.get()) is not None:
            try:
                found = self._compared(answer)
            except Exception:  # noqa: BLE001 - a shadow that fails must not stop, and must not be heard by shoppers
                self.failed += 1
                continue
            with self._counting:
                self.sampled += 1
                for name in _slices(answer.query):
                    kept = self._slices.setdefault(name, deque(maxlen=_KEPT))
                    kept.append((found[0], np.nan if found[1] is None else found[1]))

    def _compared(self, answer: Answer) -> tuple[float, float | None]:
        """On the products that were shown, as both models score them now."""
        now = self._now()
        found = (now.catalogue.row(hit.product.id) for hit in answer.hits)
        rows = np.array([row for row in found if row is not None], np.int64)
        one, other = (now.ready[name].score(answer.query, rows).reshape(-1) for name in (answer.model, self.name))
        return shared(one, other), tau(one, other)


def _slices(query: str) -> tuple[str, ...]:
    words = length(query)
    size = "1 word" if words <= 1 else "2 words" if words == 2 else "3 words" if words == 3 else "4 words or more"
    return "all", size, f"language {language(query)}"


def _mean(found: deque[tuple[float, float]]) -> dict[str, Any]:
    values = np.array(found)
    known = values[:, 1][np.isfinite(values[:, 1])]
    return {"n": len(values), "top10": float(values[:, 0].mean()), "tau": float(known.mean()) if len(known) else None}
