"""Connections: headers must come in time and be short, which neither uvicorn nor its parser sees to."""

from __future__ import annotations

from asyncio import Transport
from asyncio.events import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shopstill.serve.app.errors import Refusal, busy, unread
from shopstill.serve.app.gate import Gate
from shopstill.serve.app.settings import Settings


def protocol(settings: Settings, gate: Gate) -> type[HttpToolsProtocol]:
    """A protocol that holds connections to the settings, with a gate before the app."""
    return type("LimitedProtocol", (Limited,), {"settings": settings, "gate": gate})


class Limited(HttpToolsProtocol):
    """A connection whose headers have a deadline and a length.

    Attributes:
        settings: the limits.
        gate: what answers in place of the app, where there is too much to do.
    """

    settings = Settings()
    gate: Gate | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._answered = False

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
        self._in_head, self._answered = True, False
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
        if not self._turned_away():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request; one that the gate answered never came to the app."""
        if not self._answered:
            super().on_message_complete()

    def _turned_away(self) -> bool:
        """Let the gate answer, where nothing else is on the connection and it stays open."""
        free = (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused
        stays = self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()
        if self.gate is None or not free or not stays:
            return False
        answer = self.gate.refused(self.parser.get_method(), self.url, self.headers)
        if answer is None:
            return False
        self._answered = True
        self.transport.write(answer)
        self.on_response_complete()
        return True

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
