"""A real server on a real socket: what only connections show."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.serve.app.conftest import Memory

from shopstill.core.errors import ConfigError
from shopstill.serve.app.run import Server, address, prepared
from shopstill.serve.app.settings import Settings

LIMITS = {"port": 0, "header_s": 0.4, "body_s": 0.4, "header_bytes": 4_096, "url_bytes": 2_048, "connections": 30}


class Running:
    """A server in a thread, and its engine."""

    def __init__(self, **changes: Any) -> None:
        self.engine = Memory()
        self.server, self.socket = prepared(self.engine, Settings(**{**LIMITS, **changes}))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})
        self.thread.start()
        while not self.server.started:
            time.sleep(0.005)

    def stop(self) -> None:
        self.server.handle_exit(signal.SIGTERM, None)
        self.thread.join(10)
        assert not self.thread.is_alive()

    def get(self, path: str) -> tuple[int, Any]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def talk(self, *pieces: bytes, pause_s: float = 0.0) -> bytes:
        """What comes back for bytes that are sent as they are, until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(pause_s)
            except OSError:
                pass  # it closed already, and may have said why
            return _all(connection)


def _all(connection: socket.socket) -> bytes:
    got = b""
    try:
        while piece := connection.recv(65_536):
            got += piece
    except ConnectionError:
        pass
    return got


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.stop()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_server_answers(running: Running) -> None:
    assert address(running.socket) == f"http://127.0.0.1:{running.port}"
    code, body = running.get("/search?q=mug")
    assert (code, body["total"]) == (200, 2)


def test_headers_that_come_slowly_are_not_waited_for(running: Running) -> None:
    began = time.perf_counter()
    answer = running.talk(*([b"GET /search HTTP/1.1\r\n"] + [b"x: y\r\n"] * 20), pause_s=0.05)
    assert status(answer) == 408
    assert time.perf_counter() - began < 3
    with socket.create_connection(("127.0.0.1", running.port), timeout=5) as silent:
        assert silent.recv(1) == b""


def test_a_body_that_comes_slowly_is_not_waited_for(running: Running) -> None:
    head = b"POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n"
    assert status(running.talk(head, *[b" "] * 20, pause_s=0.05)) == 408


def test_a_body_in_chunks_is_counted(running: Running) -> None:
    head = b"POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    head += b"transfer-encoding: chunked\r\n\r\n"
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    assert status(running.talk(head, *[chunk] * 5)) == 413


@pytest.mark.parametrize("in_one", [True, False])
def test_long_headers_and_addresses_are_refused(running: Running, in_one: bool) -> None:
    lines = [b"GET /search HTTP/1.1\r\n", *[b"x-%d: " % n + b"a" * 500 + b"\r\n" for n in range(20)], b"\r\n"]
    assert status(running.talk(b"".join(lines) if in_one else lines[0], *([] if in_one else lines[1:]))) == 431
    address_ = b"GET /search?q=" + b"a" * 3_000 + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    assert status(running.talk(address_)) == 414


@pytest.mark.parametrize(
    "said", [b"hello\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02"]
)
def test_what_is_not_http_is_refused_in_the_same_form(running: Running, said: bytes) -> None:
    answer = running.talk(said)
    assert status(answer) in (400, 408)
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["message"]


def test_a_connection_is_used_again(running: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
    for n in range(5):
        asked = json.dumps({"query": "mug", "limit": n + 1})
        connection.request("POST", "/search", body=asked, headers={"content-type": "application/json"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["total"]) == (200, 2)
    time.sleep(0.5)  # longer than headers may take, which is no matter between requests
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()


def test_more_connections_than_allowed_are_refused_and_others_go_on(running: Running) -> None:
    held = [socket.create_connection(("127.0.0.1", running.port), timeout=5) for _ in range(LIMITS["connections"])]  # type: ignore[arg-type]
    time.sleep(0.05)
    refused = running.talk()
    assert status(refused) == 503
    assert b"retry-after: " in refused
    for connection in held:
        connection.close()
    time.sleep(0.05)
    assert running.get("/search")[0] == 200


def test_a_stop_is_told_first_and_what_is_in_flight_is_finished() -> None:
    made = Running(drain_s=0.3)
    made.engine.held.clear()
    answers: list[tuple[int, Any]] = []
    inside = threading.Thread(target=lambda: answers.append(made.get("/search?q=mug")))
    inside.start()
    while not made.engine.calls:
        time.sleep(0.005)
    assert made.get("/readyz")[0] == 200
    made.server._state.stopping = True
    assert made.get("/readyz") == (503, made.get("/readyz")[1])
    assert made.get("/healthz")[0] == 200
    made.server.handle_exit(signal.SIGTERM, None)
    time.sleep(0.3)
    made.engine.held.set()
    inside.join(5)
    made.thread.join(10)
    assert (answers[0][0], answers[0][1]["total"]) == (200, 2)
    assert not made.thread.is_alive()


def test_a_client_that_has_gone_begins_no_search() -> None:
    made = Running(workers=1, queue_ms=5_000)
    made.engine.held.clear()
    ask = b"GET /search?q=mug HTTP/1.1\r\nhost: localhost\r\n\r\n"
    state = made.server._state
    with socket.create_connection(("127.0.0.1", made.port), timeout=5) as stays:
        stays.sendall(ask)
        until(lambda: made.engine.calls == 1)
        with socket.create_connection(("127.0.0.1", made.port), timeout=5) as goes:
            goes.sendall(ask)
            until(lambda: state.searches.waiting == 1)
        time.sleep(0.05)
        made.engine.held.set()
        assert stays.recv(15) == b"HTTP/1.1 200 OK"
        until(lambda: state.searches.running == 0)
        assert made.engine.calls == 1
    made.stop()


def until(so: Callable[[], bool]) -> None:
    """Wait for something that is about to be so."""
    for _ in range(1_000):
        if so():
            return
        time.sleep(0.005)
    raise AssertionError("it never was so")


PROGRAM = """
import sys
from shopstill.serve.app.run import serve
from shopstill.serve.app.settings import Settings
from tests.serve.app.conftest import Memory
engine = Memory(slow_s=0.3)
def said(where):
    sys.stdout.write(where + "\\n")
    sys.stdout.flush()
try:
    serve(engine, Settings(port=0, drain_s=0.3), said)
finally:
    sys.stdout.write(f"closed {engine.closed}\\n")
"""


def test_a_signal_stops_a_process_gracefully() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "src:."}
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        statuses: list[int] = []
        inside = threading.Thread(target=lambda: statuses.append(_status(port, "/search?q=mug")))
        inside.start()
        time.sleep(0.15)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        statuses.append(_status(port, "/readyz"))
        inside.join(5)
        out, _ = process.communicate(timeout=10)
    finally:
        process.kill()
    assert sorted(statuses) == [200, 503]
    assert out.strip() == "closed True"
    assert process.returncode == 0


def _status(port: int, path: str) -> int:
    for _ in range(100):
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("GET", path)
                return connection.getresponse().status
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise AssertionError("no server")


def test_an_address_that_is_taken_is_named(running: Running) -> None:
    with pytest.raises(ConfigError, match=f"127.0.0.1:{running.port}: cannot listen there"):
        prepared(Memory(), Settings(port=running.port))
    assert isinstance(running.server, Server)
