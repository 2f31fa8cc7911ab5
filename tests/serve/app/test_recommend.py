"""What comes next, over HTTP: the model's order of what the catalogue has and the filters let pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.export import history_kit
from tests.export.history_kit import ITEMS, scores

from shopstill.core.errors import ArtifactError, ConfigError
from shopstill.models.build import TextModel
from shopstill.serve.app.create import create_app
from shopstill.serve.app.settings import Settings
from shopstill.serve.bundle import scan
from shopstill.serve.engine import recommend
from shopstill.serve.engine.engine import Engine, create
from shopstill.serve.forms import Product
from shopstill.serve.index.catalogue import Catalogue

HISTORY = ["item 5", "item 9"]


def _product(at: int) -> Product:
    """A third of the products are by Acme, and every price is the item's number."""
    return Product(id=f"item {at}", title=f"mug {at}", brand="Acme" if at % 3 == 0 else "Other", price=at)


@pytest.fixture
def engine(written_texts: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    products = [_product(at) for at in range(1, ITEMS // 2)] + [Product(id="new", title="a new mug", brand="Acme")]
    create(tmp_path / "index", written_texts, products, len(products))
    opened = Engine.open(tmp_path / "index", written_texts)
    opened.recommenders.load(history_kit.written("item_mean", lambda: tmp_path_factory.mktemp("histories"))[1])
    yield opened
    opened.close()


@pytest.fixture
def written_texts(written: Callable[[str], tuple[TextModel, Path]]) -> Path:
    return written("static towers")[1]


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(engine, Settings(hosts=("*",), queue_ms=5_000))) as made:
        yield made


def _expected(fits: Callable[[int], bool], limit: int) -> list[str]:
    made = history_kit.model(history_kit.FAMILIES["item_mean"])
    score_V = scores(made, np.array([5, 9]))
    order = np.argsort(-score_V, kind="stable") + 1
    return [f"item {at}" for at in order if at not in (5, 9) and at < ITEMS // 2 and fits(int(at))][:limit]


def _ids(client: TestClient, **asked: Any) -> list[str]:
    answer = client.post("/recommend", json={"history": HISTORY, **asked})
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def test_the_products_that_fit_come_in_the_models_order(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "DEPTH", 40)
    assert _ids(client, limit=7) == _expected(lambda at: True, 7)
    assert _ids(client, filters={"brand": ["Acme"]}) == _expected(lambda at: at % 3 == 0, 10)
    assert _ids(client, filters={"price_max": 12}, limit=100) == _expected(lambda at: at <= 12, 100)
    assert _ids(client, filters={"brand": ["Nobody"]}) == []
    first = _expected(lambda at: True, 3)
    assert _ids(client, exclude=[first[0], "nothing"], limit=2) == first[1:]


def test_where_few_products_fit_no_others_are_looked_at(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    row = Catalogue.row
    monkeypatch.setattr(Catalogue, "row", lambda self, name: looked.append(name) or row(self, name))
    expected = _expected(lambda at: at <= 12, 10)
    assert _ids(client, filters={"price_max": 12}) == expected
    assert len(looked) <= 12
    # Where more fit, the best of all are looked at until enough of them do.
    monkeypatch.setattr(recommend, "COMPARED", 5)
    monkeypatch.setattr(scan, "DEPTH", 40)
    assert _ids(client, filters={"price_max": 12}) == expected
    assert len(looked) > 40


def test_an_answer_says_products_scores_and_what_was_unknown(client: TestClient) -> None:
    said = client.post("/recommend", json={"history": [*HISTORY, "?", "new"], "limit": 2}).json()
    assert (said["unknown"], said["model"], len(said["items"])) == (2, "item_mean", 2)
    assert said["items"][0]["product"]["title"].startswith("mug")
    assert said["items"][0]["score"] >= said["items"][1]["score"]
    seen = _ids(client, seen=True, filters={"price_max": 9}, limit=100)
    assert set(HISTORY) <= set(seen)
    assert not set(HISTORY) & set(_ids(client, filters={"price_max": 9}, limit=100))


def test_what_is_deleted_goes_and_what_comes_back_is_there(client: TestClient, engine: Engine) -> None:
    first = _ids(client, limit=3)
    engine.delete([first[0]])
    assert _ids(client, limit=2) == first[1:]
    engine.put([_product(int(first[0].split()[1]))])
    assert _ids(client, limit=3) == first
    engine.put([_product(ITEMS - 1)])
    assert len(_ids(client, filters={"price_min": ITEMS - 1})) == 1


def test_the_latest_of_a_long_history_count(client: TestClient) -> None:
    long = [f"a product that was sold once, {at}" for at in range(10_000 - len(HISTORY))]
    answer = client.post("/recommend", json={"history": long + HISTORY}).json()
    assert answer["unknown"] == len(long)
    assert [item["id"] for item in answer["items"]] == _expected(lambda at: True, 10)


@pytest.mark.parametrize(
    ("asked", "status", "kind", "told"),
    [
        ({"history": []}, 422, "data", "knows none of its 0 products"),
        ({"history": ["?"]}, 422, "data", "knows none of its 1 products"),
        ({"history": HISTORY, "model": "none"}, 404, "unknown_model", "'none': not loaded"),
        ({"history": HISTORY, "limit": 101}, 422, "invalid", "limit"),
        ({"history": [""]}, 422, "invalid", "history.0"),
        ({"history": ["x"] * 10_001}, 422, "invalid", "history"),
        ({"limit": 3}, 422, "invalid", "history"),
        ({"history": HISTORY, "filter": {}}, 422, "invalid", "filter"),
    ],
)
def test_what_cannot_be_answered_is_told(
    client: TestClient, asked: dict[str, Any], status: int, kind: str, told: str
) -> None:
    answer = client.post("/recommend", json=asked)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (status, kind)
    assert told in answer.json()["error"]["message"]


def test_without_a_model_of_histories_the_fix_is_told(written_texts: Path, tmp_path: Path) -> None:
    create(tmp_path / "index", written_texts, [_product(1)], 1)
    engine = Engine.open(tmp_path / "index", written_texts)
    try:
        with TestClient(create_app(engine, Settings(hosts=("*",)))) as client:
            answer = client.post("/recommend", json={"history": HISTORY})
        assert answer.status_code == 404
        assert "--recommend BUNDLE" in answer.json()["error"]["message"]
        with pytest.raises(ArtifactError, match="a model that scores texts"):
            engine.recommenders.load(written_texts)
    finally:
        engine.close()


def test_two_models_of_one_name_are_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="named 'item_mean' is loaded already"):
        engine.recommenders.load(history_kit.written("item_mean", lambda: tmp_path)[1])
