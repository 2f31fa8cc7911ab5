"""Products of one category lie beside each other, whatever order they came in, and nothing else changes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from shopstill.core.errors import ArtifactError, DataError
from shopstill.serve.engine.legs import by_words
from shopstill.serve.forms import Filters, Product
from shopstill.serve.index.facets import Wanted
from shopstill.serve.index.generation import FORMAT, build, open_generation
from shopstill.serve.index.live import Live, create
from shopstill.serve.index.order import by_category
from shopstill.serve.index.place import FIRST

KINDS = [("home", "mugs"), ("toys", "cars"), ("home",), ()]


def catalogue(count: int = 60) -> list[Product]:
    return [
        Product(id=f"p{number}", title=f"thing {number}", category=KINDS[number % len(KINDS)], price=float(number))
        for number in range(count)
    ]


def test_products_lie_by_category_and_within_one_as_they_came(tmp_path: Path) -> None:
    came = catalogue()
    random.Random(0).shuffle(came)
    assert build(tmp_path / "made", came, [], len(came)) == len(came)
    made = open_generation(tmp_path / "made")
    rows = [*made.documents]
    assert list(dict.fromkeys(product.category for product in rows)) == [("home",), *KINDS[:2], ()]
    for kind in KINDS:
        assert [one.id for one in rows if one.category == kind] == [one.id for one in came if one.category == kind]
    for product in came:
        row = made.documents.row(product.id)
        assert row is not None
        assert (rows[row], made.columns.price_N[row]) == (product, product.price)
    assert [*made.products()] == came
    assert not [*tmp_path.rglob("spool")]


def listed(live: Live) -> list[str]:
    """What an empty query finds, and that among it which a filter leaves."""
    catalogue = live.now.catalogue
    every = found(live, Filters())
    mugs = found(live, Filters(category=("home > mugs",)))
    assert mugs == [one for one in every if catalogue.product(catalogue.row(one) or 0).category == KINDS[0]]
    return every


def found(live: Live, filters: Filters) -> list[str]:
    catalogue = live.now.catalogue
    rows = by_words(catalogue.words, " ", Wanted.of(filters, catalogue.values), 1_000)[0].rows
    return [catalogue.product(row).id for row in rows.tolist()]


def test_where_nothing_is_asked_products_are_listed_as_the_shop_has_them_whatever_changes(tmp_path: Path) -> None:
    came = catalogue()
    random.Random(1).shuffle(came)
    create(tmp_path / "index", came, [], len(came))
    ids = [product.id for product in came]
    live = Live(tmp_path / "index")
    assert listed(live) == ids
    anew = [Product(id=ids[at], title="other", category=KINDS[at % len(KINDS)]) for at in (40, 3)]
    live.change(put=[Product(id="n1", title="new"), *anew], delete=[ids[7]])
    live.change(put=[Product(id="n2", title="new"), Product(id=ids[8], title="again"), Product(id="n1", title="newer")])
    live.change(delete=[ids[9], "n2"])
    live.change(put=[Product(id="n2", title="back"), Product(id=ids[9], title="back")])
    after = [*ids[:7], ids[8], *ids[10:], "n1", "n2", ids[9]]
    assert listed(live) == after
    live.close()
    live = Live(tmp_path / "index")
    assert listed(live) == after
    live.rebuild()
    assert listed(live) == after
    live.change(put=[Product(id=ids[0], title="last change")])
    assert listed(live) == after
    live.close()


def test_an_id_that_is_there_twice_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'p3' is there twice"):
        build(tmp_path / "made", [*catalogue(), catalogue()[3]], [], 61)
    assert not [*tmp_path.iterdir()]


def test_an_index_of_another_version_is_refused_and_built_anew(tmp_path: Path) -> None:
    came, folder = catalogue(), tmp_path / "index"
    create(folder, came, [], len(came))
    stated = folder / FIRST / "generation.json"
    stated.write_text(stated.read_text().replace(f'"format": {FORMAT}', '"format": 1'))
    with pytest.raises(ArtifactError, match=f"format 1, and this version reads {FORMAT}; .*--anew"):
        Live(folder)
    create(folder, came, [], len(came), anew=True)
    live = Live(folder)
    assert listed(live) == [product.id for product in came]
    live.close()


def test_no_products_have_an_order_too() -> None:
    assert by_category([]).tolist() == []
