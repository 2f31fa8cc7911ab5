"""Times with a clock that the test winds, so that nothing depends on the machine."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from shopstill.core.errors import ConfigError
from shopstill.evaluate.latency import Timing, measure


class Clock:
    """Nanoseconds that pass only when a contender works, and one for each look at it."""

    def __init__(self) -> None:
        self.now = 0
        self.slower = 1.0

    def __call__(self) -> int:
        self.now += 1
        return self.now


class Work:
    note = "counts"

    def __init__(self, clock: Clock, ns: int, log: list[str] | None = None, name: str = "") -> None:
        self.clock, self.ns, self.log, self.name = clock, ns, log, name

    def prepare(self, candidates: int, threads: int) -> Callable[[], None]:
        def call() -> None:
            if self.log is not None:
                self.log.append(self.name)
            self.clock.now += int(self.ns * candidates * self.clock.slower)

        return call


def test_medians_and_ratio_are_those_of_the_work() -> None:
    clock = Clock()
    timing = Timing(candidates=(1, 100), threads=(1,), seconds=1.0)
    told = measure({"slow": Work(clock, 1_000_000), "fast": Work(clock, 1_000)}, timing, "slow", clock)
    slow, fast = told.cell("slow", 100, 1), told.cell("fast", 100, 1)
    assert slow is not None
    assert fast is not None
    assert slow.p50 == pytest.approx(100, rel=1e-3)
    assert fast.p50 == pytest.approx(0.1, rel=1e-3)
    ratio = told.ratio("fast", 100, 1)
    assert ratio is not None
    assert ratio.times.value == pytest.approx(1000, rel=0.01)
    assert ratio.times.low <= ratio.times.value <= ratio.times.high
    assert told.ratio("slow", 100, 1) is None
    assert told.notes["fast"] == "counts"
    assert told.machine["cores"] >= 1


def test_a_fast_contender_repeats_within_a_sample_and_a_slow_one_does_not() -> None:
    clock = Clock()
    told = measure(
        {"tiny": Work(clock, 50), "slow": Work(clock, 5_000_000)},
        Timing(candidates=(1,), threads=(1,), seconds=0.1),
        None,
        clock,
    )
    tiny, slow = told.cell("tiny", 1, 1), told.cell("slow", 1, 1)
    assert tiny is not None
    assert slow is not None
    assert tiny.repeats > 1000  # 100 µs a sample: a look at the clock is no part of it
    assert tiny.p50 == pytest.approx(50e-6, rel=0.01)
    assert slow.repeats == 1
    assert told.ratios == ()


def test_percentiles_are_silent_where_samples_are_few() -> None:
    clock = Clock()
    timing = Timing(candidates=(1,), threads=(1,), seconds=0.001, min_rounds=5)
    told = measure({"slow": Work(clock, 700_000_000), "fast": Work(clock, 100_000)}, timing, "slow", clock)
    slow, fast = told.cell("slow", 1, 1), told.cell("fast", 1, 1)
    assert slow is not None
    assert fast is not None
    assert (slow.samples, slow.rounds, slow.p95, slow.p99) == (5, 5, None, None)
    assert fast.samples >= 100
    assert fast.p99 is not None


def test_a_drift_of_the_machine_leaves_the_ratio_alone() -> None:
    clock = Clock()

    class Drifting(Work):
        def prepare(self, candidates: int, threads: int) -> Callable[[], None]:
            call = super().prepare(candidates, threads)

            def drifting() -> None:
                clock.slower = 1 + clock.now / 1e9  # twice as slow after a second
                call()

            return drifting

    timing = Timing(candidates=(1,), threads=(1,), seconds=2.0)
    told = measure({"a": Drifting(clock, 2_000_000), "b": Drifting(clock, 1_000_000)}, timing, "a", clock)
    ratio = told.ratio("b", 1, 1)
    assert ratio is not None
    assert ratio.times.value == pytest.approx(2, rel=0.05)


def test_contenders_take_turns_in_changing_order() -> None:
    clock = Clock()
    log: list[str] = []
    contenders = {name: Work(clock, 30_000_000, log, name) for name in "abc"}
    measure(contenders, Timing(candidates=(1,), threads=(1,), seconds=0.5, warmups=1), None, clock)
    rounds = [tuple(log[i : i + 3]) for i in range(3, len(log) - 2, 3)]
    assert all(sorted(r) == ["a", "b", "c"] for r in rounds)
    assert len(set(rounds)) > 1
    assert gc.isenabled()


def test_the_collector_rests_during_a_turn_and_works_after_an_error() -> None:
    class Fails:
        note = ""

        def prepare(self, candidates: int, threads: int) -> Callable[[], None]:
            calls = iter(range(3))

            def call() -> None:
                if next(calls) == 2:
                    assert not gc.isenabled()
                    raise RuntimeError("broken")

            return call

    with pytest.raises(RuntimeError, match="broken"):
        measure({"x": Fails()}, Timing(candidates=(1,), threads=(1,), warmups=2, seconds=0.01))
    assert gc.isenabled()


def test_who_is_measured_must_be_there() -> None:
    with pytest.raises(ConfigError, match="did you mean 'teacher'"):
        measure({"teacher": Work(Clock(), 1)}, Timing(), "techer")
    with pytest.raises(ConfigError, match="no contender"):
        measure({}, Timing())
