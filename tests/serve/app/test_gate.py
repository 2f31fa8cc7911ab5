"""On the wire: searches that there is no room for, refused before the app hears of them."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
from tests.serve.app.test_run import Running, until

from shopstill.serve.app.gate import Gate

HOST = b"host: localhost\r\n"


@contextmanager
def full(running: Running) -> Iterator[None]:
    """A server that has no room for searches."""
    lane: Any = running.server._state.searches
    lane.full = lambda kind: True
    try:
        yield
    finally:
        del lane.full


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    made = Running(origins=("https://shop.example",))
    yield made
    made.stop()


def ask(connection: HTTPConnection, method: str, path: str, **options: Any) -> tuple[HTTPResponse, bytes]:
    connection.request(method, path, **options)
    answer = connection.getresponse()
    return answer, answer.read()


def counted(running: Running) -> float:
    labels = {"method": "GET", "route": "/search", "status": "503"}
    return running.server._state.metrics.registry.get_sample_value("shopstill_requests_total", labels) or 0.0


def test_a_refused_search_is_told_so_counted_and_its_connection_kept(running: Running) -> None:
    connection, calls, before = HTTPConnection("127.0.0.1", running.port, timeout=5), running.engine.calls, 0.0
    with full(running):
        before = counted(running)
        for _ in range(3):
            answer, body = ask(connection, "GET", "/search?q=mug", headers={"x-request-id": "abcdefgh"})
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.headers["x-request-id"] == "abcdefgh"
            assert answer.headers["content-type"] == "application/json"
            assert json.loads(body)["error"]["kind"] == "busy"
        assert ask(connection, "GET", "/healthz")[0].status == 200
        assert ask(connection, "GET", "/metrics")[0].status == 200
        assert len(ask(connection, "GET", "/suggest?q=m")[0].headers["x-request-id"]) == 16
    assert counted(running) == before + 3
    assert running.engine.calls == calls
    assert ask(connection, "GET", "/search?q=mug")[0].status == 200
    connection.close()


def test_what_has_a_body_or_an_origin_goes_the_long_way_and_is_refused_too(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gate, "_note", lambda _: pytest.fail("it went the short way"))
    connection = HTTPConnection("127.0.0.1", running.port, timeout=5)
    with full(running):
        answer, _ = ask(connection, "GET", "/search", headers={"origin": "https://shop.example"})
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (503, "https://shop.example")
        body, headers = b'{"query": "mug"}', {"content-type": "application/json"}
        assert ask(connection, "POST", "/search", body=body, headers=headers)[0].status == 503
    connection.close()
    for said in (b"GET /search HTTP/1.0\r\n", b"GET /search HTTP/1.1\r\nconnection: close\r\n"):
        with full(running):
            assert running.talk(said + HOST + b"\r\n").startswith(b"HTTP/1.1 503 ")


def test_answers_come_in_the_order_of_their_requests(running: Running) -> None:
    one = b"GET /search?q=mug HTTP/1.1\r\n" + HOST + b"\r\n"
    last = b"GET /healthz HTTP/1.1\r\nconnection: close\r\n" + HOST + b"\r\n"
    with full(running):
        answers = running.talk(one + one + last + one)
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"503", b"503", b"200"]
    running.engine.held.clear()
    with socket.create_connection(("127.0.0.1", running.port), timeout=5) as connection:
        calls = running.engine.calls
        connection.sendall(one)
        until(lambda: running.engine.calls == calls + 1)
        with full(running):
            # The answer to the first is still to come, so that the second may not be answered yet.
            connection.sendall(one)
            connection.settimeout(0.1)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            running.engine.held.set()
            connection.settimeout(5)
            got = b""
            while got.count(b"HTTP/1.1 ") < 2:
                got += connection.recv(65_536)
    assert [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]] == [b"200", b"503"]


def test_the_log_tells_how_many_were_refused(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("shopstill.serve.app.gate._TOLD_S", 0.05)
    connection = HTTPConnection("127.0.0.1", running.port, timeout=5)
    until(lambda: not running.server._state.gate._untold)
    with caplog.at_level(logging.INFO, "shopstill.serve.app.gate"), full(running):
        for _ in range(4):
            ask(connection, "GET", "/search?q=mug")
        until(lambda: sum(json.loads(one.message)["refused"] for one in caplog.records if "lane" in one.message) == 4)
    connection.close()
