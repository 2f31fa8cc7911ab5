"""An engine in memory, that can be made slow, and an app around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from starlette.testclient import TestClient

from shopstill.core.errors import ArtifactError, DataError
from shopstill.data.images import ImageLimits
from shopstill.serve.app.create import create_app
from shopstill.serve.app.keys import add_key
from shopstill.serve.app.settings import Settings
from shopstill.serve.categories import Categorise, Categorised, Classes, Likely
from shopstill.serve.engine.errors import UnknownModel, UnknownProduct, WrongField
from shopstill.serve.forms import (
    Answer,
    Changed,
    Comparison,
    Hit,
    ModelState,
    Moved,
    Product,
    Ranked,
    Search,
    Suggestion,
    Why,
)
from shopstill.serve.recommendations import Next, Recommend, Recommended

BASE = "http://localhost"


class Memory:
    """An engine that finds by words in titles; ``slow_s`` makes every search take as long."""

    def __init__(self, slow_s: float = 0.0) -> None:
        self.slow_s, self.closed, self.calls = slow_s, False, 0
        self.stock = {
            str(n): Product(id=str(n), title=title)
            for n, title in enumerate(["red mug", "blue mug", "红色 杯子", "gélatine"])
        }
        self.loaded = ["one"]
        self.active, self.previous = "one", ""
        self.number = 0
        self.held = threading.Event()
        self.held.set()

    def search(self, asked: Search) -> Answer:
        self.calls += 1
        self.held.wait(10)
        time.sleep(self.slow_s)
        self._model(asked.model)
        if asked.query == "break":
            raise RuntimeError("secret internals and what was typed")
        words = asked.query.split()
        found = [p for p in self.stock.values() if all(word in p.title for word in words)]
        hits = [Hit(position=i + 1, product=p, score=1 / (i + 1)) for i, p in enumerate(found)]
        return Answer(
            query=asked.query,
            total=len(hits),
            hits=hits[asked.offset : asked.offset + asked.limit],
            stages_ms={"lexical": 0.5, "rerank": 1.0},
            took_ms=1.5,
            model=self.active,
            generation="g1",
        )

    def suggest(self, text: str, limit: int = 8) -> list[Suggestion]:
        return [
            Suggestion(text=p.title, kind="product", count=1, id=p.id)
            for p in self.stock.values()
            if p.title.startswith(text)
        ][:limit]

    def similar(self, product_id: str, limit: int = 12) -> list[Hit]:
        self.product(product_id)
        others = [p for p in self.stock.values() if p.id != product_id][:limit]
        return [Hit(position=i + 1, product=p, score=0.5) for i, p in enumerate(others)]

    def recommend(self, asked: Recommend) -> Recommended:
        self._model(asked.model)
        left = [p for p in self.stock.values() if asked.seen or p.id not in asked.history][: asked.limit]
        unknown = sum(one not in self.stock for one in asked.history)
        items = [Next(id=p.id, score=1.0, product=p) for p in left]
        return Recommended(items=items, unknown=unknown, took_ms=0.1, model="histories")

    def categorise(self, asked: Categorise, limits: ImageLimits) -> Categorised:
        self._model(asked.model)
        for at, product in enumerate(asked.products):
            if product.text is None:
                raise WrongField(f"products.{at}", "has no text; give one")
        likely = Classes(classes=[Likely(name="mugs", probability=1.0)])
        return Categorised(products=[likely] * len(asked.products), took_ms=0.1, model="classes")

    def product(self, product_id: str) -> Product:
        if product_id not in self.stock:
            raise UnknownProduct(product_id)
        return self.stock[product_id]

    def score(self, query: str, texts: Sequence[str], model: str | None = None) -> list[float]:
        self._model(model)
        return [float(sum(word in text for word in query.split())) for text in texts]

    def score_products(self, query: str, ids: Sequence[str], model: str | None = None) -> list[float]:
        return self.score(query, [self.product(one).title for one in ids], model)

    def embed(self, texts: Sequence[str], side: Literal["query", "product"], model: str | None = None) -> np.ndarray:
        if self._model(model) == "cross":
            raise DataError("model 'cross': has no towers; use one that has")
        return np.array([[len(text), side == "query"] for text in texts], np.float32)

    def why(self, query: str, product_id: str, model: str | None = None) -> Why:
        title = self.product(product_id).title
        moved = [Moved(text=title, start=0, stop=len(title), effect=1.0)]
        return Why(model=self._model(model), score=1.0, query=moved, title=moved)

    def compare(self, query: str, one: str, other: str, limit: int = 10) -> Comparison:
        hits = self.search(Search(query=query, limit=limit)).hits
        sides = tuple(Ranked(model=self._model(name), hits=hits, took_ms=1.0) for name in (one, other))
        return Comparison(query=query, sides=sides, tau=1.0, shared=1.0)

    def put(self, products: Sequence[Product]) -> Changed:
        if any(p.title == "full disk" for p in products):
            raise ArtifactError("journal: the change could not be written; free space and retry")
        self.stock |= {p.id: p for p in products}
        self.number += 1
        return Changed(put=len(products), deleted=0, number=self.number)

    def delete(self, ids: Sequence[str]) -> Changed:
        gone = [self.stock.pop(one, None) for one in ids]
        self.number += 1
        return Changed(put=0, deleted=sum(p is not None for p in gone), number=self.number)

    def change(self, put: Sequence[Product], delete: Sequence[str]) -> Changed:
        done = self.put(put)
        gone = self.delete(delete)
        self.number = done.number
        return Changed(put=done.put, deleted=gone.deleted, number=done.number)

    def models(self) -> list[ModelState]:
        return [self._state(name) for name in self.loaded]

    def load(self, name: str, folder: Path) -> ModelState:
        if not (folder / "manifest.json").is_file():
            raise ArtifactError(f"{folder}: no bundle here")
        self.loaded.append(name)
        return self._state(name)

    def activate(self, name: str) -> ModelState:
        self.previous, self.active = self.active, self._model(name)
        return self._state(name)

    def roll_back(self) -> ModelState:
        if not self.previous:
            raise DataError("there is no model to go back to; activate another first")
        self.previous, self.active = "", self.previous
        return self._state(self.active)

    def unload(self, name: str) -> None:
        if self._model(name) == self.active:
            raise DataError(f"model {name!r}: it answers now; activate another first")
        self.loaded.remove(name)

    def facts(self) -> dict[str, Any]:
        return {"products": len(self.stock), "generation": "g1", "pending": 0, "models": self.loaded, "index_bytes": 10}

    def disagreement(self) -> dict[str, Any]:
        slices = {"all": {"n": 3, "top10": 0.9, "tau": None}}
        return {"model": "two", "sampled": 3, "dropped": 0, "alarm": False, "threshold": 0.5, "slices": slices}

    def close(self) -> None:
        self.closed = True

    def _model(self, name: str | None) -> str:
        if name is not None and name not in self.loaded:
            raise UnknownModel(name, self.loaded)
        return name or self.active

    def _state(self, name: str) -> ModelState:
        return ModelState(
            name=name,
            kind="towers",
            active=name == self.active,
            previous=name == self.previous,
            retrieves=True,
            digest="d1",
            scheme="s1",
            bytes=1,
        )


@pytest.fixture
def engine() -> Memory:
    return Memory()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A file of keys, with none in it that anyone knows."""
    path = tmp_path / "keys.json"
    add_key(path, ["metrics"], "nobody")
    return path


@pytest.fixture
def key(keys: Path) -> dict[str, str]:
    """Headers of who may change everything."""
    return {"authorization": f"Bearer {add_key(keys, ['products', 'models'], 'all')}"}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of models, in which ``good`` is one."""
    folder = tmp_path / "models"
    (folder / "good").mkdir(parents=True)
    (folder / "good" / "manifest.json").write_text("{}")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "manifest.json").write_text("{}")
    (folder / "link").symlink_to(tmp_path / "outside")
    return folder


Serve = Callable[..., TestClient]


@pytest.fixture
def serve(engine: Memory, keys: Path, models: Path) -> Iterator[Serve]:
    """A client of an app; keywords replace settings."""
    made: list[TestClient] = []

    def start(**changes: Any) -> TestClient:
        settings = Settings(**{"keys": keys, "models": models, **changes})
        client = TestClient(create_app(engine, settings), base_url=BASE, raise_server_exceptions=False)
        made.append(client.__enter__())
        return client

    yield start
    for client in made:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve: Serve) -> TestClient:
    return serve()
