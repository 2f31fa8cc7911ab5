"""Classes over HTTP: what the bundle says of texts and pictures, and limits that name the field they are broken in."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.export import label_kit
from tests.export.label_kit import PIXELS
from tests.models.label.conftest import CLASSES, TITLES

from shopstill.core.errors import ArtifactError, ConfigError
from shopstill.models.build import TextModel
from shopstill.serve.app.create import create_app
from shopstill.serve.app.settings import Settings
from shopstill.serve.bundle.load import load_label
from shopstill.serve.engine.engine import Engine, create
from shopstill.serve.forms import Product

Image = pytest.importorskip("PIL.Image", reason="Pillow writes and reads the pictures")

Start = Callable[..., TestClient]


@pytest.fixture(scope="module")
def folders(tiny_start: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    where = {kind: tmp_path_factory.mktemp("labels") for kind in ("both", "title")}
    return {kind: label_kit.written(kind, tiny_start, lambda kind=kind: where[kind])[1] for kind in where}  # type: ignore[misc]


@pytest.fixture
def texts(written: Callable[[str], tuple[TextModel, Path]]) -> Path:
    return written("static towers")[1]


@pytest.fixture
def engine(texts: Path, folders: dict[str, Path], tmp_path: Path) -> Iterator[Engine]:
    create(tmp_path / "index", texts, [Product(id="1", title="mug")], 1)
    opened = Engine.open(tmp_path / "index", texts)
    for folder in folders.values():
        opened.categorisers.load(folder)
    yield opened
    opened.close()


@pytest.fixture
def start(engine: Engine) -> Iterator[Start]:
    """A client of an app; keywords replace settings."""
    made: list[TestClient] = []

    def client(**changes: Any) -> TestClient:
        app = create_app(engine, Settings(hosts=("*",), queue_ms=5_000, **changes))
        made.append(TestClient(app).__enter__())
        return made[-1]

    yield client
    for one in made:
        one.__exit__(None, None, None)


def _sent(pixels: np.ndarray, form: str = "PNG") -> str:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form)
    return base64.b64encode(out.getvalue()).decode()


def _best(answer: Any) -> list[list[tuple[str, float]]]:
    assert answer.status_code == 200, answer.text
    return [[(one["name"], one["probability"]) for one in each["classes"]] for each in answer.json()["products"]]


def test_products_are_put_into_the_bundles_classes(start: Start, folders: dict[str, Path]) -> None:
    served, client = load_label(folders["both"]), start()
    products = [{"text": text, "picture": _sent(PIXELS[at])} for at, text in enumerate(TITLES)]
    answer = client.post("/categorise", json={"products": products, "limit": 2})
    expected = served.best(list(TITLES), PIXELS, limit=2)
    for found, first in zip(_best(answer), expected, strict=True):
        assert [name for name, _ in found] == [name for name, _ in first]
        assert [part for _, part in found] == pytest.approx([part for _, part in first], abs=1e-5)
    assert answer.json()["model"] == "both"
    data = [{**product, "picture": f"data:image/png;base64,{product['picture']}"} for product in products]
    lines = [base64.encodebytes(base64.b64decode(product["picture"])).decode() for product in products]
    assert all("\n" in picture.strip() for picture in lines)
    data[0] |= {"picture": f"data:image/png;base64,{lines[0]}"}
    data[1] |= {"picture": lines[1]}
    assert _best(client.post("/categorise", json={"products": data, "limit": 2})) == _best(answer)


def test_what_is_missing_or_not_read_is_passed_over(start: Start, folders: dict[str, Path]) -> None:
    served, client = load_label(folders["both"]), start()
    white = np.full_like(PIXELS[:1], 255)
    half = [{"text": "mug"}, {"picture": _sent(PIXELS[0])}]
    expected = [served.best(["mug"], white)[0][0][0], served.best([""], PIXELS[:1])[0][0][0]]
    assert [found[0][0] for found in _best(client.post("/categorise", json={"products": half}))] == expected
    both = [{"text": "mug", "picture": "this is no picture"}]
    answer = client.post("/categorise", json={"products": both, "model": "title", "limit": 9})
    assert [name for name, _ in _best(answer)[0]] == [n for n, _ in load_label(folders["title"]).best(["mug"])[0]]
    assert len(_best(answer)[0]) == len(CLASSES)


@pytest.mark.parametrize(
    ("product", "field", "told"),
    [
        ({}, "products.1", "has no text or picture"),
        ({"picture": "§"}, "products.1.picture", "is not base64"),
        ({"picture": ""}, "products.1.picture", "no picture"),
        ({"picture": base64.b64encode(b"GIF89a nothing").decode()}, "products.1.picture", "picture"),
        ({"picture": _sent(np.zeros((40, 300, 3), np.uint8))}, "products.1.picture", "10,000 at most are decoded"),
        ({"picture": "A" * 3000}, "products.1.picture", "1,100 at most"),
        ({"text": "mug" * 50}, "products.1.text", "100 at most"),
        ({"text": 5}, "products.1.text", "string"),
        ({"title": "mug"}, "products.1.title", "unknown"),
    ],
)
def test_what_cannot_be_used_is_named(product: dict[str, Any], field: str, told: str, start: Start) -> None:
    client = start(picture_bytes=1_100, picture_pixels=10_000, document_chars=100)
    answer = client.post("/categorise", json={"products": [{"text": "mug"}, product]})
    fault = answer.json()["error"]
    assert (answer.status_code, fault["kind"], fault["field"]) == (422, "invalid", field)
    assert told in fault["message"]


def test_a_bomb_is_refused_before_it_is_decoded(start: Start) -> None:
    picture = _sent(np.zeros((5000, 5000, 3), np.uint8))
    assert len(picture) < 120_000
    answer = start(picture_pixels=30_000_000).post("/categorise", json={"products": [{"picture": picture}]})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "products.0.picture")
    assert "looks like a bomb" in answer.json()["error"]["message"]


def test_numbers_and_sizes_have_limits(start: Start) -> None:
    client = start(pictures=2, documents=4, pictures_bytes=20_000)
    picture = _sent(PIXELS[0])
    for products, status, told in (
        ([], 422, "products"),
        ([{"text": "mug"}] * 5, 422, "1 to 4 are allowed"),
        ([{"picture": picture}] * 3, 422, "have 3 pictures; 2 at most"),
        ([{"text": "m" * 30_000}], 413, "longer than 20000 bytes"),
    ):
        answer = client.post("/categorise", json={"products": products})
        assert answer.status_code == status
        assert told in answer.json()["error"]["message"]
    for limit in (0, 101):
        assert client.post("/categorise", json={"products": [{"text": "mug"}], "limit": limit}).status_code == 422
    answer = client.post("/categorise", json={"products": [{"text": "mug"}], "model": "none"})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (404, "unknown_model")


def test_requests_are_counted_by_their_route(start: Start) -> None:
    client = start()
    client.post("/categorise", json={"products": [{"text": "mug"}]})
    assert 'shopstill_requests_total{method="POST",route="/categorise",status="200"} 1.0' in client.get("/metrics").text


def test_without_a_model_of_classes_the_fix_is_told(texts: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    create(tmp_path / "index", texts, [Product(id="1", title="mug")], 1)
    engine = Engine.open(tmp_path / "index", texts)
    try:
        with TestClient(create_app(engine, Settings(hosts=("*",)))) as client:
            answer = client.post("/categorise", json={"products": [{"text": "mug"}]})
        assert answer.status_code == 404
        told = "no model of classes is loaded; start the server with --categorise BUNDLE"
        assert answer.json()["error"]["message"] == told
        with pytest.raises(ArtifactError, match=r"a model that scores texts .* and a model of classes is asked for"):
            engine.categorisers.load(texts)
        engine.categorisers.load(folders["title"])
        with pytest.raises(ConfigError, match="a model of classes named 'title' is loaded already"):
            engine.categorisers.load(folders["title"])
    finally:
        engine.close()
