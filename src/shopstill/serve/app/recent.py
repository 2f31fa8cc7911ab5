"""What the server did lately, for the lab: how long each stage took, and how many requests came and failed."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping

from pydantic import Field

from shopstill.core.config import config

_ANSWERS = 2_000
_WINDOW_S = 60


@config
class Quantiles:
    """How long a stage took in the last answers."""

    p50: float
    p95: float
    p99: float


@config
class Now:
    """The last minute, and the stages of the last answers.

    Attributes:
        requests_per_s: of the last minute.
        statuses: requests of the last minute by status.
        answers: that the quantiles are of.
        stages_ms: quantiles of each stage; ``total`` is all of them together.
    """

    requests_per_s: float
    statuses: dict[str, int] = Field(default_factory=dict)
    answers: int
    stages_ms: dict[str, Quantiles] = Field(default_factory=dict)


class Recent:
    """A ring of the last answers, and a minute of counts."""

    def __init__(self) -> None:
        self._answers: deque[Mapping[str, float]] = deque(maxlen=_ANSWERS)
        self._seconds: deque[tuple[int, Counter[int]]] = deque(maxlen=_WINDOW_S)
        self._since = time.monotonic()

    def answer(self, stages_ms: Mapping[str, float], took_ms: float) -> None:
        """Note an answer."""
        self._answers.append({**stages_ms, "total": took_ms})

    def request(self, status: int) -> None:
        """Note a request."""
        second = int(time.monotonic())
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, Counter()))
        self._seconds[-1][1][status] += 1

    def now(self) -> Now:
        """The last minute."""
        at = time.monotonic()
        counts: Counter[int] = Counter()
        for second, count in self._seconds:
            if second > at - _WINDOW_S:
                counts.update(count)
        stages: dict[str, list[float]] = {}
        for answer in self._answers:
            for stage, took in answer.items():
                stages.setdefault(stage, []).append(took)
        return Now(
            requests_per_s=round(counts.total() / min(_WINDOW_S, max(1.0, at - self._since)), 2),
            statuses={str(status): count for status, count in sorted(counts.items())},
            answers=len(self._answers),
            stages_ms={stage: quantiles(took) for stage, took in sorted(stages.items())},
        )


def quantiles(values: Iterable[float]) -> Quantiles:
    """The nearest ranks of p50, p95 and p99.

    >>> quantiles(range(1, 101))
    Quantiles(p50=50.0, p95=95.0, p99=99.0)
    """
    order = sorted(values)
    p50, p95, p99 = (float(order[max(0, math.ceil(len(order) * part / 100) - 1)]) for part in (50, 95, 99))
    return Quantiles(p50=p50, p95=p95, p99=p99)
