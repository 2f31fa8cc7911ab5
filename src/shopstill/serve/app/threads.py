"""Threads that do what blocks, and tell the loop that asked what came of it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Job:
    """A piece of work on its way to a thread: of which kind, since when, and where its outcome is waited for."""

    kind: str
    work: Callable[[], Any]
    began: float
    outcome: asyncio.Future[Any]


class Threads:
    """Threads that take work in turn; they start with the first.

    Args:
        name: of each thread.
        count: of threads.
        done: called in the loop when a job is done, before its outcome is known.
        nice: by how much the threads stand back behind others for a core, where the system knows this of a thread.
    """

    def __init__(self, name: str, count: int, done: Callable[[Job], None], nice: int = 0) -> None:
        self._name, self._count, self._done, self._nice = name, count, done, nice
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()

    def begin(self, kind: str, work: Callable[[], Any]) -> Job:
        """Hand work to the next thread that is free; its outcome is the running loop's."""
        while len(self._threads) < self._count:
            thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._threads.append(thread)
            thread.start()
        outcome = asyncio.get_running_loop().create_future()
        job = Job(kind=kind, work=work, began=time.perf_counter(), outcome=outcome)
        self._jobs.put(job)
        return job

    def close(self) -> None:
        """Wait for what runs, and let go of the threads."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _serve(self) -> None:
        """What each thread does."""
        if self._nice and sys.platform == "linux":
            _stand_back(self._nice)
        while (job := self._jobs.get()) is not None:
            value, error = None, None
            try:
                value = job.work()
            except BaseException as cause:  # noqa: BLE001  (whatever it is, who asked for it must hear of it)
                error = cause
            # The loop may have gone, and everyone who asked with it.
            with suppress(RuntimeError):
                job.outcome.get_loop().call_soon_threadsafe(self._finish, job, value, error)

    def _finish(self, job: Job, value: Any, error: BaseException | None) -> None:
        """Say that work is done, though it may have been given up on; up to here it held its thread."""
        self._done(job)
        if job.outcome.done():
            return
        if error is None:
            job.outcome.set_result(value)
        else:
            # A future takes no StopIteration, which it would mistake for its own end.
            job.outcome.set_exception(RuntimeError("StopIteration") if isinstance(error, StopIteration) else error)


def _stand_back(nice: int) -> None:
    """Let other threads have the core first, the process's own too."""
    own = threading.get_native_id()
    # A system may forbid it, and all is well without.
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + nice)
