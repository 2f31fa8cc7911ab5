"""The app on the engine itself: what a shop's own programs would do, and whatever Schemathesis thinks of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from shopstill.models.build import TextModel
from shopstill.serve.app.create import create_app
from shopstill.serve.app.keys import add_key
from shopstill.serve.app.settings import Settings
from shopstill.serve.engine.engine import Engine, create
from shopstill.serve.forms import Product

TITLES = ["red mug", "blue mug", "steel pan", "red scarf", "红色 杯子", "蓝色 围巾", "mug for tea", "pan with lid"]
LINES = {"content-type": "application/x-ndjson"}


@pytest.fixture
def shop(tmp_path: Path, written: Callable[[str], tuple[TextModel, Path]]) -> Iterator[tuple[Any, dict[str, str]]]:
    """An app on a small index, with a second bundle to load, and the headers of who may change everything."""
    _, student = written("static towers")
    _, other = written("joint")
    shutil.copytree(other, tmp_path / "models" / "joint")
    products = [
        Product(id=str(at), title=title, brand="Acme", category=("Home",), price=at + 1.0, attributes={"colour": "red"})
        for at, title in enumerate(TITLES)
    ]
    create(tmp_path / "index", student, products, len(products))
    engine = Engine.open(tmp_path / "index", student)
    secret = add_key(tmp_path / "keys.json", ["products", "models"], "all")
    settings = Settings(hosts=("*",), keys=tmp_path / "keys.json", models=tmp_path / "models", queue_ms=5_000)
    yield create_app(engine, settings), {"Authorization": f"Bearer {secret}"}
    engine.close()


@pytest.fixture
def client(shop: tuple[Any, dict[str, str]]) -> Iterator[TestClient]:
    with TestClient(shop[0], raise_server_exceptions=False) as made:
        yield made


def test_what_shoppers_ask_is_answered(client: TestClient) -> None:
    answer = client.get("/search?q=red+mug&facets=brand,price&budget_ms=5000").json()
    assert {"red mug"} <= {hit["product"]["title"] for hit in answer["hits"]}
    assert answer["facets"]
    assert answer["stages_ms"]
    assert client.get("/suggest?q=mu").json()["suggestions"]
    assert len(client.get("/similar/0?limit=3").json()["hits"]) == 3
    assert client.get("/why?q=red+mug&id=0").json()["title"]
    assert client.get("/lab/state").json()["now"]["answers"] == 1
    assert client.get("/readyz").json()["products"] == len(TITLES)
    assert f"shopstill_products {len(TITLES)}.0" in client.get("/metrics").text


def test_what_shops_ask_is_answered(client: TestClient) -> None:
    ranked = client.post("/rerank", json={"query": "red mug", "documents": TITLES, "top_n": 3}).json()
    assert len(ranked["results"]) == 3
    assert len(client.post("/rerank", json={"query": "red mug", "ids": ["0", "1"]}).json()["results"]) == 2
    assert len(client.post("/embed", json={"input": TITLES}).json()["data"]) == len(TITLES)


def test_changes_are_found_at_once(client: TestClient, shop: tuple[Any, dict[str, str]]) -> None:
    headers = {**shop[1], **LINES}
    lines = [json.dumps({"put": {"id": "new", "title": "zebra lamp"}}), json.dumps({"delete": "0"})]
    done = client.post("/products", content="\n".join(lines), headers=headers)
    assert (done.json()["put"], done.json()["deleted"]) == (1, 1)
    assert client.get("/search?q=zebra&budget_ms=5000").json()["hits"][0]["product"]["id"] == "new"
    assert client.get("/products/0").status_code == 404
    assert client.delete("/products/new", headers=shop[1]).json()["deleted"] == 1
    assert client.delete("/products/new", headers=shop[1]).status_code == 404


def test_a_model_is_swapped_and_back(client: TestClient, shop: tuple[Any, dict[str, str]]) -> None:
    key = shop[1]
    before = client.get("/search?q=mug").json()["model"]
    assert client.post("/models/rollback", headers=key).status_code == 409
    loaded = client.post("/models", json={"name": "joint", "path": "joint"}, headers=key)
    assert loaded.status_code == 200, loaded.text
    assert client.get("/search?q=mug").json()["model"] == before
    sides = client.get(f"/compare?q=mug&models={before},joint").json()["sides"]
    assert [side["model"] for side in sides] == [before, "joint"]
    assert client.post("/models/joint/activate", headers=key).json()["active"]
    assert client.get("/search?q=mug").json()["model"] == "joint"
    assert client.delete("/models/joint", headers=key).status_code == 409
    assert client.post("/models/rollback", headers=key).json()["name"] == before
    assert client.delete("/models/joint", headers=key).status_code == 200
    assert client.post("/models", json={"name": "bad", "path": "joint/graphs"}, headers=key).status_code == 422


@pytest.mark.parametrize("slash", ["/", "%2F"])
def test_a_model_may_be_named_as_a_step_is(
    client: TestClient, shop: tuple[Any, dict[str, str]], tmp_path: Path, slash: str
) -> None:
    key, name = shop[1], f"small{slash}2-tables"
    shop[0].state.shopstill.engine.load("small/2-tables", tmp_path / "models" / "joint")
    assert client.post(f"/models/{name}/activate", headers=key).json()["name"] == "small/2-tables"
    assert client.post("/models/rollback", headers=key).status_code == 200
    assert client.delete(f"/models/{name}", headers=key).status_code == 200


HOSTILE = ["", " ", "\u202e\u200b", "😀" * 200, "a " * 256, "\x1b[2J\x07", "ﷺ" * 300]
HOSTILE += ['"((( OR *', "title:mug^9 -red", "\\", "[a TO z]", "a~9", "*", "/a/"]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_may_be_typed(client: TestClient, text: str) -> None:
    for path in ("/search", "/suggest"):
        assert client.get(path, params={"q": text}).status_code == 200, path
    assert client.get("/why", params={"q": text, "id": "1"}).status_code == 200
    assert client.post("/rerank", json={"query": text, "documents": [text, ""]}).status_code == 200
    assert client.post("/embed", json={"input": [text], "input_type": "query"}).status_code == 200


@pytest.mark.slow
def test_nothing_that_fits_the_description_breaks_the_engine(shop: tuple[Any, dict[str, str]]) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    from tests.serve.app.test_fuzz import fuzz

    described = schemathesis.openapi.from_asgi("/openapi.json", shop[0])
    for found in described.get_all_operations():
        fuzz(found.ok(), schemathesis.GenerationMode.POSITIVE, shop[1])
