"""What is counted is what is found: a filter only takes away, and a facet says beforehand what it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.serve.conftest import Bundles

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
