"""``serve``: an engine behind HTTP until a signal says stop; then what is in flight is finished."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType

import uvicorn

from shopstill.core.errors import ConfigError
from shopstill.serve.app.create import create_app
from shopstill.serve.app.served import Engine
from shopstill.serve.app.settings import Settings
from shopstill.serve.app.state import State
from shopstill.serve.app.wire import protocol

logger = logging.getLogger(__name__)

_KEEP_ALIVE_S = 20
_BACKLOG = 512


class Server(uvicorn.Server):
    """A server that says it is about to stop before it does.

    Args:
        config: of uvicorn.
        state: of the app, whose readiness ends with the first signal.
        drain_s: seconds between the two.
    """

    def __init__(self, config: uvicorn.Config, state: State, drain_s: float) -> None:
        super().__init__(config)
        self._state, self._drain_s = state, drain_s
        self.ready: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        if self.ready is not None and self.started:
            self.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: the first begins the end, the second ends the draining, a third waits for nothing.

        uvicorn's own raises the signal anew at the end, which would kill the process before the engine is closed.
        """
        if self._state.stopping or not self._drain_s:
            self.force_exit = self.should_exit
            self._leave()
        else:
            logger.info("stopping in %g s", self._drain_s)
            asyncio.get_running_loop().call_later(self._drain_s, self._leave)
        self._state.stopping = True

    def _leave(self) -> None:
        self.should_exit = True


def serve(engine: Engine, settings: Settings, ready: Callable[[str], None] | None = None) -> None:
    """Answer until a signal says stop; then finish what is in flight and close the engine.

    Args:
        engine: that answers.
        settings: of the server.
        ready: called with the address once it is listened to.

    Raises:
        ConfigError: the address is taken or is not this machine's, or the file of keys is not what it must be.
    """
    try:
        server, listening = prepared(engine, settings)
        if ready is not None:
            server.ready = partial(ready, address(listening))
        _settle()
        server.run(sockets=[listening])
    finally:
        engine.close()


def _settle() -> None:
    """Keep the collector of cycles from the path of answers: what is there stays, and all of it is looked at rarely.

    With a catalogue's values and the words of many titles in memory, one look at everything takes tenths of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 1_000)


def prepared(engine: Engine, settings: Settings) -> tuple[Server, socket.socket]:
    """A server and the socket that it will listen to.

    Raises:
        ConfigError: the address is taken or is not this machine's, or the file of keys is not what it must be.
    """
    app = create_app(engine, settings)
    state: State = app.state.shopstill
    config = uvicorn.Config(
        app,
        http=protocol(settings, state.gate),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(settings.stop_s),
    )
    return Server(config, state, settings.drain_s), listen(settings)


def listen(settings: Settings) -> socket.socket:
    """A socket at the address of the settings.

    Raises:
        ConfigError: the address is taken, or is not this machine's.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(place)
        except OSError:
            made.close()
            raise
    except OSError as cause:
        where = f"{settings.host}:{settings.port}"
        raise ConfigError(f"{where}: cannot listen there ({cause.strerror}); choose another port or host") from None
    return made


def address(listening: socket.socket) -> str:
    """The address of a socket, for a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def log_to_stderr(level: int = logging.INFO) -> None:
    """Let the server's log go to standard error, a line of JSON for each request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("shopstill.serve")
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False
