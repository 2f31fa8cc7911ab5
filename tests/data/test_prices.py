"""Prices as shops write them: what is read, what may be two numbers, and that a file's rows are all read alike."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shopstill.core.config import build
from shopstill.data.prices import points_part
from shopstill.data.readers._delimited import ROWS
from shopstill.data.readers.columns import Columns
from shopstill.data.readers.recbole import RecBole


@pytest.mark.parametrize(
    ("written", "price"),
    [
        ("1299", 1299), ("1299.00", 1299), (" 9,5 ", 9.5), ("1.299", 1.299), ("1e2", 100),
        ("1.299,00 €", 1299), ("€ 1.299,00", 1299), ("EUR 1.299,00", 1299), ("1,299.00 USD", 1299), ("US$1,299", None),
        ("$12.50", 12.5), ("12,50", 12.5), ("12,50€", 12.5), ("1 299,00", 1299), ("1\u202f299,00\u00a0€", 1299),
        ("1'299.50 CHF", 1299.5), ("1.234.567", 1234567), ("1,234,567.8", 1234567.8), ("￥88", 88), ("0,125", 0.125),
        ("1234,567", 1234.567), ("1,299", None), ("1.299 €", None), ("1.299.00", None), ("12,50 / kg", None),
        ("12,- €", 12), ("CHF 1'299.–", 1299), ("1.299,--", 1299), ("249:-", 249), ("12.50,-", None), ("12-", None),
        ("NEW 9.99", None), ("9.99 9.99", None), ("from 9.99", None), ("99¢", None), ("1٫5", None), ("€", None),
    ],
)  # fmt: skip
def test_a_price_is_read_as_shops_write_it_where_it_cannot_be_mistaken(chunk, take_in, written, price) -> None:
    done = take_in(chunk("products", product_id=["1", "2"], title=["mug", "cup"], price=[written, "1"]))
    assert done.rows("products", "price") == ([1.0] if price is None else [price, 1.0])
    assert [r["value"] for r in done.rejects()] == ([written] if price is None else [])


@pytest.mark.parametrize(
    "written", ["12,50", "EUR 9,5", "12,- €", "1.299,00 €", "1.299.000", "0,125", "1234,567", "from 12,50"]
)
def test_a_decimal_comma_or_two_points_say_that_points_part_thousands(written: str) -> None:
    assert points_part([pa.array(["1.299", None]), pa.array([written])])


@pytest.mark.parametrize(
    "written", ["9.99", "12.-", "1,299", "1,299.00", "$1,299,000", "1.299", "1.299.00", "cheap", "", None]
)
def test_other_prices_do_not(written: str | None) -> None:
    assert not points_part([pa.array(["1.299"]), pa.array([written], pa.string()), pa.array([1.5])])


ROOMY = [("first", "1.299"), *((str(n), "9") for n in range(ROWS)), ("last", "12,50"), ("point", ".5")]
"""Rows of which the last ones, in another piece of the file, say what the first one may be."""


def written_as(kind: str, folder: Path) -> Path:
    path = folder / f"p.{kind}"
    lines = [f"{name},mug {name},{json.dumps(price)}" for name, price in ROOMY]
    if kind == "parquet":
        names, prices = zip(*ROOMY, strict=True)
        pq.write_table(pa.table({"id": names, "title": names, "price": prices}), path)
    elif kind == "json":
        path.write_text(json.dumps([{"id": name, "title": name, "price": price} for name, price in ROOMY]))
    elif kind == "csv":
        path.write_text("\n".join(["id,title,price", *lines]) + "\n")
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for number, part in enumerate((lines[:9], lines[9:])):
                archive.writestr(f"{number}.csv", "\n".join(["id,title,price", *part]) + "\n")
    return path


@pytest.mark.parametrize("kind", ["csv", "json", "parquet", "zip"])
def test_a_price_means_the_same_wherever_in_a_file_the_decimal_commas_stand(kind: str, take_in, tmp_path: Path) -> None:
    columns = {"product_id": "id", "title": "title", "price": "price"}
    reader = build(Columns, {"products": {"path": written_as(kind, tmp_path), "columns": columns}})
    done = take_in(*reader.read())
    assert done.rows("products", "price")[-2:] == [12.5, 0.5]
    assert [r["value"] for r in done.rejects()] == ["1.299"]


def test_prices_of_recbole_mean_the_same_in_all_of_a_file(take_in, tmp_path: Path) -> None:
    rows = "".join(f"{name}\t{price}\n" for name, price in ROOMY)
    (tmp_path / "x.item").write_text("item_id:token\tprice:token\n" + rows)
    (tmp_path / "x.inter").write_text("user_id:token\titem_id:token\nu\tlast\n")
    done = take_in(*RecBole(path=tmp_path).read())
    assert done.rows("products", "price")[ROWS : ROWS + 2] == [12.5, 0.5]
    assert [r["value"] for r in done.rejects()] == ["1.299"]


def test_without_a_decimal_comma_a_point_is_decimal(take_in, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text('id,title,price\n1,mug,1.299\n2,cup,"$1,299.00"\n3,jug,  \n4,pan,"1,299"\n')
    columns = {"product_id": "id", "title": "title", "price": "price"}
    done = take_in(*build(Columns, {"products": {"path": tmp_path / "p.csv", "columns": columns}}).read())
    assert done.rows("products", "price") == [1.299, 1299.0, None]
    assert [r["value"] for r in done.rejects()] == ["1,299"]
