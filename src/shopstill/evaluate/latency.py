"""Latency of several contenders in one run, so that their ratio is worth something.

Shape legend: ``R`` rounds. Times of a machine drift with its temperature and its neighbours; a ratio is honest where
both sides met the same drift. So contenders take turns in short rounds, in a new order each round, and ratios are
taken round by round.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt

from shopstill.core.config import config
from shopstill.core.errors import ConfigError, nearest
from shopstill.core.hardware import cores, machine
from shopstill.core.progress import progress
from shopstill.evaluate.judged import Floats
from shopstill.evaluate.significance import Estimate

log = logging.getLogger(__name__)

Call = Callable[[], object]
Clock = Callable[[], int]

_BOOTSTRAP = 2000
_SAMPLES_FOR_P95, _SAMPLES_FOR_P99 = 20, 100


class Contender(Protocol):
    """Something whose answer is timed."""

    @property
    def note(self) -> str:
        """What one timed call does and does not include, in words for the report."""
        ...

    def prepare(self, candidates: int, threads: int) -> Call:
        """Set up to score one query against so many candidates on so many threads; return what is timed."""
        ...


@config
class Timing:
    """How latency is measured."""

    candidates: tuple[PositiveInt, ...] = Field(
        default=(1, 10, 100), min_length=1, description="products scored per query"
    )
    threads: tuple[NonNegativeInt, ...] = Field(
        default=(1, 0), min_length=1, description="threads a contender may use; 0 is every core"
    )
    seconds: float = Field(default=60.0, gt=0, description="time for all measurements together, about")
    warmups: int = Field(default=3, ge=1, description="calls before the first that counts")
    min_rounds: int = Field(default=5, ge=2, description="rounds that are made even where time is short")
    turn_ms: float = Field(default=20.0, gt=0, description="length of a contender's turn in a round; one call at least")
    sample_us: float = Field(
        default=100.0, gt=0, description="calls are repeated within a sample until it lasts this long"
    )
    memory: bool = Field(default=True, description="also take each model's peak memory, in a fresh process")
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One contender at one number of candidates and threads; times are of one call, in milliseconds.

    Attributes:
        p50: median; ``p95`` and ``p99`` are None where there are too few samples (20, 100) to say.
        samples: how many times were taken.
        repeats: calls within a sample; above 1 the percentiles are of means of so many calls.
        rounds: rounds, in each of which every contender had its turn.
    """

    contender: str
    candidates: int
    threads: int
    p50: float
    p95: float | None
    p99: float | None
    samples: int
    repeats: int
    rounds: int


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times a contender's time the reference takes: ratio of medians, interval over paired rounds."""

    contender: str
    reference: str
    candidates: int
    threads: int
    times: Estimate


@dataclass(frozen=True, kw_only=True)
class Latency:
    """All times of one run, with the machine they were taken on."""

    cells: tuple[Cell, ...]
    ratios: tuple[Ratio, ...]
    notes: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)

    def cell(self, contender: str, candidates: int, threads: int) -> Cell | None:
        """One contender's times; None where it was not measured so."""
        wanted = (contender, candidates, threads)
        return next((c for c in self.cells if (c.contender, c.candidates, c.threads) == wanted), None)

    def ratio(self, contender: str, candidates: int, threads: int) -> Ratio | None:
        """One contender's ratio to the reference; None where it was not measured so."""
        wanted = (contender, candidates, threads)
        return next((r for r in self.ratios if (r.contender, r.candidates, r.threads) == wanted), None)


