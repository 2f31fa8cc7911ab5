"""Who may work, who waits, and who is refused at once: a server that is full says so rather than slow down for all.

A queue is there for bursts. One that never empties only makes everybody wait (Nichols and Jacobson, "Controlling Queue
Delay", ACM Queue 10(5), 2012). From the length of the queue alone the two cannot be told apart, nor from a stall, such
as when a model is loaded: then, too, many wait, and yet the workers will soon have caught up. What tells them apart is
what is asked for, so each lane meters it: the meter rises by the work of every request, refused ones too, and falls by
a second a second for each worker. It is the queue that there would be had nothing stalled.

- While the meter is low, everyone is let in, however many wait: there is time enough for all of them.
- Once it is over the longest wait, more is asked for than can be done. A request is then let in only shortly before a
  worker is free for it: as long before as it takes until another comes, so that what is answered keeps its latency and
  workers hardly rest. The more is asked for, the shorter that is. And of those who wait already, who waited for long is
  refused, since whoever comes after them would wait as long (Maurer, "Fail at Scale", ACM Queue 13(8), 2015).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from shopstill.serve.app.errors import Refusal, busy
from shopstill.serve.app.threads import Job, Threads

T = TypeVar("T")

_FIRST_MS = 2.0
_LEARN = 0.1
_MOST_AT_ONCE = 5
_STANDING_S = 0.005  # how long anything may wait though the meter is over; CoDel's target
_HOPE = 4
_GAPS = 2.0  # between requests: within two of them another comes seven times in eight
_LEAST_GAP_S = 0.0005
_BEYOND = 1.25
_MOST_WAITING = 10_000
_STALLED = 10

Gone = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Place:
    """A place in the queue: since when, what the work is expected to take, and whether its turn came or never will."""

    since: float
    expected: float
    turn: asyncio.Future[bool]


class Lane:
    """Threads that work on one kind of request, and a queue before them whose wait is bounded.

    What work will take is the moving average of its kind, from when a worker is free for it to when its outcome is
    known. The meter is over where a request would wait longer by it than ``wait_s`` and than its own work. Nobody waits
    longer than four times that, whatever happens.

    Args:
        name: in metrics and messages.
        workers: threads.
        wait_s: the longest wait that is expected of anyone.
        limit_s: when work that still runs is given up on; None for never.
        nice: by how much the threads stand back behind others for a core, where the system knows this of a thread.
        stalled_by: a lane whose rare work slows this one down, such as the loading of a model: while it runs, a wait
            ten times as long is expected of all, rather than that any of them is refused.
    """

    def __init__(
        self,
        name: str,
        workers: int,
        wait_s: float,
        limit_s: float | None = None,
        *,
        nice: int = 0,
        stalled_by: Lane | None = None,
    ) -> None:
        self.name, self.workers = name, workers
        self._patience_s, self._limit_s, self._stalled_by = wait_s, limit_s, stalled_by
        self._threads = Threads(f"shopstill-{name}", workers, self._finish, nice)
        self._running = 0
        self._ends: dict[Job, float] = {}
        self._gap_s, self._asked_at = 0.0, time.perf_counter()
        self._waiting: deque[_Place] = deque()
        self._waiting_s = 0.0
        self._mean_s: dict[str, float] = {}
        self._meter_s, self._read_at = 0.0, time.perf_counter()
        self._over = False

    @property
    def running(self) -> int:
        """Pieces of work that a thread is busy with."""
        return self._running

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        return len(self._waiting)

    @property
    def _wait_s(self) -> float:
        """The longest wait that is expected of anyone now."""
        stalled = self._stalled_by is not None and self._stalled_by.running
        return self._patience_s * (_STALLED if stalled else 1)

    def expected_wait(self) -> float:
        """Seconds that a request which came now would wait, had nothing stalled."""
        now = time.perf_counter()
        self._meter_s = max(0.0, self._meter_s - self.workers * (now - self._read_at))
        self._read_at = now
        return self._meter_s / self.workers

    def admit(self, kind: str) -> float:
        """Let a piece of work in, if there is room: seconds that it is expected to take.

        Raises:
            Refusal: there is too much to do.
        """
        if self.full(kind):
            raise busy(self.expected_wait(), f"{self.name}: there is too much to do")
        return self._expected(kind)

    def full(self, kind: str) -> bool:
        """Whether there is too much to do for a piece of work, which then counts as refused."""
        expected = self._expected(kind)
        self._over = self.expected_wait() > max(self._wait_s, expected)
        early = min(_GAPS * max(self._gap_s, _LEAST_GAP_S), expected)
        full = (self._over and self._ahead_s(expected) > early) or len(self._waiting) >= _MOST_WAITING
        if full:
            self._meter(expected)
        return full

    def _ahead_s(self, expected: float) -> float:
        """Seconds until a worker is likely to be free for a request that comes now.

        Args:
            expected: seconds that a worker needs which was given work and has not begun it.
        """
        now, begun = time.perf_counter(), self._ends.values()
        ends = begun if len(begun) == self._running else [*begun, now + expected]
        until = max(0.0, min(ends) - now) if self._running == self.workers else 0.0
        return until + self._waiting_s / self.workers

    def _expected(self, kind: str) -> float:
        return self._mean_s.get(kind, _FIRST_MS / 1000)

    def _meter(self, expected: float) -> None:
        """Note that work was asked for; once over, a little more, so that the next gap is not taken for the end."""
        most = _BEYOND * self.workers * max(self._wait_s, expected)
        self._meter_s = min(most, self._meter_s + expected)
        now = time.perf_counter()
        self._gap_s += _LEARN * (now - self._asked_at - self._gap_s)
        self._asked_at = now

    async def run(self, kind: str, work: Callable[[], T], gone: Gone | None = None) -> T:
        """Do a piece of work in a thread.

        Args:
            kind: of the work, whose usual time is remembered.
            work: what blocks.
            gone: whether the client has gone away; asked after a wait, and then the work is not begun.

        Raises:
            Refusal: there is too much to do, the client has gone, or the work took too long.
        """
        expected = self.admit(kind)
        self._meter(expected)
        await self._turn(expected, gone)
        return await self._work(kind, work)

    async def _turn(self, expected: float, gone: Gone | None) -> None:
        """Wait for a free thread, and take it."""
        if self._running < self.workers and not self.waiting:
            self._running += 1
            return
        place = _Place(since=time.perf_counter(), expected=expected, turn=asyncio.get_running_loop().create_future())
        self._waiting.append(place)
        self._waiting_s += expected
        longest = _HOPE * max(self._wait_s, expected)
        try:
            async with asyncio.timeout(longest):
                came = await place.turn
            if came and gone is not None and await gone():
                raise Refusal(499, "gone", "the client has gone away")
        except TimeoutError:
            self._leave(place)
            raise self._in_vain(place) from None
        except BaseException:
            self._leave(place)
            raise
        if not came:
            raise self._in_vain(place)

    def _in_vain(self, place: _Place) -> Refusal:
        waited = time.perf_counter() - place.since
        return busy(self.expected_wait(), f"{self.name}: waited {waited:.2g} s for a worker in vain")

    def _leave(self, place: _Place) -> None:
        """Give up a place in the queue; where the turn had come already, it goes to the next."""
        turn = place.turn
        if turn.done() and not turn.cancelled():
            if turn.result():
                self._next()
            return
        turn.cancel()
        if place in self._waiting:
            self._waiting.remove(place)
            self._waiting_s -= place.expected

    def _next(self) -> None:
        """Hand a thread that became free to who waits longest, though not too long where there is too much to do."""
        now = time.perf_counter()
        while self._waiting:
            place = self._waiting.popleft()
            self._waiting_s -= place.expected
            if place.turn.done():
                continue
            come = not self._over or now - place.since <= _HOPE * max(_STANDING_S, place.expected)
            place.turn.set_result(come)
            if come:
                return
        self._waiting_s = 0.0
        self._running -= 1

    async def _work(self, kind: str, work: Callable[[], T]) -> T:
        job = self._threads.begin(kind, work)
        self._ends[job] = job.began + self._expected(kind)
        outcome: asyncio.Future[T] = job.outcome
        try:
            async with asyncio.timeout(self._limit_s):
                return await outcome
        except TimeoutError:
            if not outcome.cancelled():
                raise  # it is the work's own
            raise busy(self.expected_wait(), f"{self.name}: not done within {self._limit_s:g} s") from None

    def _finish(self, job: Job) -> None:
        """Note that a thread is free again."""
        self._learn(job.kind, time.perf_counter() - job.began)
        del self._ends[job]
        self._next()

    def _learn(self, kind: str, took: float) -> None:
        mean = self._expected(kind)
        # One slow answer, such as the first after a start, does not make the server think that all are.
        self._mean_s[kind] = mean + _LEARN * (min(took, _MOST_AT_ONCE * mean) - mean)

    def close(self) -> None:
        """Wait for what runs, and let go of the threads."""
        self._threads.close()
