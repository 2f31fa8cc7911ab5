"""Requests to an app without a client between: bodies in pieces, late, or never whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass
class Got:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> Any:
        return json.loads(self.body)["error"]


def scope(method: str, path: str, headers: dict[str, str] | None = None, query: str = "") -> dict[str, Any]:
    """What a server tells an app of a request."""
    sent = {"host": "localhost", **(headers or {})}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()],
        "client": ("10.0.0.1", 1),
        "server": ("localhost", 80),
        "state": {},
    }


async def call(app: Any, asked: dict[str, Any], parts: Iterable[bytes] = (b"",), *, pause_s: float = 0.0) -> Got:
    """Send a request whose body comes in parts; the last one is the end of it."""
    left = list(parts)
    got = Got(0, {}, b"")
    over = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if left:
            await asyncio.sleep(pause_s)
            body = left.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(left)}
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            got.status = message["status"]
            got.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            got.body += message.get("body", b"")

    await app(asked, receive, send)
    over.set()
    return got
