"""What is counted is what is found: a filter only takes away, and a facet says beforehand what it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.serve.conftest import Bundles

from shopstill.serve.engine import counting, gather, legs
from shopstill.serve.engine.engine import Engine, create
from shopstill.serve.forms import Filters, Product, Search, Sort

TOWERS = "static towers, interaction"


MUGS = [
    *(Product(id=f"s{n}", title=f"steel mug {n}", brand="Zed" if n else "Tiny") for n in range(220)),
    *(Product(id=f"g{n}", title=f"glass mug {n}", brand="Tiny") for n in range(30)),
]
"""Steel mugs of a large brand and one of a small, and what shares but one word with them."""


@pytest.fixture(scope="module")
def shelf(bundles: Bundles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine over the mugs alone."""
    index = tmp_path_factory.mktemp("shelf") / "index"
    create(index, bundles(TOWERS), MUGS, len(MUGS))
    opened = Engine.open(index, bundles(TOWERS))
    yield opened
    opened.close()


@pytest.mark.parametrize("sort", ["relevance", "price_asc"])
def test_a_filter_that_leaves_few_does_not_widen_the_search(shelf: Engine, sort: Sort) -> None:
    asked = Search(query="steel mug", legs=("lexical",), sort=sort)
    assert shelf.search(asked).total == 220
    found = shelf.search(replace(asked, filters=Filters(brand=("Tiny",))))
    assert [hit.product.id for hit in found.hits] == ["s0"]


def test_what_has_any_of_the_words_is_counted_whole_where_it_is_sorted_by_price(shelf: Engine) -> None:
    asked = Search(query="steel mug glass", sort="price_asc", facets=("brand",), limit=1)
    answers = [shelf.search(replace(asked, offset=offset)) for offset in (0, 300)]
    for answer in answers:
        counts = {value.value: value.count for value in answer.facets[0].values}
        assert counts == {"Zed": 219, "Tiny": 31}
        for brand, count in counts.items():
            assert shelf.search(replace(asked, filters=Filters(brand=(brand,)))).total == count


QUERIES = ["", "black", "steel mug", "black steel", "zorg black steel mug", "黑色", "黑色 不锈钢", "bla", "…"]
FIELDS = ("brand", "category", "price", "Colour", "材质")


def of_facets(catalogue: Engine, asked: Search) -> Iterator[tuple[int, Filters]]:
    """Each value of each facet: its count, and the filters that choosing it in place of its field's others makes."""
    for facet in catalogue.search(replace(asked, limit=1)).facets:
        for value in facet.values:
            own, name = asked.filters, facet.field
            if name == "price":
                yield value.count, replace(own, price_min=value.low, price_max=value.high)
            elif name in ("brand", "category"):
                yield value.count, replace(own, **{name: (value.value,)})  # type: ignore[arg-type]
            else:
                yield value.count, replace(own, attributes={**own.attributes, name: (value.value,)})


def paged(catalogue: Engine, asked: Search) -> list[str]:
    """The ids that paging to the end gives."""
    answers = [catalogue.search(replace(asked, facets=(), limit=100, offset=at)) for at in range(0, 500, 100)]
    return [hit.product.id for answer in answers for hit in answer.hits]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    "how",
    [{}, {"legs": ("lexical",)}, {"legs": ("dense",)}, {"sort": "price_asc"}, {"prefix": True, "rerank": False}],
    ids=str,
)
def test_each_count_is_what_choosing_the_value_finds(
    engine: Engine, goods: list[Product], monkeypatch: pytest.MonkeyPatch, query: str, how: dict[str, Any]
) -> None:
    # Legs that bring little of so small a shop, as they do of a large one.
    monkeypatch.setattr(gather, "LEXICAL", 20)
    monkeypatch.setattr(legs, "DENSE", 15)
    engine.put([replace(product, price=10.0) for product in goods[::5]])
    asked = Search(query=query, facets=FIELDS, budget_ms=10_000, **how)
    assert len(paged(engine, asked)) == len({*paged(engine, asked)}) == engine.search(asked).total
    chosen = list(of_facets(engine, asked))
    for count, filters in chosen:
        assert engine.search(replace(asked, filters=filters, facets=())).total == count
    for _, filters in chosen[:: max(1, len(chosen) // 3)]:
        narrower = replace(asked, filters=filters)
        assert len({*paged(engine, narrower)}) == engine.search(narrower).total
        for count, narrowest in of_facets(engine, narrower):
            assert engine.search(replace(asked, filters=narrowest, facets=())).total == count


def test_a_filter_leaves_of_the_nearest_what_fits(shelf: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legs, "DENSE", 15)
    asked = Search(query="glass mug 7", legs=("dense",), facets=("brand",))
    nearest = [hit.product for hit in shelf.search(asked).hits]
    found = shelf.search(replace(asked, filters=Filters(brand=("Tiny",)))).hits
    assert {hit.product.id for hit in found} == {product.id for product in nearest if product.brand == "Tiny"}


@pytest.mark.parametrize("also", [("lexical",), ()])
def test_where_nothing_that_is_found_fits_the_nearest_that_fits_is_shown(shelf: Engine, also: tuple[Any, ...]) -> None:
    shelf.put([Product(id="far", title="garden hose", brand="Far")])
    far = Search(query="steel mug", filters=Filters(brand=("Far",)), facets=("brand",), legs=(*also, "dense"))
    answer = shelf.search(far)
    assert [hit.product.id for hit in answer.hits] == ["far"]
    assert answer.total == 1
    assert next(value.count for value in answer.facets[0].values if value.selected) == 1
    shelf.delete(["far"])


def test_a_range_of_prices_ends_before_the_next_begins(engine: Engine) -> None:
    prices = [5.0, *[10.0] * 3, *[20.0] * 3, *[50.0] * 3, *[100.0] * 2]
    engine.put([Product(id=f"lamp{n}", title="zorg lamp", price=price) for n, price in enumerate(prices)])
    asked = Search(query="zorg lamp", legs=("lexical",), facets=("price",))
    (facet,) = engine.search(asked).facets
    counts = {value.value: value.count for value in facet.values}
    assert counts == {"0–10": 1, "10–20": 3, "20–50": 3, "50–": 5}
    for value in facet.values:
        answer = engine.search(replace(asked, filters=Filters(price_min=value.low or None, price_max=value.high)))
        assert answer.total == value.count
        assert [one.value for one in answer.facets[0].values if one.selected] == [value.value]


def test_what_a_field_of_many_values_pushes_out_is_counted_by_itself(
    shelf: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_CODES", 50)
    pans = [
        Product(
            id=f"pan{n}", title="zorg pan", brand=f"b{n % 60}", attributes={"Finish": "matt" if n % 75 else "gloss"}
        )
        for n in range(300)
    ]
    shelf.put(
        [replace(pan, attributes={**pan.attributes, "rare": "one"}) if n == 0 else pan for n, pan in enumerate(pans)]
    )
    asked = Search(query="zorg pan", facets=("brand", "Finish", "rare"))
    found = {facet.field: {value.value: value.count for value in facet.values} for facet in shelf.search(asked).facets}
    assert (found["Finish"], found["rare"]) == ({"matt": 296, "gloss": 4}, {"one": 1})
    assert len(found["brand"]) == 30
    assert {*found["brand"].values()} == {5}
    chosen = shelf.search(replace(asked, filters=Filters(brand=("b59",)))).facets[0].values
    assert [(value.value, value.count) for value in chosen if value.selected] == [("b59", 5)]
    shelf.delete([pan.id for pan in pans])
