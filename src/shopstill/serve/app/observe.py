"""Around every request: an id, a line in the log, its metrics, and an answer where something broke."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
import traceback
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_plus

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shopstill.serve.app.errors import Refusal
from shopstill.serve.app.metrics import Metrics
from shopstill.serve.app.recent import Recent

logger = logging.getLogger(__name__)

_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_UNMATCHED = "(none)"


class Observe:
    """The outermost ASGI layer.

    Args:
        app: the layer below.
        metrics: where requests are counted.
        recent: where they are counted for the lab.
        log_texts: whether the log shows addresses with what was typed, and messages of errors.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, recent: Recent, log_texts: bool = False) -> None:
        self._app, self._metrics, self._recent, self._log_texts = app, metrics, recent, log_texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and tell what came of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = _Seen(scope, send)
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, seen.send)
        except Refusal as refusal:
            await _answer(refusal, seen, scope, receive)
        except Exception as cause:  # noqa: BLE001  (whatever broke, the client gets an answer and the log a place)
            self._broke(cause, seen.id)
            await _answer(_internal(seen.id), seen, scope, receive)
        except asyncio.CancelledError:
            seen.status = seen.status or 499
            raise
        finally:
            self._metrics.in_flight.dec()
            self._note(seen, scope)

    def _note(self, seen: _Seen, scope: Scope) -> None:
        took, route = time.perf_counter() - seen.began, _route(scope)
        status = seen.status or 499
        self._metrics.request(scope["method"], route, status, took)
        self._recent.request(status)
        if not logger.isEnabledFor(logging.INFO):
            return
        line: dict[str, Any] = {"id": seen.id, "method": scope["method"][:16], "route": route, "status": status}
        line |= {"ms": round(took * 1000, 2), "bytes": seen.bytes}
        key = scope.get("state", {}).get("key")
        line |= {"key": key} if key else {}
        if self._log_texts:
            line |= {"path": scope["path"], "query": unquote_plus(scope["query_string"].decode("latin-1"))}
        logger.info(json.dumps(line, ensure_ascii=True))

    def _broke(self, cause: Exception, request_id: str) -> None:
        self._metrics.error(type(cause).__name__)
        # The message of an error may hold what a shopper typed; where it broke never does.
        places = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(cause.__traceback__)[-12:]]
        line: dict[str, Any] = {"id": request_id, "error": type(cause).__name__, "at": places}
        if self._log_texts:
            line["message"] = str(cause)
        logger.error(json.dumps(line, ensure_ascii=True))


class _Seen:
    """What of an answer went out."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.id = request_id(scope["headers"])
        self.began, self.status, self.bytes = time.perf_counter(), 0, 0
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["x-request-id"] = self.id
        elif message["type"] == "http.response.body":
            self.bytes += len(message.get("body", b""))
        await self._send(message)


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The id that a request brings, where it is a sound one; else a new one."""
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given.decode("ascii") if _ID.fullmatch(given) else secrets.token_hex(8)


async def _answer(refusal: Refusal, seen: _Seen, scope: Scope, receive: Receive) -> None:
    """Answer with a refusal, unless an answer is on its way already."""
    if not seen.status:
        await refusal.response(scope, receive, seen.send)


def _internal(request_id: str) -> Refusal:
    message = f"something broke that should not; the server's log tells more under {request_id}"
    return Refusal(500, "internal", message, id=request_id)


def _route(scope: Scope) -> str:
    """The template of the address, so that ids do not become labels."""
    found: str = getattr(scope.get("route"), "path_format", _UNMATCHED)
    return found
