"""Searches over a small shop, and models that come and go meanwhile."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serve.conftest import Bundles

from shopstill.serve.bundle.load import load_bundle
from shopstill.serve.engine.engine import Engine
from shopstill.serve.engine.errors import UnknownProduct
from shopstill.serve.forms import Filters, Product, Search

TOWERS, JOINT, CROSS = "static towers, interaction", "joint", "cross, first token"
MUGS = [Product(id=f"mug{n}", title=f"Zed bright red mug {n} ml", brand="Zed", price=float(n)) for n in range(1, 41)]


def ids(engine: Engine, **asked: object) -> list[str]:
    return [hit.product.id for hit in engine.search(Search(**asked)).hits]  # type: ignore[arg-type]


def test_a_search_shows_what_was_found_and_how(engine: Engine) -> None:
    engine.put(MUGS)
    answer = engine.search(Search(query="bright red mug", facets=("*",), limit=10, budget_ms=10_000))
    assert answer.total >= 40
    assert len(answer.hits) == 10
    assert all(hit.product.brand == "Zed" for hit in answer.hits)
    assert [hit.position for hit in answer.hits] == list(range(1, 11))
    assert all({"lexical", "model"} <= set(hit.found_by) for hit in answer.hits)
    first = answer.hits[0]
    assert [first.product.title[start:stop] for start, stop in first.marks] == ["bright", "red", "mug"]
    assert answer.complete
    assert answer.reranked == min(100, len(set(ids(engine, query="bright red mug", limit=100))))
    brands = next(facet for facet in answer.facets if facet.field == "brand")
    assert (brands.values[0].value, brands.values[0].count) == ("Zed", 40)
    assert set(answer.stages_ms) >= {"lexical", "dense", "fuse", "rerank", "facets", "documents"}


def test_pages_neither_repeat_nor_skip(engine: Engine) -> None:
    engine.put(MUGS)
    whole = ids(engine, query="mug", limit=60)
    pages = [one for offset in range(0, 60, 7) for one in ids(engine, query="mug", limit=7, offset=offset)]
    assert pages[:60] == whole[: len(pages)][:60]
    assert len(set(pages)) == len(pages)


def test_pages_reach_further_down_than_what_the_model_orders(engine: Engine, goods: list[Product]) -> None:
    pages = [one for offset in range(0, 400, 90) for one in ids(engine, limit=90, offset=offset)]
    assert sorted(pages) == sorted(product.id for product in goods)
    found = [engine.search(Search(query="black 黑色", limit=50, offset=offset)) for offset in range(0, 300, 50)]
    seen = [hit.product.id for answer in found for hit in answer.hits]
    assert len(set(seen)) == len(seen) <= found[0].total


def test_filters_hold_for_both_legs_and_facets_keep_other_choices(engine: Engine) -> None:
    engine.put(MUGS)
    asked = Search(query="mug", filters=Filters(brand=("Zed",), price_max=5), facets=("brand", "price"), limit=50)
    answer = engine.search(asked)
    assert {hit.product.id for hit in answer.hits} == {f"mug{n}" for n in range(1, 6)}
    brands = {value.value: value for value in answer.facets[0].values}
    assert brands["Zed"].selected
    assert answer.total == 5
    prices = next(facet for facet in answer.facets if facet.field == "price")
    assert sum(value.count for value in prices.values) == 40


def test_where_nothing_has_every_word_what_has_any_is_shown_and_counted(engine: Engine) -> None:
    engine.put([*MUGS, Product(id="zorg", title="zorg", brand="Zorg")])
    answer = engine.search(Search(query="zorg bright mug", facets=("brand", "price"), limit=100))
    assert {"zorg", "mug1"} <= {hit.product.id for hit in answer.hits}
    counts = {value.value: value.count for value in answer.facets[0].values}
    assert counts["Zed"] == 40
    assert sum(counts.values()) <= answer.total <= 300


@pytest.mark.parametrize("mugs", [40, 300])
@pytest.mark.parametrize(
    "how",
    [
        {"query": "bright mug"},
        {"query": "bright mu", "prefix": True},
        {"query": "zorg bright mug"},
        {"query": "bright mug", "legs": ("dense",)},
        {"query": "bright mug", "legs": ("lexical",)},
        {"query": "bright mug", "sort": "price_asc"},
        {"query": ""},
    ],
)
def test_facets_count_each_product_that_was_found_once(engine: Engine, mugs: int, how: dict[str, Any]) -> None:
    engine.put([replace(MUGS[0], id=f"mug{n}", price=1 + n % 50) for n in range(mugs)])
    asked = Search(filters=Filters(brand=("Zed",)), facets=("price", "brand"), limit=100, **how)
    answer = engine.search(asked)
    prices, brands = (facet.values for facet in answer.facets)
    assert sum(value.count for value in prices) == answer.total
    assert next(value.count for value in brands if value.selected) == answer.total
    assert [value.low for value in prices[1:]] == [np.nextafter(value.high or 0, np.inf) for value in prices[:-1]]
    if answer.total <= 100:
        for value in prices:
            low, high = value.low or 0.0, value.high or np.inf
            assert value.count == sum(low <= (hit.product.price or 0.0) <= high for hit in answer.hits)


def test_price_order_goes_over_all_that_match(engine: Engine) -> None:
    engine.put(MUGS)
    only = Filters(brand=("Zed",))
    assert ids(engine, query="mug", sort="price_asc", filters=only, limit=3) == ["mug1", "mug2", "mug3"]
    assert ids(engine, query="mug", sort="price_desc", filters=only, limit=2) == ["mug40", "mug39"]


def test_a_misspelt_word_is_searched_as_it_was_meant(engine: Engine) -> None:
    engine.put([Product(id="k", title="stainless steel kettle")])
    answer = engine.search(Search(query="stanless kettel"))
    assert (answer.spelling, answer.corrected) == ("stainless kettle", True)
    assert "k" in {hit.product.id for hit in answer.hits[:5]}
    assert engine.search(Search(query="stainless kettle")).spelling is None
    assert engine.search(Search(query="stainl", prefix=True)).spelling is None


@pytest.mark.parametrize(
    "query", ["\x00", "😀😀", "א" * 512, "a " * 256, "'\"\\(){}[]^~*?:+-&|!", "AND OR NOT", "\u202eabc", "…"]
)
def test_no_query_breaks_it(engine: Engine, query: str) -> None:
    answer = engine.search(Search(query=query, facets=("*",), prefix=True))
    assert np.isfinite([hit.score for hit in answer.hits]).all()
    engine.suggest(query)


def test_empty_shelves_answer_too(bundles: Bundles, tmp_path: Path) -> None:
    from shopstill.serve.engine.engine import create

    create(tmp_path / "none", bundles(TOWERS), [], 0)
    opened = Engine.open(tmp_path / "none", bundles(TOWERS))
    assert opened.search(Search(query="mug", facets=("*",))).total == 0
    assert opened.search(Search()).hits == []
    opened.put(MUGS[:1])
    assert ids(opened, query="red mug") == ["mug1"]
    opened.close()


def test_why_adds_up_to_what_leaving_a_word_out_does(engine: Engine, bundles: Bundles) -> None:
    engine.put([replace(MUGS[0], attributes={"colour": "red"})])
    why = engine.why("red mug", "mug1")
    alone = load_bundle(bundles(TOWERS))
    title = MUGS[0].title
    whole, without = alone.score([("red mug", title), ("red mug", title.replace("bright ", ""))]).tolist()
    assert why.score == pytest.approx(whole, abs=1e-5)
    bright = next(word for word in why.title if word.text == "bright")
    assert bright.effect == pytest.approx(whole - without, abs=1e-4)
    assert title[bright.start : bright.stop] == "bright"
    assert [moved.text for moved in why.attributes] == ["brand: Zed", "colour: red"]


def test_what_was_misspelt_is_explained_and_compared_as_it_was_searched(engine: Engine) -> None:
    engine.put(MUGS)
    first = engine.search(Search(query="brihgt mugs", budget_ms=10_000)).hits[0]
    found = engine.why("brihgt mugs", first.product.id)
    assert found.spelling == "bright mugs"
    assert [word.text for word in found.query] == ["bright", "mugs"]
    assert found.score == pytest.approx(first.found_by["model"].score, abs=1e-3)
    name = engine.models()[0].name
    side = engine.compare("brihgt mugs", name, name)
    assert (side.query, side.spelling) == ("brihgt mugs", "bright mugs")


def test_products_are_read_as_those_that_models_were_taught_with(engine: Engine) -> None:
    """However they come: a model that learned from cleaned titles would score others otherwise."""
    raw = "Bright &quot;PRO&quot; mug <b>No.\u00a07</b>"
    engine.put([Product(id="raw", title=raw, brand="O&#39;Neal", category=("Home ", "Mugs &amp; cups"))])
    found = engine.product("raw")
    assert found.title == 'Bright "PRO" mug No. 7'
    assert (found.brand, found.category) == ("O'Neal", ("Home", "Mugs & cups"))
    assert engine.score("pro mug", [raw]) == pytest.approx(engine.score_products("pro mug", ["raw"]), abs=1e-3)
    assert ids(engine, query="mug", filters=Filters(brand=("O'Neal",))) == ["raw"]


def test_similar_products_leave_the_product_itself_out(engine: Engine) -> None:
    engine.put(MUGS)
    found = [hit.product.id for hit in engine.similar("mug7", 5)]
    assert len(found) == 5
    assert "mug7" not in found
    with pytest.raises(UnknownProduct, match="'nothing'"):
        engine.similar("nothing")


def test_after_many_changes_a_new_generation_takes_over(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shopstill.serve.engine.engine.REBUILT_AT", 30)
    monkeypatch.setattr("shopstill.serve.engine.engine.REBUILT_SHARE", 10_000)
    engine.put(MUGS)
    until = time.monotonic() + 60
    while engine.facts()["generation"] == "generation-000001" and time.monotonic() < until:
        time.sleep(0.05)
    assert engine.facts()["pending"] == 0
    assert "mug1" in ids(engine, query="bright red mug 1 ml")


def test_texts_that_the_caller_brings_are_scored_too(engine: Engine) -> None:
    engine.put(MUGS[:2])
    by_text = engine.score("red mug", [product.title for product in MUGS[:2]])
    assert engine.score_products("red mug", ["mug1", "mug2"]) == pytest.approx(by_text, abs=1e-4)
    vectors = engine.embed(["red mug", ""], "query")
    assert vectors.shape[0] == 2
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
