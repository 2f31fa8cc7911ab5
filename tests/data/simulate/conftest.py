"""Simulated shops that several tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, simulate

SETTINGS = {
    "en": Simulate(products=3_000, queries=250, shoppers=300, events=30_000, images=300, seed=5),
    "zh": Simulate(products=3_000, queries=250, languages=("zh",), events=0, seed=5),
    "both": Simulate(products=600, queries=200, languages=("en", "zh"), shoppers=50, events=3_000, seed=5),
}


@pytest.fixture(scope="session")
def shops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Shop]:
    return {name: simulate(config, tmp_path_factory.mktemp(name)) for name, config in SETTINGS.items()}


@pytest.fixture(scope="session")
def settings() -> dict[str, Simulate]:
    return SETTINGS


@pytest.fixture(scope="session")
def english(shops: dict[str, Shop]) -> Shop:
    return shops["en"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shop"
