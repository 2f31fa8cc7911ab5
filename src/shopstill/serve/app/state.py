"""What the routes of one app share: the engine, the settings, the lanes, the keys and the counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from shopstill.core.errors import ConfigError
from shopstill.core.hardware import cores
from shopstill.serve.app.admission import Lane
from shopstill.serve.app.errors import Refusal, unread
from shopstill.serve.app.gate import Gate
from shopstill.serve.app.keys import Key, Keys, Scope
from shopstill.serve.app.metrics import Metrics
from shopstill.serve.app.rate import Rate
from shopstill.serve.app.recent import Recent
from shopstill.serve.app.served import Engine
from shopstill.serve.app.settings import Settings

T = TypeVar("T")

_HOW = "start the server with a file of keys, and make a key with: shopstill key"
_NICE = 10
_CHALLENGE = {"www-authenticate": 'Bearer realm="shopstill"', "connection": "close"}


class State:
    """What one app holds while it runs.

    Args:
        engine: that answers.
        settings: of the server.

    Attributes:
        searches: the lane of searches.
        gate: that refuses searches on the wire.
        heavy: the lane of what takes longer: rerank, embed, why, compare.
        products: the lane of changes to products, one at a time.
        models: the lane of changes to models, one at a time.
        facts: the lane of what the server tells about itself.
        stopping: set once the server was told to stop.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine, self.settings = engine, settings
        wait, limit, patient = settings.queue_ms / 1000, settings.timeout_s, settings.change_queue_s
        # A change that has begun is waited for, however long it takes: else nobody knows whether it was made.
        self.models = Lane("models", 1, patient, nice=_NICE)
        self.searches = Lane("search", settings.workers or cores(), wait, limit, stalled_by=self.models)
        self.heavy = Lane("heavy", settings.heavy_workers, max(wait, 1.0), limit)
        self.products = Lane("products", 1, patient, nice=_NICE)
        self.facts = Lane("facts", 1, 5.0, limit)
        self.lanes = (self.searches, self.heavy, self.products, self.models, self.facts)
        self.keys, self.recent = Keys(settings.keys), Recent()
        self.metrics = Metrics(engine, self.lanes)
        self.gate = Gate(self.searches, self.metrics, self.recent)
        self.rate = Rate(settings.rate, settings.burst) if settings.rate else None
        self.stopping = False

    async def run(self, request: Request, lane: Lane, work: Callable[[], T]) -> T:
        """Do what blocks in a lane, under the name of the route."""
        return await lane.run(f"{request.method} {request.scope['route'].path}", work, request.is_disconnected)

    async def change(self, request: Request, lane: Lane, work: Callable[[], T]) -> T:
        """Do what changes state: once begun it is done, whether or not the client still waits."""
        return await asyncio.shield(self.run(request, lane, work))

    def allow(self, request: Request, scope: Scope) -> None:
        """Let pass who has a key for a scope.

        Raises:
            Refusal: there are no keys, no key was sent, or it is unknown or for other things.
        """
        if not self.keys.given:
            raise unread(403, "no_keys", f"nothing can be changed here, since no keys were given; {_HOW}")
        secret = bearer(dict(request.scope["headers"]).get(b"authorization", b""))
        if secret is None:
            message = f"needs a key with the scope {scope!r}; send the header Authorization: Bearer KEY"
            raise Refusal(401, "no_key", message, _CHALLENGE)
        key = self.find(secret)
        if key is None:
            raise Refusal(401, "unknown_key", f"this key is not known here; {_HOW}", _CHALLENGE)
        if scope not in key.scopes:
            held = ", ".join(key.scopes)
            raise unread(403, "scope", f"the key {key.name!r} is for {held}, and this needs {scope!r}; use another")
        request.scope.setdefault("state", {})["key"] = key.name

    def find(self, secret: str) -> Key | None:
        """The key that a secret is.

        Raises:
            Refusal: the file of keys was changed, and is now not what it must be.
        """
        try:
            return self.keys.find(secret)
        except ConfigError:
            raise Refusal(503, "keys", "the file of keys cannot be read; the server's owner must mend it") from None

    def close(self) -> None:
        """Wait for what runs in the lanes."""
        for lane in self.lanes:
            lane.close()


def bearer(header: bytes) -> str | None:
    """The secret of an ``Authorization`` header."""
    scheme, _, secret = header.decode("latin-1").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def of(request: Request) -> State:
    """The state of the app that a request came to."""
    state: State = request.app.state.shopstill
    return state
