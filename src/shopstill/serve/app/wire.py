"""Connections: headers must come in time and be short, which neither uvicorn nor its parser sees to."""

from __future__ import annotations

from asyncio import Transport
from asyncio.events import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shopstill.serve.app.errors import Refusal, busy, unread
from shopstill.serve.app.settings import Settings


def protocol(settings: Settings) -> type[HttpToolsProtocol]:
    """A protocol that holds connections to the settings."""
    return type("LimitedProtocol", (Limited,), {"settings": settings})


class Limited(HttpToolsProtocol):
    """A connection whose headers have a deadline and a length.

    Attributes:
        settings: the limits.
    """

    settings = Settings()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the clock, where there is room for one more."""
        super().connection_made(transport)
        if len(self.connections) > self.settings.connections:
            self._refuse(busy(1, "there are too many connections"))
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before the end of the headers."""
        if self._in_head:
            self._head_bytes += len(data)
            # A body may begin in the same piece, so that only what is short of its headers is judged here.
            super().data_received(data)
            if self._in_head and self._head_bytes > self.settings.header_bytes:
                self._refuse(unread(431, "headers", f"headers are longer than {self.settings.header_bytes} bytes"))
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a request, the clock running from its first byte."""
        super().on_message_begin()
        self._in_head = True
        if self._deadline is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """Begin to answer, where the headers are short enough."""
        if self.transport.is_closing():
            return
        self._stop()
        self._in_head, self._head_bytes = False, 0
        length = sum(len(name) + len(value) for name, value in self.headers)
        if length > self.settings.header_bytes:
            self._refuse(unread(431, "headers", f"headers are longer than {self.settings.header_bytes} bytes"))
            return
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(unread(400, "http", msg))

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(self.settings.header_s, self._late)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self._head_bytes:
            self._refuse(unread(408, "too_slow", f"headers did not arrive within {self.settings.header_s:g} s"))
        else:
            self.transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer by hand, since there is no request yet, and close."""
        if self.transport.is_closing():
            return
        made = refusal.response
        made.headers["connection"] = "close"
        head = b"".join(b"%s: %s\r\n" % header for header in made.raw_headers)
        self.transport.write(STATUS_LINE[refusal.status] + head + b"\r\n" + bytes(made.body))
        self.transport.close()
