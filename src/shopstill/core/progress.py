"""Progress of long work: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

_LOG_EVERY_SECONDS = 10.0
_WORTH_TELLING_SECONDS = 2.0


class Progress:
    """Counts work done; knows the rate and the time that remains."""

    def __init__(self, what: str, total: int, unit: str) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.done = self._before = 0
        self.note = ""
        self._start = self._said = time.monotonic()

    def advance(self, by: int, note: str = "") -> None:
        """Add finished work; ``note`` is a short text such as the current loss."""
        self.done += by
        self.note = note or self.note
        self._show()

    def resume(self, done: int) -> None:
        """Count work that an earlier run did; it does not enter the rate."""
        self.done = self._before = done

    @property
    def rate(self) -> float:
        """Units a second since the start."""
        return (self.done - self._before) / max(self.seconds, 1e-9)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def line(self) -> str:
        """One line: what, how much, how fast, how long still."""
        left = (self.total - self.done) / self.rate if self.rate else None
        share = f"{self.done:,}/{self.total:,} {self.unit}"
        return f"{self.what}: {share}, {self.rate:,.0f}/s, {_clock(left)} left{'  ' + self.note if self.note else ''}"

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._said >= _LOG_EVERY_SECONDS:
            self._said = now
            log.info(self.line())


class _Bar(Progress):
    def __init__(self, what: str, total: int, unit: str, bar: object, task: object) -> None:
        super().__init__(what, total, unit)
        self._bar, self._task = bar, task

    def _show(self) -> None:
        self._bar.update(self._task, completed=self.done, note=self.note, rate=f"{self.rate:,.0f} {self.unit}/s")  # type: ignore[attr-defined]


@contextmanager
def progress(what: str, total: int, unit: str = "rows") -> Iterator[Progress]:
    """Show the progress of a piece of work.

    >>> with progress("reading", total=2) as bar:
    ...     bar.advance(2)
    >>> bar.done
    2
    """
    if not sys.stderr.isatty():
        counter = Progress(what, total, unit)
        yield counter
        if counter.seconds >= _WORTH_TELLING_SECONDS:
            log.info("%s: %s %s, %s/s", what, f"{counter.done:,}", unit, f"{counter.rate:,.0f}")
        return
    from rich import progress as shown
    from rich.console import Console

    columns = (
        shown.TextColumn("{task.description}"),
        shown.BarColumn(),
        shown.MofNCompleteColumn(),
        shown.TextColumn("{task.fields[rate]}"),
        shown.TimeRemainingColumn(),
        shown.TextColumn("{task.fields[note]}"),
    )
    with shown.Progress(*columns, console=Console(stderr=True)) as bars:
        yield _Bar(what, total, unit, bars, bars.add_task(what, total=total, note="", rate=""))


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
