"""Catalogues that a server is started with: what is faulty is told with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopstill.core.errors import DataError
from shopstill.serve.products import read_products


def test_a_path_in_one_text_is_refused_with_the_steps_that_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "products.jsonl"
    path.write_text('{"id": "1", "title": "Mug", "category": "Home > Mugs"}\n', encoding="utf-8")
    products, _ = read_products(path)
    with pytest.raises(DataError, match=r'products.jsonl:1: category: .*write it as \["Home", "Mugs"\]$'):
        list(products)


def test_another_fault_of_a_row_is_told_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "products.jsonl"
    path.write_text('{"id": "1", "title": "Mug", "price": -1}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"price: -1: .*mend the row, or leave it out"):
        list(read_products(path)[0])
