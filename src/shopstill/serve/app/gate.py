"""Searches that are refused on the wire: under overload most are, and what refusing takes is lost to the others.

The usual way of a request, through the layers of the app, takes several times as long, and lets go of the interpreter
at each system call, whereupon a worker goes first. Here is one answer, made once, and one call that sends it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from functools import lru_cache

from shopstill.serve.app.admission import Lane
from shopstill.serve.app.errors import busy
from shopstill.serve.app.metrics import Metrics
from shopstill.serve.app.observe import request_id
from shopstill.serve.app.recent import Recent

logger = logging.getLogger(__name__)

_ROUTES = {b"/search": "/search", b"/suggest": "/suggest"}
# A body would have to be read, and a page of another origin is told of a refusal only by the layer that knows origins.
_LONG_WAY = frozenset((b"content-length", b"transfer-encoding", b"origin"))
_TOLD_S = 1.0


class Gate:
    """Refuses ``GET`` of searches that a lane has no room for; counted as all requests are, and logged as a number.

    Args:
        lane: of the searches.
        metrics: where requests are counted.
        recent: where they are counted for the lab.
    """

    def __init__(self, lane: Lane, metrics: Metrics, recent: Recent) -> None:
        self._lane, self._metrics, self._recent = lane, metrics, recent
        self._untold = 0

    def refused(self, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]]) -> bytes | None:
        """The whole answer to a request that there is no room for; None where the app is to answer."""
        route = _ROUTES.get(url.partition(b"?")[0])
        if method != b"GET" or route is None or any(name in _LONG_WAY for name, _ in headers):
            return None
        began = time.perf_counter()
        if not self._lane.full(f"GET {route}"):
            return None
        head, body = _written(self._lane.name, round(self._lane.expected_wait()))
        answer = b"%sx-request-id: %s\r\n\r\n%s" % (head, request_id(headers).encode("ascii"), body)
        self._metrics.request("GET", route, 503, time.perf_counter() - began)
        self._recent.request(503)
        self._note()
        return answer

    def _note(self) -> None:
        """Count a refusal, for a line in the log that tells of all of a second."""
        if not logger.isEnabledFor(logging.INFO):
            return
        if not self._untold:
            asyncio.get_running_loop().call_later(_TOLD_S, self._tell)
        self._untold += 1

    def _tell(self) -> None:
        logger.info(json.dumps({"refused": self._untold, "lane": self._lane.name, "status": 503}))
        self._untold = 0


@lru_cache(16)
def _written(lane: str, seconds: int) -> tuple[bytes, bytes]:
    """Head, but for the id of the request, and body of a refusal."""
    made = busy(seconds, f"{lane}: there is too much to do").response
    head = b"".join(b"%s: %s\r\n" % header for header in made.raw_headers)
    return b"HTTP/1.1 503 Service Unavailable\r\n" + head, bytes(made.body)
