"""Who may work, who waits, and who is refused at once: a server that is full says so rather than slow down for all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from shopstill.serve.app.errors import Refusal, busy

T = TypeVar("T")

_FIRST_MS = 2.0
_LEARN = 0.1
_MOST_AT_ONCE = 5
_OWN, _HOPE = 1, 4
_MOST_WAITING = 10_000

Gone = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """A piece of work on its way to a thread."""

    kind: str
    work: Callable[[], Any]
    expected: float
    outcome: asyncio.Future[Any]


class Lane:
    """Threads that work on one kind of request, and a queue before them whose wait is bounded.

    What a piece of work will take is the moving average of its kind. A request is refused at once where the work before
    it, shared among the workers, will take longer than ``wait_s`` and than its own work: so what is answered
    keeps its latency. Where that was too hopeful, it is refused after four times as long.

    Args:
        name: in metrics and messages.
        workers: threads.
        wait_s: the longest wait that is expected of anyone.
        limit_s: when work that still runs is given up on; None for never.
    """

    def __init__(self, name: str, workers: int, wait_s: float, limit_s: float | None = None) -> None:
        self.name, self.workers = name, workers
        self._wait_s, self._limit_s = wait_s, limit_s
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._mean_s: dict[str, float] = {}
        self._ahead_s = 0.0

    @property
    def running(self) -> int:
        """Pieces of work that a thread is busy with."""
        return self._running

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        return len(self._waiting)

    def expected_wait(self) -> float:
        """Seconds that a request which came now would wait."""
        return self._ahead_s / self.workers if self._running >= self.workers else 0.0

    def admit(self, kind: str) -> tuple[float, float]:
        """Let a piece of work in, if there is room: seconds that it is expected to take, and to wait at most.

        Raises:
            Refusal: there is too much to do.
        """
        expected = self._mean_s.get(kind, _FIRST_MS / 1000)
        longest = max(self._wait_s, _OWN * expected)
        if self.expected_wait() > longest or len(self._waiting) >= _MOST_WAITING:
            raise busy(self.expected_wait(), f"{self.name}: there is too much to do")
        return expected, longest

    async def run(self, kind: str, work: Callable[[], T], gone: Gone | None = None) -> T:
        """Do a piece of work in a thread.

        Args:
            kind: of the work, whose usual time is remembered.
            work: what blocks.
            gone: whether the client has gone away; asked after a wait, and then the work is not begun.

        Raises:
            Refusal: there is too much to do, the client has gone, or the work took too long.
        """
        expected, longest = self.admit(kind)
        self._ahead_s += expected
        try:
            await self._turn(_HOPE * longest, gone)
        except BaseException:
            self._ahead_s -= expected
            raise
        return await self._work(kind, work, expected)

    async def _turn(self, longest: float, gone: Gone | None) -> None:
        """Wait for a free thread, and take it."""
        if self._running < self.workers and not self.waiting:
            self._running += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(longest):
                await turn
            if gone is not None and await gone():
                raise Refusal(499, "gone", "the client has gone away")
        except TimeoutError:
            self._leave(turn)
            raise busy(self.expected_wait(), f"{self.name}: waited {longest:.2g} s for a worker in vain") from None
        except BaseException:
            self._leave(turn)
            raise

    def _leave(self, turn: asyncio.Future[None]) -> None:
        """Give up a place in the queue; where the turn had come already, it goes to the next."""
        if turn.done() and not turn.cancelled():
            self._next()
            return
        turn.cancel()
        if turn in self._waiting:
            self._waiting.remove(turn)

    def _next(self) -> None:
        """Hand a thread that became free to who waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._running -= 1

    async def _work(self, kind: str, work: Callable[[], T], expected: float) -> T:
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._start()
        self._jobs.put(_Job(kind=kind, work=work, expected=expected, outcome=outcome))
        try:
            async with asyncio.timeout(self._limit_s):
                return await outcome
        except TimeoutError:
            if not outcome.cancelled():
                raise  # it is the work's own
            raise busy(self.expected_wait(), f"{self.name}: not done within {self._limit_s:g} s") from None

    def _start(self) -> None:
        """Start the threads, when there is work for the first time."""
        while len(self._threads) < self.workers:
            thread = threading.Thread(target=self._serve, name=f"shopstill-{self.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        """What each thread does: work, and tell the loop what came of it."""
        while (job := self._jobs.get()) is not None:
            began = time.perf_counter()
            value, error = None, None
            try:
                value = job.work()
            except BaseException as cause:  # noqa: BLE001  (whatever it is, who asked for it must hear of it)
                error = cause
            # The loop may have gone, and everyone who asked with it.
            with suppress(RuntimeError):
                took = time.perf_counter() - began
                job.outcome.get_loop().call_soon_threadsafe(self._finish, job, took, value, error)

    def _finish(self, job: _Job, took: float, value: Any, error: BaseException | None) -> None:
        """Note that work is done, though it may have been given up on; up to here it held its thread."""
        self._learn(job.kind, took)
        self._ahead_s -= job.expected
        self._next()
        if job.outcome.done():
            return
        if error is None:
            job.outcome.set_result(value)
        else:
            # A future takes no StopIteration, which it would mistake for its own end.
            job.outcome.set_exception(RuntimeError("StopIteration") if isinstance(error, StopIteration) else error)

    def _learn(self, kind: str, took: float) -> None:
        mean = self._mean_s.get(kind, _FIRST_MS / 1000)
        # One slow answer, such as the first after a start, does not make the server think that all are.
        self._mean_s[kind] = mean + _LEARN * (min(took, _MOST_AT_ONCE * mean) - mean)

    def close(self) -> None:
        """Wait for what runs, and let go of the threads."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
