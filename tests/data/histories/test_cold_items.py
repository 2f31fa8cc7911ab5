"""Products that nobody took up, in the words that items are told in."""

from __future__ import annotations

from collections.abc import Callable

from shopstill.data.histories import AttributeConfig, Histories, cold_items, item_attributes
from shopstill.data.shop import Shop

PRODUCTS = [
    {"product_id": "i1", "title": "a", "brand": "Acme", "attributes": [("colour", "red")]},
    {"product_id": "new", "title": "b", "brand": "Acme", "category": ["Home", "Mugs"]},
    {"product_id": "strange", "title": "c", "brand": "Nobody"},
    {"product_id": "i2", "title": "d", "brand": "Bolt", "category": ["Home", "Cups"]},
    {"product_id": "told", "title": "e"},
]
EDGES = [
    {"source": "i2", "relation": "has_attribute", "target": "7"},
    {"source": "told", "relation": "has_attribute", "target": "7"},
    {"source": "told", "relation": "has_attribute", "target": "7"},
    {"source": "told", "relation": "has_attribute", "target": "8"},
]


def test_cold_products_have_the_values_that_items_have(
    shop_of: Callable[..., Shop], some: Callable[..., Histories]
) -> None:
    shop, histories = shop_of([], PRODUCTS, EDGES), some([(1, 0), (2, 1)])
    settings = AttributeConfig(least=1)
    known = item_attributes(shop, histories, settings)
    found = cold_items(shop, histories, known, settings)
    names = found.attributes.names.to_pylist()
    assert names == known.names.to_pylist()
    assert found.ids.to_pylist() == ["new", "told"], "nothing is known of the value of 'strange'"
    values = [{names[code - 1] for code in found.attributes.codes(item)} for item in range(len(found) + 1)]
    assert values == [set(), {"brand=Acme", "category=Home"}, {"has_attribute=7"}]


def test_a_shop_without_cold_products_has_none(shop_of: Callable[..., Shop], some: Callable[..., Histories]) -> None:
    shop, histories = shop_of([], [PRODUCTS[0], PRODUCTS[3]], []), some([(1, 0), (2, 1)])
    known = item_attributes(shop, histories, AttributeConfig(least=1))
    found = cold_items(shop, histories, known, AttributeConfig(least=1))
    assert len(found) == 0
    assert found.attributes.start_I.tolist() == [0, 0]
