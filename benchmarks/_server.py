"""Servers to measure, each in a process of its own on one core, ended with the block that started it.

- ``app``: the app with an engine, as ``shopstill serve`` runs it;
- ``stored``: the same app with an engine that has one answer ready, whatever is asked: what the app costs;
- ``plain``: a bare ASGI handler that sends the bytes of that answer, on the same server with the same settings: what
  HTTP costs.

``python -m benchmarks._server KIND OPTIONS`` is what the process runs; it prints its address.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from shopstill.serve.app.run import address, log_to_stderr, prepared, serve
from shopstill.serve.app.settings import Settings
from shopstill.serve.engine.engine import Engine
from shopstill.serve.forms import Answer, Search

_SECONDS_TO_END = 60
_MEMORY = {"VmRSS": "resident", "RssAnon": "own", "RssFile": "mapped"}


@dataclass(frozen=True, kw_only=True)
class Core:
    """Which cores the server and the load run on; one and the same where there is but one."""

    server: int
    load: int

    @staticmethod
    def two() -> Core:
        """The first two cores that this process may use."""
        free = sorted(os.sched_getaffinity(0))
        return Core(server=free[0], load=free[1 % len(free)])


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server that answers: where, its process, and the seconds from its start to its first answer."""

    host: str
    port: int
    pid: int
    start_seconds: float

    def memory(self) -> dict[str, int]:
        """Bytes in memory: in all, its own, and of files that are mapped."""
        lines = (line.split() for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        found = {parts[0].rstrip(":"): parts for parts in lines if parts}
        return {name: 1024 * int(found[field][1]) for field, name in _MEMORY.items() if field in found}

    def ask(self, method: str, path: str, body: bytes = b"", key: str = "") -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        connection = HTTPConnection(self.host, self.port, timeout=600)
        try:
            headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def on(core: int) -> Iterator[None]:
    """This process on one core, and what it starts meanwhile for good: even a thread that an import starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def served(kind: str, core: int, first: str, log: Path, **options: object) -> Iterator[Served]:
    """A server of a kind, until the block ends.

    Args:
        kind: ``app``, ``stored`` or ``plain``.
        core: the one it runs on.
        first: path of the first request, which is waited for.
        log: file that takes what the server logs.
        options: of the process.
    """
    told = [part for name, value in options.items() if value for part in (f"--{name}", str(value))]
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks._server", kind, *told]
    with log.open("ab") as errors, on(core):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line:
            raise SystemExit(f"the server {kind} did not start: {log.read_text(errors='replace')[-800:]}")
        host, _, port = line.rpartition("/")[2].rpartition(":")
        found = Served(host=host, port=int(port), pid=process.pid, start_seconds=0.0)
        status, _ = _first(found, first)
        assert status == 200, f"{first}: answered with {status}"
        yield Served(host=host, port=int(port), pid=process.pid, start_seconds=time.perf_counter() - start)
    finally:
        _end(process)


def _first(found: Served, path: str) -> tuple[int, bytes]:
    """The first answer; an address may be told a moment before it is listened to."""
    until = time.perf_counter() + _SECONDS_TO_END
    while True:
        try:
            return found.ask("GET", path)
        except ConnectionRefusedError:
            if time.perf_counter() > until:
                raise
            time.sleep(0.002)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Stored:
    """An engine that has its answer ready.

    Args:
        answer: to whatever is searched for.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def search(self, asked: Search) -> Answer:
        """The answer that is stored."""
        return self._answer

    def facts(self) -> dict[str, Any]:
        """Nothing of interest."""
        return {"products": 0, "generation": "", "pending": 0, "models": [], "active": "", "index_bytes": 0}

    def close(self) -> None:
        """Nothing to let go of."""


class Plain:
    """An ASGI app that sends the same bytes, whatever is asked.

    Args:
        body: what it sends.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


def main() -> None:
    """Serve until a signal says stop."""
    arguments = _arguments()
    log_to_stderr()
    settings = Settings(port=0, keys=arguments.keys, models=arguments.models)
    if arguments.kind == "app":
        serve(Engine.open(arguments.index, arguments.bundle), settings, ready=_say)
        return
    body = arguments.answer.read_bytes()
    engine: Any = Stored(TypeAdapter(Answer).validate_json(body))
    if arguments.kind == "stored":
        serve(engine, settings, ready=_say)
        return
    server, listening = prepared(engine, settings)
    # All settings of the server are the app's; only what it calls is another.
    server.config.app = Plain(body)
    _say(address(listening))
    server.run(sockets=[listening])


def _say(where: str) -> None:
    print(where, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("app", "stored", "plain"))
    for name in ("index", "bundle", "keys", "models", "answer"):
        parser.add_argument(f"--{name}", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
