"""A small shop in two languages, bundles of small models, and an engine over both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.export.conftest import ROWS, make, written

from shopstill.serve.engine.engine import Engine, create
from shopstill.serve.forms import Product

__all__ = ["make", "written"]

Bundles = Callable[[str], Path]


@pytest.fixture(scope="session")
def bundles(make: Any, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Name of a kind of model → its bundle, without products."""
    from shopstill.export.bundle import About, write_bundle

    known: dict[str, Path] = {}

    def bundle(kind: str) -> Path:
        if kind not in known:
            folder = tmp_path_factory.mktemp("served") / "bundle"
            name = kind.partition(",")[0]
            known[kind] = write_bundle(make(kind), folder, about=About(name=name), rows=ROWS)
        return known[kind]

    return bundle


@pytest.fixture(scope="session")
def goods(tmp_path_factory: pytest.TempPathFactory) -> list[Product]:
    """Products of a simulated shop, English and Chinese."""
    from shopstill.data.shop import Shop
    from shopstill.data.simulate import Simulate, simulate
    from shopstill.serve.products import of_table

    folder = tmp_path_factory.mktemp("goods")
    simulate(Simulate(products=300, queries=20, events=0, languages=("en", "zh"), seed=3), folder)
    return list(of_table(Shop(folder).scan("products")))


@pytest.fixture
def index(bundles: Bundles, goods: list[Product], tmp_path: Path) -> Path:
    """An index of the shop, with what static towers need of it."""
    create(tmp_path / "index", bundles("static towers, interaction"), goods, len(goods))
    return tmp_path / "index"


@pytest.fixture
def engine(bundles: Bundles, index: Path) -> Iterator[Engine]:
    """An engine over the shop with static towers."""
    opened = Engine.open(index, bundles("static towers, interaction"))
    yield opened
    opened.close()
