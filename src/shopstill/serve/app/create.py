"""``create_app``: an engine behind HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Scope

from shopstill import __version__
from shopstill.core.errors import ShopstillError
from shopstill.serve.app import routes
from shopstill.serve.app.errors import Refusal, answer_http, answer_library, answer_refusal
from shopstill.serve.app.limits import Limits
from shopstill.serve.app.observe import Observe
from shopstill.serve.app.openapi import Described
from shopstill.serve.app.pages import Pages
from shopstill.serve.app.served import Engine
from shopstill.serve.app.settings import Settings
from shopstill.serve.app.state import State, bearer

_TOLD = "A search that shoppers feel: a distilled student over a catalogue, with the means to see why and how well."
# Any: releases of FastAPI before telemetry know no form for it, and ignore it.
_SILENT: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


_SEARCH = "/search"


def create_app(engine: Engine, settings: Settings) -> FastAPI:
    """An app that answers with an engine; the engine is not closed with it.

    Args:
        engine: that answers.
        settings: what the server allows.

    Raises:
        ConfigError: the file of keys is not what it must be.
    """
    state = State(engine, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        state.stopping = True
        state.close()

    app = Described(
        title="shopstill",
        version=__version__,
        description=_TOLD,
        lifespan=lifespan,
        docs_url=None,  # their pages are loaded from other hosts
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_SILENT,
    )
    app.state.shopstill, app.state.pages = state, Pages()
    # Not include_router, which looks at each router anew for every request.
    for part in routes.ALL:
        app.router.routes.extend(part.routes)
    app.add_exception_handler(Refusal, answer_refusal)
    app.add_exception_handler(ShopstillError, answer_library)
    app.add_exception_handler(HTTPException, answer_http)
    _layers(app, state)
    return app


def _layers(app: FastAPI, state: State) -> None:
    """Put layers around the app; what is added last is outermost."""
    settings = state.settings
    app.add_middleware(Limits, settings=settings, admit=_admit(state))
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["authorization", "content-type"],
            max_age=600,
        )
    app.add_middleware(Observe, metrics=state.metrics, recent=state.recent, log_texts=settings.log_texts)


def _admit(state: State) -> Callable[[Scope], None]:
    """What may refuse a request before it is read: searches, where there are too many; and the limit on the rate.

    The rate is that of each key that is known, and else of each address that asks.
    """
    rate = state.rate

    def admit(scope: Scope) -> None:
        if scope["path"] == _SEARCH:
            state.searches.admit(f"{scope['method']} {_SEARCH}")
        if rate is None:
            return
        secret = bearer(dict(scope["headers"]).get(b"authorization", b""))
        key = state.find(secret) if secret is not None else None
        client = scope.get("client") or ("", 0)
        rate.take(f"key {key.name}" if key is not None else f"address {client[0]}", monotonic())

    return admit
