"""Catalogues that a server is started with, as other programs write them: what is faulty is told with its remedy."""

from __future__ import annotations

from math import nan
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
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


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "products.jsonl"
    path.write_text('{"id": "1", "title": "红色 mug"}\n\n{"id": "2", "title": "pan"}\n', encoding="utf-8-sig")
    found, count = read_products(path)
    assert ([product.title for product in found], count) == (["红色 mug", "pan"], 2)


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "products.jsonl"
    path.write_text('{"id": "1", "title": "mug"}\n{\n')
    with pytest.raises(DataError, match=r"products\.jsonl:2: not JSON"):
        list(read_products(path)[0])


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_delimited_text_has_the_same_columns(delimiter: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / {",": "products.csv", "\t": "products.tsv"}[delimiter]
    rows = [
        ("product_id", "title", "category", "price", "attributes.colour", "attributes.size", "cost"),
        ("1", '"Mug, ""red""\n12 oz"', "Home > Mugs", '"1.299,00 €"', "red", "", "0.20"),
        ("2", "红色 pan", "", "", "", "", ""),
    ]
    path.write_text("\n".join(delimiter.join(row) for row in rows) + "\n", encoding="utf-8-sig")
    found, count = read_products(path)
    mug, pan = found
    assert count == 2
    assert (mug.id, mug.title, mug.category, mug.price) == ("1", 'Mug, "red"\n12 oz', ("Home", "Mugs"), 1299.0)
    assert (mug.attributes, pan.attributes, pan.category, pan.price) == ({"colour": "red"}, {}, (), None)
    assert "passed over: cost; a column that is shown has one of the names id, product_id, title" in caplog.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "sku,title\n1,mug\n",
            r"products\.csv:1: the header lacks 'id'; found: sku, title; name the ids of products so",
        ),
        ("id;title\n1;mug\n", r"products\.csv:1: the header lacks 'title'; found: id;title; expected comma-separated"),
        ("id,title\n1,mug\n2,pan,steel\n", r"products\.csv:3.*has too many fields: 2 are expected .*; mend the row"),
        ('id,title\n1,"mug\n', r"products\.csv:2.*cannot be read as a row.*; mend the row, or leave it out"),
        ("id,title,price\n1,mug,9\n2,pan,cheap\n", r"products\.csv:3: price: 'cheap': .*mend the row, or leave it out"),
        ('id,title,price\n1,mug,"1,299"\n', r"products\.csv:2: price: '1,299': a price such as .*; mend the row"),
        ('id,title,price\n1,mug,1.299\n2,pan,"12,50"\n', r"products\.csv:2: price: '1\.299': a price such as "),
        ("sku,title\n", r"products\.csv:1: the header lacks 'id'; found: sku, title"),
        ("id,title\n1,\n", r"products\.csv:2: title: .*mend the row"),
    ],
)
def test_a_fault_of_delimited_text_is_named_by_its_line(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        list(read_products(path)[0])


def test_a_price_of_blanks_is_none_and_a_point_alone_is_decimal(tmp_path: Path) -> None:
    path = tmp_path / "products.tsv"
    path.write_text("id\ttitle\tprice\n1\tmug\t  \n2\tpan\t1.299\n3\tcup\t$1,299.00\n", encoding="utf-8")
    assert [product.price for product in read_products(path)[0]] == [None, 1.299, 1299.0]


def test_a_header_alone_is_a_catalogue_without_products(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("id,title\n", encoding="utf-8")
    products, count = read_products(tmp_path / "products.csv")
    assert (list(products), count) == ([], 0)


def test_a_table_of_pandas_has_gaps(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "title": "mug", "price": nan, "attributes": {"colour": "red"}},
        {"id": "2", "title": "shirt", "price": 9.5, "attributes": {"size": "s"}},
        {"id": "3", "title": "pan", "price": None, "attributes": None},
    ]
    table = pa.Table.from_pylist(rows)
    assert pa.types.is_struct(table.schema.field("attributes").type)
    pq.write_table(table, tmp_path / "products.parquet")
    found = list(read_products(tmp_path / "products.parquet")[0])
    assert [product.attributes for product in found] == [{"colour": "red"}, {"size": "s"}, {}]
    assert [product.price for product in found] == [None, 9.5, None]
