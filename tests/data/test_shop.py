"""Shops: tables with fixed columns in a folder, read whole or piece by piece, with a digest of their content."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopstill.core.errors import DataError
from shopstill.data.schema import SCHEMAS
from shopstill.data.shop import Shop, ShopWriter, TableDigest, conform

PRODUCTS: list[dict[str, Any]] = [
    {
        "product_id": str(i),
        "title": "é" * i,
        "category": ["a", "b"][: i % 3] if i % 4 else None,
        "price": i / 3 if i % 2 else None,
        "attributes": [(f"k{j}", f"v{i}") for j in range(i % 3)] if i % 5 else None,
        "brand": None if i % 2 else "",
    }
    for i in range(20)
]
EVENTS = [
    {
        "shopper_id": "s",
        "product_id": str(i),
        "kind": "click",
        "position": i or None,
        "time": datetime(2026, 1, 1, 12, 0, i, tzinfo=UTC).replace(tzinfo=None),
    }
    for i in range(5)
]


def _written(folder: Path, cuts: tuple[int, ...] = ()) -> Shop:
    ends = [*cuts, len(PRODUCTS)]
    with ShopWriter(folder) as writer:
        for start, end in zip([0, *cuts], ends, strict=True):
            writer.write("products", PRODUCTS[start:end])
        writer.write("events", EVENTS)
    return Shop(folder)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    shop = _written(tmp_path)
    assert shop.tables == ["products", "events"]
    assert (shop.count("products"), shop.count("queries")) == (20, 0)
    found = shop.read("products")
    assert found.schema.names == SCHEMAS["products"].names
    for wanted, row in zip(PRODUCTS, found.to_pylist(), strict=True):
        assert {key: row[key] for key in wanted} == wanted
    assert shop.read("events").column("time").to_pylist() == [event["time"] for event in EVENTS]
    assert shop.read("queries").num_rows == 0
    assert shop.read("queries").schema.names == SCHEMAS["queries"].names


def test_it_is_read_piece_by_piece_in_the_columns_asked_for(tmp_path: Path) -> None:
    shop = _written(tmp_path)
    pieces = list(shop.scan("products", ["title", "product_id"], rows=7))
    assert [piece.num_rows for piece in pieces] == [7, 7, 6]
    assert pieces[0].schema.names == ["title", "product_id"]
    assert pa.Table.from_batches(pieces).equals(shop.read("products", ["title", "product_id"]))
    assert shop.dataset("products").count_rows() == 20


@settings(deadline=None, max_examples=25)
@given(st.sets(st.integers(1, 19), max_size=5))
def test_the_digest_does_not_depend_on_how_rows_were_cut(cuts: set[int]) -> None:
    whole = conform("products", PRODUCTS)
    digests = []
    for ends in ([20], [*sorted(cuts), 20]):
        digest = TableDigest(SCHEMAS["products"])
        for start, end in zip([0, *ends], ends, strict=False):
            digest.update(whole.slice(start, end - start))
        digests.append(digest.hexdigest())
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("row", "field", "value"),
    [
        (1, "title", "other"),
        (3, "brand", ""),
        (2, "brand", None),
        (1, "price", None),
        (4, "price", 0.0),
        (1, "category", []),
        (2, "category", ["ab"]),
        (4, "attributes", [("k0", "v5")]),
        (5, "attributes", []),
    ],
)
def test_the_digest_follows_every_value(row: int, field: str, value: Any) -> None:
    changed = [{**each, field: value} if i == row else each for i, each in enumerate(PRODUCTS)]
    assert changed != PRODUCTS
    digests = []
    for rows in (PRODUCTS, changed, PRODUCTS[::-1], PRODUCTS):
        digest = TableDigest(SCHEMAS["products"])
        digest.update(conform("products", rows))
        digests.append(digest.hexdigest())
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]


def test_text_does_not_flow_from_row_to_row_in_the_digest() -> None:
    digests = set()
    for titles in (("ab", "c"), ("a", "bc"), ("abc", "")):
        digest = TableDigest(SCHEMAS["products"])
        digest.update(conform("products", [{"product_id": str(i), "title": t} for i, t in enumerate(titles)]))
        digests.add(digest.hexdigest())
    assert len(digests) == 3


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    shops = [_written(tmp_path / "a"), _written(tmp_path / "b", (3, 11)), _written(tmp_path / "c", (1,))]
    assert len({shop.fingerprint for shop in shops}) == 1


def test_a_writer_that_fails_leaves_no_shop(tmp_path: Path) -> None:
    def fail() -> None:
        with ShopWriter(tmp_path) as writer:
            writer.write("products", PRODUCTS)
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    with pytest.raises(DataError, match=r"shop\.json is missing"):
        Shop(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"counts": {}}'])
def test_a_torn_manifest_is_refused(tmp_path: Path, text: str) -> None:
    _written(tmp_path)
    (tmp_path / "shop.json").write_text(text)
    with pytest.raises(DataError, match=r"shop\.json: not a shop's manifest"):
        Shop(tmp_path)


def test_names_that_are_not_there_are_answered_with_the_nearest(tmp_path: Path) -> None:
    shop = _written(tmp_path)
    with pytest.raises(DataError, match="did you mean 'products'"):
        shop.count("product")
    with pytest.raises(DataError, match="table products has no column 'titel': did you mean 'title'"):
        shop.read("products", ["titel"])
    with pytest.raises(DataError, match="unknown table"):
        ShopWriter(tmp_path / "other").write("prices", [])


_PAIR = {"query_id": ["1"], "product_id": ["1"]}


@pytest.mark.parametrize(
    ("table", "rows", "fault"),
    [
        ("products", pa.table({"product_id": ["1"]}), r"products\.title: is required, but 1 of 1"),
        ("products", pa.table({"product_id": ["1", None], "title": ["a", "b"]}), r"products\.product_id: is required"),
        ("judgments", pa.table({**_PAIR, "grade": ["x"], "gain": [1.0]}), r"judgments\.grade: values do not fit float"),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_their_column(table: str, rows: pa.Table, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        conform(table, rows)
