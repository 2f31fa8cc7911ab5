"""Limits on what a request may bring, held before anything reads it: host, encoding, length and time of the body."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shopstill.serve.app.errors import Refusal, busy, unread
from shopstill.serve.app.settings import Settings

_PROBES = ("/healthz", "/readyz")
_TEXTS = ("/rerank", "/embed", "/recommend")
_PICTURES = "/categorise"


class Limits:
    """An ASGI layer that holds requests to the limits of the settings.

    Args:
        app: the layer below.
        settings: the limits.
        admit: a further check of the scope that raises ``Refusal``, such as a limit on the rate.
    """

    def __init__(self, app: ASGIApp, settings: Settings, admit: Callable[[Scope], None] | None = None) -> None:
        self._app, self._settings, self._admit = app, settings, admit
        self._hosts = settings.allowed_hosts
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body counted and timed; refuse it where it breaks a limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = _Body(self._expected(scope), receive, self._hold)
        except Refusal as refusal:
            await refusal.response(scope, receive, send)
            return
        try:
            await self._app(scope, body.receive, send)
        finally:
            self._held -= body.taken

    def _expected(self, scope: Scope) -> _Allowed:
        """What the body of a request may be.

        Raises:
            Refusal: its headers break a limit already.
        """
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if scope["path"] not in _PROBES:
            self._addressed(headers.get(b"host", b""))
            if self._admit is not None:
                self._admit(scope)
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > self._settings.url_bytes:
            raise unread(414, "address", f"the address is longer than {self._settings.url_bytes} bytes; use POST")
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding != b"identity":
            raise unread(415, "encoding", f"content encoding {_shown(encoding)}; send the body as it is")
        allowed = _allowed(scope, self._settings)
        length = headers.get(b"content-length")
        if length is not None and (not length.isdigit() or len(length) > 18):
            raise unread(400, "length", f"content length {_shown(length)} is not a number of bytes")
        if length is not None and int(length) > allowed.most:
            raise allowed.too_large()
        return allowed

    def _addressed(self, host: bytes) -> None:
        name = host.decode("latin-1").lower()
        bare, colon, port = name.rpartition(":")
        if colon and (port.isdigit() or not port):
            name = bare
        if self._hosts and name not in self._hosts:
            message = f"this server is not {_shown(host)}; list the name under hosts where it is"
            raise unread(400, "host", message)

    def _hold(self, length: int) -> None:
        self._held += length
        if self._held > self._settings.bodies_bytes:
            raise busy(1, "the bodies of all requests together are too large")


@dataclass(frozen=True, kw_only=True)
class _Allowed:
    """How long a body may be, and how long it may take."""

    most: int
    seconds: float

    def too_large(self) -> Refusal:
        return unread(413, "too_large", f"the body is longer than {self.most} bytes, the most for this address")

    def too_slow(self) -> Refusal:
        return unread(408, "too_slow", f"the body did not arrive within {self.seconds:g} s; send it faster, or less")


def _allowed(scope: Scope, settings: Settings) -> _Allowed:
    path, method = scope["path"], scope["method"]
    if path == "/products" and method == "POST":
        return _Allowed(most=settings.bulk_bytes, seconds=settings.bulk_s)
    if path == _PICTURES:
        return _Allowed(most=settings.pictures_bytes, seconds=settings.body_s)
    texts = path in _TEXTS or (method == "PUT" and path.startswith("/products/"))
    return _Allowed(most=settings.texts_bytes if texts else settings.search_bytes, seconds=settings.body_s)


class _Body:
    """The body of one request, as it comes in."""

    def __init__(self, allowed: _Allowed, receive: Receive, hold: Callable[[int], None]) -> None:
        self._allowed, self._receive, self._hold = allowed, receive, hold
        self._until: float | None = None
        self._whole = False
        self.taken = 0

    async def receive(self) -> Message:
        """The next part.

        Raises:
            Refusal: it makes the body too long, or did not come in time.
        """
        # After the body comes only the news that the client has gone, for which there is no deadline.
        message = await (self._receive() if self._whole else self._in_time(self._receive))
        if message["type"] != "http.request":
            return message
        length = len(message.get("body", b""))
        self.taken += length
        self._hold(length)
        if self.taken > self._allowed.most:
            raise self._allowed.too_large()
        self._whole = not message.get("more_body", False)
        return message

    async def _in_time(self, receive: Callable[[], Awaitable[Message]]) -> Message:
        loop = asyncio.get_running_loop()
        self._until = self._until or loop.time() + self._allowed.seconds
        try:
            async with asyncio.timeout_at(self._until):
                return await receive()
        except TimeoutError:
            raise self._allowed.too_slow() from None


def _shown(value: bytes) -> str:
    return repr(value[:80].decode("latin-1"))