def measure(
    contenders: Mapping[str, Contender],
    timing: Timing,
    reference: str | None = None,
    clock: Clock = time.perf_counter_ns,
) -> Latency:
    """Time every contender at every number of candidates and threads.

    For each pair of these, all contenders are prepared and warmed up; then come rounds, in each of which every
    contender has a turn, in random order, until the time is used. A turn is one call at least; a fast contender makes
    many, and repeats calls within a sample so that the clock's resolution does not matter. The garbage collector
    rests during a turn.

    Args:
        contenders: by name.
        timing: counts and time.
        reference: the contender that ratios are against, usually the teacher; None: no ratios.
        clock: nanoseconds, monotonic.

    Raises:
        ConfigError: there is no contender, or the reference is none of them.

    >>> class Sum:
    ...     note = "adds numbers"
    ...
    ...     def prepare(self, candidates, threads):
    ...         return lambda: sum(range(candidates))
    >>> timing = Timing(candidates=(10,), threads=(1,), seconds=0.01, turn_ms=0.1)
    >>> measure({"sum": Sum()}, timing).cells[0].contender
    'sum'
    """
    if not contenders or (reference is not None and reference not in contenders):
        raise ConfigError(f"latency: no contender {reference!r}; {nearest(str(reference), contenders)}")
    threads = dict.fromkeys(count or cores() for count in timing.threads)
    places = [(c, t) for t in threads for c in dict.fromkeys(timing.candidates)]
    cells: list[Cell] = []
    ratios: list[Ratio] = []
    with progress("measuring latency", len(places), "settings") as bar:
        for place in places:
            turns = _turns(contenders, place, timing, timing.seconds / len(places), clock)
            cells += [_cell(name, place, turn) for name, turn in turns.items()]
            if reference is not None:
                ratios += [_ratio(name, reference, place, turns, timing.seed) for name in turns if name != reference]
            bar.advance(1, f"{place[0]} candidates, {place[1]} threads")
    notes = {name: contender.note for name, contender in contenders.items()}
    return Latency(cells=tuple(cells), ratios=tuple(ratios), notes=notes, machine=machine())


@dataclass(kw_only=True)
class _Turns:
    """A prepared contender and the samples of its turns, in nanoseconds a call."""

    call: Call
    repeats: int
    samples_R: list[list[float]] = field(default_factory=list)

    def take(self, turn_ns: float, clock: Clock) -> None:
        samples: list[float] = []
        with _no_collection():
            begin = now = clock()
            while now - begin < turn_ns or not samples:
                start = clock()
                for _ in range(self.repeats):
                    self.call()
                now = clock()
                samples.append((now - start) / self.repeats)
        self.samples_R.append(samples)

    @property
    def median_R(self) -> Floats:
        return np.array([np.median(samples) for samples in self.samples_R])

    @property
    def samples(self) -> Floats:
        return np.concatenate([np.array(samples) for samples in self.samples_R])


def _turns(
    contenders: Mapping[str, Contender], place: tuple[int, int], timing: Timing, seconds: float, clock: Clock
) -> dict[str, _Turns]:
    turns = {name: _warm(contender.prepare(*place), timing, clock) for name, contender in contenders.items()}
    rng = np.random.default_rng(timing.seed)
    names, rounds, begin = list(turns), 0, clock()
    while rounds < timing.min_rounds or clock() - begin < seconds * 1e9:
        for index in rng.permutation(len(names)):
            turns[names[index]].take(timing.turn_ms * 1e6, clock)
        rounds += 1
    return turns


def _warm(call: Call, timing: Timing, clock: Clock) -> _Turns:
    best = float("inf")
    for _ in range(timing.warmups):
        start = clock()
        call()
        best = min(best, clock() - start)
    return _Turns(call=call, repeats=max(1, round(timing.sample_us * 1e3 / max(best, 1))))


def _cell(name: str, place: tuple[int, int], turn: _Turns) -> Cell:
    ms = turn.samples / 1e6
    return Cell(
        contender=name,
        candidates=place[0],
        threads=place[1],
        p50=float(np.median(ms)),
        p95=float(np.quantile(ms, 0.95)) if len(ms) >= _SAMPLES_FOR_P95 else None,
        p99=float(np.quantile(ms, 0.99)) if len(ms) >= _SAMPLES_FOR_P99 else None,
        samples=len(ms),
        repeats=turn.repeats,
        rounds=len(turn.samples_R),
    )


def _ratio(name: str, reference: str, place: tuple[int, int], turns: Mapping[str, _Turns], seed: int) -> Ratio:
    """Median over rounds of each contender's median in the round; the interval resamples whole rounds."""
    own_R, reference_R = turns[name].median_R, turns[reference].median_R
    pick = np.random.default_rng(seed).integers(0, len(own_R), (_BOOTSTRAP, len(own_R)))
    drawn = np.median(reference_R[pick], axis=1) / np.median(own_R[pick], axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    times = Estimate(value=float(np.median(reference_R) / np.median(own_R)), low=float(low), high=float(high))
    return Ratio(contender=name, reference=reference, candidates=place[0], threads=place[1], times=times)


@contextmanager
def _no_collection() -> Iterator[None]:
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
