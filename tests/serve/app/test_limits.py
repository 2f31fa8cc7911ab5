"""What is refused before anything is done with it, and how clearly."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.serve.app.asgi import call, scope
from tests.serve.app.conftest import Memory

from shopstill.core.errors import ConfigError
from shopstill.serve.app.create import create_app
from shopstill.serve.app.settings import Settings

JSON = {"content-type": "application/json"}


def app(**settings: Any) -> Any:
    return create_app(Memory(), Settings(**settings))


def refused(client: Any, *asked: Any, **options: Any) -> tuple[int, str]:
    answer = client.request(*asked, **options)
    return answer.status_code, answer.json()["error"]["kind"]


def test_a_body_that_says_it_is_too_large_is_not_read(client: Any) -> None:
    got = asyncio.run(call(app(), scope("POST", "/search", {**JSON, "content-length": "10000000"}), []))
    assert (got.status, got.error["kind"], got.headers["connection"]) == (413, "too_large", "close")
    assert "65536 bytes" in got.error["message"]
    assert refused(client, "POST", "/search", json={"query": "a" * 10_000_000}) == (413, "too_large")


def test_a_body_that_does_not_say_how_large_it_is_is_counted() -> None:
    parts = [b" " * 1_000] * 100_000
    got = asyncio.run(call(app(), scope("POST", "/search", JSON), parts))
    assert (got.status, got.error["kind"]) == (413, "too_large")


def test_all_bodies_together_have_a_limit_and_are_forgotten_afterwards() -> None:
    made = app(bodies_bytes=100_000)

    async def several() -> list[int]:
        asked = [call(made, scope("POST", "/search", JSON), [b" " * 30_000] * 2, pause_s=0.02) for _ in range(4)]
        return sorted(got.status for got in await asyncio.gather(*asked))

    statuses = asyncio.run(several())
    assert statuses.count(503) >= 1
    assert asyncio.run(call(made, scope("POST", "/search", JSON), [b'{"query": "mug"}'])).status == 200


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    made = app(body_s=0.2)
    got = asyncio.run(call(made, scope("POST", "/search", JSON), [b"{"] * 100, pause_s=0.05))
    assert (got.status, got.error["kind"], got.headers["connection"]) == (408, "too_slow", "close")


def test_a_packed_body_is_not_unpacked(client: Any) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    headers = {**JSON, "content-encoding": "gzip"}
    assert refused(client, "POST", "/search", content=bomb, headers=headers) == (415, "encoding")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_must_say_that_it_is_json(client: Any, kind: str) -> None:
    assert refused(client, "POST", "/search", content="{}", headers={"content-type": kind}) == (415, "content_type")


@pytest.mark.parametrize("host", ["evil.example", "", "localhost.evil.example", "127.0.0.1.nip.io:80", "[::2]"])
def test_a_name_of_another_host_is_refused(client: Any, host: str) -> None:
    assert refused(client, "GET", "/search", headers={"host": host}) == (400, "host")
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:99", "LOCALHOST"])
def test_names_of_this_machine_are_known(client: Any, host: str) -> None:
    assert client.get("/search", headers={"host": host}).status_code == 200


def test_further_names_are_known_where_they_are_listed(serve: Any) -> None:
    assert serve(hosts=("shop.example",)).get("/search", headers={"host": "shop.example"}).status_code == 200
    assert serve(hosts=("*",)).get("/search", headers={"host": "any.example"}).status_code == 200


def test_pages_of_other_origins_are_not_told_that_they_may_ask(client: Any, serve: Any) -> None:
    asks = {"origin": "https://shop.example", "access-control-request-method": "GET"}
    assert not [name for name in client.get("/search", headers=asks).headers if name.startswith("access-control")]
    assert client.options("/search", headers=asks).status_code == 405
    listed = serve(origins=("https://shop.example",))
    assert listed.get("/search", headers=asks).headers["access-control-allow-origin"] == "https://shop.example"
    other = listed.get("/search", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("origin", ["*", "https://*.example", "shop.example", "https://shop.example/", "null"])
def test_an_origin_is_one_origin(origin: str) -> None:
    from shopstill.core.config import build

    with pytest.raises(ConfigError, match="is not one origin"):
        build(Settings, {"origins": [origin]})


HOSTILE = ["\x00", "a\x00b", "\u202eabc", "😀" * 100, "a " * 256, "\x1b[2J", "' OR 1=1 --", '"(((', "a:b AND *", "+-~^"]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_searched_for_or_refused(client: Any, text: str) -> None:
    expected = 422 if "\x00" in text else 200
    assert client.post("/search", json={"query": text}).status_code == expected
    assert client.get("/search", params={"q": text}).status_code == expected
    assert client.get("/suggest", params={"q": text}).status_code == expected


BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"a"',
    b"[" * 60_000,
    b'{"filters":' * 5_000,
    b'{"query": "\xff\xfe"}',
    b'{"query": "\\ud800"}',
    b'{"\\ud800": 1}',
    b'{"query": NaN}',
    b'{"budget_ms": NaN}',
    b'{"budget_ms": Infinity}',
    b'{"limit": 1e400}',
    b'{"limit": 99999999999999999999999999}',
    b'{"limit": -1}',
    b'{"offset": 1000}',
    b'{"offset": 990, "limit": 100}',
    b'{"filters": {"price_min": NaN}}',
    b'{"filters": {"attributes": {"a\\u0000": ["b"]}}}',
    b'{"query": "' + b"a" * 513 + b'"}',
    b'{"quarry": "a"}',
    b'{"legs": ["magic"]}',
    b'{"sort": {"a": 1}}',
    b'{"facets": [' + b'"a",' * 20 + b'"a"]}',
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_faulty_body_is_told_what_is_wrong(client: Any, body: bytes) -> None:
    answer = client.post("/search", content=body, headers=JSON)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["kind"] == "invalid"
    assert 5 < len(error["message"]) < 600


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("limt=3", 422, "limt"),
        ("limit=x", 422, "limit"),
        ("limit=3&limit=4", 422, "limit"),
        ("limit=101", 422, "limit"),
        ("price_min=nan", 422, "price_min"),
        ("price_max=-1", 422, "price_max"),
        ("price_max=", 422, "price_max"),
        ("model=", 422, "model"),
        ("legs=", 422, "legs.0"),
        ("attr=colour", 422, "attr.0"),
        ("rerank=perhaps", 422, "rerank"),
        ("q=%ff", 400, None),
        ("q=%ed%a0%80", 400, None),
        ("&".join(["brand=a"] * 201), 400, None),
        ("q=" + "a" * 513, 422, "q"),
        ("q=" + "a" * 9_000, 414, None),
    ],
)
def test_a_faulty_address_is_told_what_is_wrong(client: Any, query: str, status: int, field: str | None) -> None:
    answer = client.get(f"/search?{query}")
    assert (answer.status_code, answer.json()["error"].get("field")) == (status, field)


def test_a_mistyped_parameter_is_answered_with_the_nearest(client: Any) -> None:
    assert "did you mean 'limit'" in client.get("/search?limt=3").json()["error"]["message"]


def test_a_shorter_limit_of_queries_is_kept(serve: Any) -> None:
    client = serve(query_chars=3)
    assert [client.get(f"/search?q={'a' * n}").status_code for n in (3, 4)] == [200, 422]


def test_what_is_not_there_is_told_so_in_the_same_form(client: Any) -> None:
    assert refused(client, "GET", "/nowhere") == (404, "not_found")
    assert refused(client, "PATCH", "/search") == (405, "method_not_allowed")
    assert client.patch("/search").headers["allow"]


def test_what_breaks_is_told_without_internals(client: Any) -> None:
    answer = client.get("/search?q=break")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["error"]["id"] == answer.headers["x-request-id"]
    assert 'shopstill_errors_total{kind="RuntimeError"} 1.0' in client.get("/metrics").text


def test_logs_hold_no_text_of_shoppers_unless_asked(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="shopstill.serve.app.observe")
    client = serve()
    client.get("/search?q=mug", headers={"x-request-id": "given-from-outside"})
    client.post("/search", json={"query": "mug"})
    client.get("/search?q=break")
    client.get("/products/mug")
    line = json.loads(caplog.records[0].message)
    assert (line["id"], line["route"], line["status"], line["method"]) == ("given-from-outside", "/search", 200, "GET")
    assert line["bytes"] > 100
    assert not [record for record in caplog.records if "mug" in record.getMessage() or "typed" in record.getMessage()]
    caplog.clear()
    serve(log_texts=True).get("/search?q=mug")
    assert json.loads(caplog.records[0].message)["query"] == "q=mug"


def test_a_rate_is_kept_for_each_client(serve: Any, key: dict[str, str]) -> None:
    client = serve(rate=0.001, burst=3)
    answers = [client.get("/search") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) > 1
    assert client.get("/search", headers=key).status_code == 200
    assert client.get("/search", headers={"authorization": "Bearer made-up"}).status_code == 429
    assert client.get("/healthz").status_code == 200


PATHS = ["/static/../settings.py", "/static/%2e%2e/%2e%2e/app/settings.py", "/static//etc/passwd", "/static/"]
PATHS += ["/static/..%2f..%2fforms.py", "/static/.", "/static/%00", "/static/..\\forms.py", "/static/link.js"]
PATHS += ["/static/.hidden.js"]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_but_the_page_is_served(tmp_path: Path, path: str) -> None:
    from starlette.testclient import TestClient

    from shopstill.serve.app.pages import Pages

    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<p>hello</p>")
    (page / ".hidden.js").write_text("secret")
    (tmp_path / "secret.js").write_text("secret")
    (page / "link.js").symlink_to(tmp_path / "secret.js")
    made = app()
    made.state.pages = Pages(page)
    client = TestClient(made, base_url="http://localhost")
    assert client.get("/").text == "<p>hello</p>"
    answer = client.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_the_page_is_kept_until_it_changes_and_asks_no_one_else(tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    from shopstill.serve.app.pages import Pages

    (tmp_path / "index.html").write_text("<p>hello</p>" * 1_000)
    made = app()
    made.state.pages = Pages(tmp_path)
    client = TestClient(made, base_url="http://localhost")
    first = client.get("/")
    assert first.headers["content-encoding"] == "gzip"
    assert "default-src 'self'" in first.headers["content-security-policy"]
    assert "unsafe" not in first.headers["content-security-policy"]
    assert first.headers["x-content-type-options"] == "nosniff"
    assert client.get("/", headers={"if-none-match": first.headers["etag"]}).status_code == 304
    assert client.get("/", headers={"accept-encoding": "identity"}).text == first.text
    assert client.head("/").text == ""
