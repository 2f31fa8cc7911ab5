"""An engine without a model of texts: words find and order, and what needs a model says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.export import history_kit
from tests.serve.conftest import Bundles
from tests.serve.engine.test_engine import MUGS, TOWERS

from shopstill.serve.engine.engine import Engine, create
from shopstill.serve.engine.errors import NoModel, UnknownModel
from shopstill.serve.forms import Filters, Product, Search
from shopstill.serve.recommendations import Recommend


@pytest.fixture
def alone(goods: list[Product], tmp_path: Path) -> Iterator[Engine]:
    create(tmp_path / "words", None, goods, len(goods))
    opened = Engine.open(tmp_path / "words")
    yield opened
    opened.close()


def test_words_find_as_they_do_beside_a_model(alone: Engine, engine: Engine, goods: list[Product]) -> None:
    for product in goods[::20]:
        asked = Search(query=product.title, legs=("lexical",), rerank=False, facets=("*",), limit=50)
        found, expected = alone.search(asked), engine.search(asked)
        assert found.hits == expected.hits
        assert (found.total, found.facets) == (expected.total, expected.facets)
        whole = alone.search(Search(query=product.title, limit=50))
        assert (whole.model, whole.reranked, whole.complete) == ("", 0, True)
        assert [hit.product for hit in whole.hits] == [hit.product for hit in found.hits]


def test_all_that_needs_no_model_is_there(alone: Engine, goods: list[Product]) -> None:
    alone.put(MUGS)
    brand = next(product.brand for product in goods if product.brand)
    within = alone.search(Search(query=goods[0].title, filters=Filters(brand=(brand,)), limit=50))
    assert {hit.product.brand for hit in within.hits} == {brand}
    assert alone.search(Search(query="red mug")).total >= 1
    assert alone.search(Search(query="", sort="price_asc", limit=5)).hits
    assert all(hit.product.id != MUGS[0].id for hit in alone.similar(MUGS[0].id))
    assert alone.suggest("mu")
    alone.rebuild()
    assert alone.product(MUGS[0].id) == MUGS[0]
    assert (alone.models(), alone.facts()["active"]) == ([], "")


def test_what_comes_next_needs_no_model_of_texts(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    products = [Product(id=f"item {at}", title=f"mug {at}") for at in range(1, 20)]
    create(tmp_path / "index", None, products, len(products))
    opened = Engine.open(tmp_path / "index")
    opened.recommenders.load(history_kit.written("item_mean", lambda: tmp_path_factory.mktemp("histories"))[1])
    found = opened.recommend(Recommend(history=("item 5", "item 9"), limit=3, exclude=("item 1",)))
    assert len({item.id for item in found.items} - {"item 5", "item 9", "item 1"}) == 3
    opened.close()


def test_what_needs_a_model_says_how_to_have_one(alone: Engine, goods: list[Product]) -> None:
    asks = (
        lambda: alone.score("mug", ["red mug"]),
        lambda: alone.score_products("mug", [goods[0].id]),
        lambda: alone.embed(["mug"], "query"),
        lambda: alone.why("mug", goods[0].id),
    )
    for ask in asks:
        with pytest.raises(NoModel, match="no model of texts is loaded; start the server with its BUNDLE"):
            ask()
    with pytest.raises(UnknownModel, match="'fast': not loaded"):
        alone.search(Search(query="mug", model="fast"))


def test_a_model_takes_over_and_comes_back(alone: Engine, bundles: Bundles, tmp_path: Path) -> None:
    alone.load("towers", bundles(TOWERS))
    assert alone.search(Search(query="mug")).model == "towers"
    alone.close()
    for bundle in (None, bundles(TOWERS)):
        again = Engine.open(tmp_path / "words", bundle)
        found = again.search(Search(query="mug"))
        assert (found.model, found.reranked > 0) == ("towers", True)
        again.close()
