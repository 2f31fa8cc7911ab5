"""Attributes of items, as ragged numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from shopstill.data.histories import AttributeConfig, Histories, ItemAttributes, item_attributes
from shopstill.data.shop import Shop

PRODUCTS = [
    {"product_id": "i1", "title": "a", "brand": "Acme", "category": ["Home", "Mugs"], "attributes": {"colour": "red"}},
    {"product_id": "i9", "title": "b", "brand": "Acme", "category": ["Home", "Mugs"]},
    {"product_id": "i3", "title": "c", "category": ["Home", "Cups"], "attributes": {"colour": "red", "size": "s"}},
    {"product_id": "i2", "title": "d", "brand": "Bolt", "category": None},
]
EDGES = [
    {"source": "i2", "relation": "has_attribute", "target": "attribute:7"},
    {"source": "i2", "relation": "has_attribute", "target": "attribute:7"},
    {"source": "i3", "relation": "has_attribute", "target": "attribute:7"},
    {"source": "i3", "relation": "also_bought", "target": "i2"},
]


@pytest.fixture
def shop(shop_of: Callable[..., Shop]) -> Shop:
    products = [{**row, "attributes": list(row.get("attributes", {}).items()) or None} for row in PRODUCTS]
    return shop_of([], products, EDGES)


@pytest.fixture
def histories(some: Callable[..., Histories]) -> Histories:
    return some([(1, 0), (2, 1), (3, 2), (4, 3)])


def named(found: ItemAttributes) -> list[set[str]]:
    names = found.names.to_pylist()
    return [{names[code - 1] for code in found.codes(item)} for item in range(len(found.start_I) - 1)]


def test_every_source_of_values(shop: Shop, histories: Histories) -> None:
    found = item_attributes(shop, histories, AttributeConfig(least=1))
    home = "category=Home"
    assert named(found) == [
        set(),
        {"brand=Acme", home, "category=Home > Mugs", "colour=red"},
        {"brand=Bolt", "has_attribute=attribute:7"},
        {home, "category=Home > Cups", "colour=red", "size=s", "has_attribute=attribute:7"},
        set(),
    ]
    assert found.rare == 0
    assert (found.code_A.dtype, found.start_I.dtype) == (np.int32, np.int64)


def test_values_of_every_relation_of_having_count(
    shop_of: Callable[..., Shop], some: Callable[..., Histories], caplog: pytest.LogCaptureFixture
) -> None:
    edges = [
        {"source": "i1", "relation": "has_genre", "target": "genre:pop"},
        {"source": "i2", "relation": "has_attribute", "target": "7"},
        {"source": "i2", "relation": "hasty", "target": "8"},
    ]
    products = [{"product_id": name, "title": name} for name in ("i1", "i2")]
    shop, histories = shop_of([], products, edges), some([(1, 0), (2, 1)])
    with caplog.at_level("INFO"):
        found = item_attributes(shop, histories, AttributeConfig(least=1))
    assert set(found.names.to_pylist()) == {"has_genre=genre:pop", "has_attribute=7"}
    assert "from the relations has_attribute, has_genre" in caplog.text
    chosen = item_attributes(shop, histories, AttributeConfig(least=1, relations=("hasty",)))
    assert chosen.names.to_pylist() == ["hasty=8"]


def test_rare_values_go(shop: Shop, histories: Histories) -> None:
    found = item_attributes(shop, histories)
    assert set(found.names.to_pylist()) == {"category=Home", "colour=red", "has_attribute=attribute:7"}
    assert found.rare == 5
    few = item_attributes(shop, histories, AttributeConfig(least=1, most=1))
    assert len(few.names) == 1
    assert few.padded(2).tolist()[1] == [1, 0]
    assert found.padded(2)[3].tolist() == found.codes(3)[:2].tolist()


def test_nothing_known(shop: Shop, histories: Histories) -> None:
    nothing = AttributeConfig(brand=False, category=False, attributes=False, relations=())
    found = item_attributes(shop, histories, nothing)
    assert (len(found.names), found.padded(3).tolist()) == (0, [[0, 0, 0]] * 5)
    colours = item_attributes(shop, histories, AttributeConfig(brand=False, category=False, relations=(), least=2))
    assert colours.names.to_pylist() == ["colour=red"]


def test_pieces_do_not_show(shop: Shop, histories: Histories, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = item_attributes(shop, histories, AttributeConfig(least=1))
    monkeypatch.setattr("shopstill.data.histories.attributes._ROWS", 1)
    pieces = item_attributes(shop, histories, AttributeConfig(least=1))
    assert named(whole) == named(pieces)
