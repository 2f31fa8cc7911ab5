"""Products of one category lie beside each other, whatever order they came in, and nothing else changes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from shopstill.core.errors import DataError
from shopstill.serve.forms import Product
from shopstill.serve.index.generation import build, open_generation
from shopstill.serve.index.order import by_category

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
    assert [product.category for product in rows] == sorted(product.category for product in came)
    for kind in KINDS:
        assert [one.id for one in rows if one.category == kind] == [one.id for one in came if one.category == kind]
    for product in came:
        row = made.documents.row(product.id)
        assert row is not None
        assert (rows[row], made.columns.price_N[row]) == (product, product.price)
    assert not [*tmp_path.rglob("spool")]


def test_an_id_that_is_there_twice_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'p3' is there twice"):
        build(tmp_path / "made", [*catalogue(), catalogue()[3]], [], 61)
    assert not [*tmp_path.iterdir()]


def test_no_products_have_an_order_too() -> None:
    assert by_category([]).tolist() == []
