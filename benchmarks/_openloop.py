"""Requests on a fixed schedule, whether or not earlier ones were answered: what shoppers do.

A generator that waits for an answer before it asks again goes easy on a server that has stalled, and never sees the
requests that would have come meanwhile (coordinated omission). Here a request is due at a time, and its latency counts
from there, with whatever delay there was before it went out. Sockets are non-blocking and looked at by one thread; it
spins when the next request is due within a millisecond, so it needs a core of its own.
"""

from __future__ import annotations

import gc
import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BROKEN = 0
"""The status of a request that got no answer: refused by the socket, cut off, or not answered in time."""

REFUSED = (429, 503)
_CONNECTIONS = 900
_PATIENCE_S = 10.0
_SPIN_S = 0.0015
_READ = 1 << 18
_READABLE, _BOTH = selectors.EVENT_READ, selectors.EVENT_READ | selectors.EVENT_WRITE


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to send.

    Attributes:
        host: of the server.
        port: of the server.
        paths: asked for in turn.
        rate: requests a second.
        seconds: for how long.
    """

    host: str
    port: int
    paths: Sequence[str]
    rate: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of the requests, in the order in which they were due; times in seconds.

    Attributes:
        due_N: when each was due, from the start.
        late_N: how much later it went out; NaN where it did not.
        took_N: from when it was due to the last byte of the answer.
        status_N: of the answer, or ``BROKEN``.
    """

    due_N: np.ndarray
    late_N: np.ndarray
    took_N: np.ndarray
    status_N: np.ndarray

    def summary(self) -> dict[str, Any]:
        """Counts, shares, and latency in ms of what was answered and of what was refused."""
        answered, refused = self.status_N == 200, np.isin(self.status_N, REFUSED)
        late = self.late_N[np.isfinite(self.late_N)]
        span = float(np.max(self.due_N + self.took_N)) if len(self.due_N) else 0.0
        return {
            "sent": len(self.due_N),
            "answered": int(answered.sum()),
            "answered_a_second": float(answered.sum()) / span if span else 0.0,
            "refused": int(refused.sum()),
            "failed": int((~answered & ~refused).sum()),
            "statuses": {str(status): int((self.status_N == status).sum()) for status in np.unique(self.status_N)},
            "answered_ms": percentiles(self.took_N[answered]),
            "refused_ms": percentiles(self.took_N[refused]),
            "sent_late_ms": percentiles(late),
        }


@dataclass
class _Link:
    """A connection, and the request that is on it."""

    socket: socket.socket
    request: int = -1
    out: bytes = b""
    got: bytearray = field(default_factory=bytearray)
    length: int = -1


def percentiles(seconds: np.ndarray) -> dict[str, float]:
    """Percentiles in ms; none of nothing.

    >>> percentiles(np.array([0.001, 0.003]))["p50"]
    2.0
    """
    if not len(seconds):
        return {}
    names = {"p50": 50, "p95": 95, "p99": 99, "p99.9": 99.9, "max": 100}
    found = 1e3 * np.percentile(seconds, list(names.values()))
    return {name: round(float(value), 3) for name, value in zip(names, found, strict=True)}


def send(plan: Plan) -> Sent:
    """Send all of a plan, and wait for what is still to be answered."""
    gc.collect()
    gc.disable()
    try:
        return _Sender(plan).run()
    finally:
        gc.enable()


class _Sender:
    """The state of one run."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        count = max(1, round(plan.rate * plan.seconds))
        self._due_N = np.arange(count) / plan.rate
        self._late_N, self._took_N = np.full(count, np.nan), np.full(count, np.nan)
        self._status_N = np.zeros(count, np.int64)
        tail = f" HTTP/1.1\r\nhost: {plan.host}:{plan.port}\r\n\r\n"
        self._requests = [f"GET {path}{tail}".encode("ascii") for path in plan.paths]
        self._selector = selectors.DefaultSelector()
        self._idle: deque[_Link] = deque()
        self._open = self._busy = 0
        self._start = 0.0

    def run(self) -> Sent:
        """From the first request to the last answer."""
        due = self._due_N.tolist()
        self._start, at = time.perf_counter() + 0.05, 0
        end = due[-1] + _PATIENCE_S
        while at < len(due) or (self._busy and self._now() < end):
            while at < len(due) and due[at] <= self._now():
                self._begin(at)
                at += 1
            wait = (due[at] if at < len(due) else end) - self._now()
            for key, events in self._selector.select(max(0.0, wait - _SPIN_S)):
                self._advance(key.data, events)
        for key in list(self._selector.get_map().values()):
            self._drop(key.data)
        self._selector.close()
        return Sent(due_N=self._due_N, late_N=self._late_N, took_N=self._took_N, status_N=self._status_N)

    def _now(self) -> float:
        return time.perf_counter() - self._start

    def _begin(self, at: int) -> None:
        link = self._idle.pop() if self._idle else self._connect()
        if link is None:
            self._finish(at, BROKEN)
            return
        link.request, link.length = at, -1
        link.got.clear()
        link.out = self._requests[at % len(self._requests)]
        self._busy += 1
        self._write(link)

    def _connect(self) -> _Link | None:
        if self._open >= _CONNECTIONS:
            return None
        link = _Link(socket=socket.socket())
        link.socket.setblocking(False)
        link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.socket.connect_ex((self._plan.host, self._plan.port))
        self._selector.register(link.socket, _READABLE, link)
        self._open += 1
        return link

    def _write(self, link: _Link) -> None:
        """Send what there is to send; the rest when the socket takes it."""
        try:
            link.out = link.out[link.socket.send(link.out) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as cause:
            if not _connecting(cause):
                self._drop(link)
                return
        if not link.out and np.isnan(self._late_N[link.request]):
            self._late_N[link.request] = self._now() - self._due_N[link.request]
        self._selector.modify(link.socket, _BOTH if link.out else _READABLE, link)

    def _advance(self, link: _Link, events: int) -> None:
        if events & selectors.EVENT_WRITE and link.out:
            self._write(link)
        if not events & _READABLE or link.socket.fileno() < 0:
            return
        try:
            piece = link.socket.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            piece = b""
        if not piece:
            self._drop(link)
            return
        link.got += piece
        self._read(link)

    def _read(self, link: _Link) -> None:
        """Note an answer that is there in full, and let the connection be used again."""
        if link.length < 0:
            head = link.got.find(b"\r\n\r\n")
            if head < 0:
                return
            link.length = head + 4 + _content_length(bytes(link.got[:head]))
        if len(link.got) < link.length or link.request < 0:
            return
        self._finish(link.request, int(link.got[9:12]))
        self._busy -= 1
        link.request = -1
        self._idle.append(link)

    def _drop(self, link: _Link) -> None:
        """Let go of a connection that was closed; a request that was on it is broken."""
        if link.socket.fileno() < 0:
            return
        self._selector.unregister(link.socket)
        link.socket.close()
        self._open -= 1
        if link.request >= 0:
            self._finish(link.request, BROKEN)
            self._busy -= 1
        elif link in self._idle:
            self._idle.remove(link)

    def _finish(self, at: int, status: int) -> None:
        self._status_N[at], self._took_N[at] = status, self._now() - self._due_N[at]


def _connecting(cause: OSError) -> bool:
    """Whether a socket is still on its way."""
    import errno

    return cause.errno in (errno.EAGAIN, errno.EINPROGRESS, errno.ENOTCONN, errno.EALREADY)


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
