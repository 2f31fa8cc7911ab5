from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from shopstill.core.errors import DataError
from shopstill.data.chunk import Reject, Scale
from shopstill.data.duplicates import merge_pairs
from shopstill.data.ingest import ingest, tell
from shopstill.data.rejects import Rejects
from shopstill.data.schema import REJECTED, SCHEMAS
from shopstill.data.shop import Shop


def utc(*parts: int) -> datetime:
    """A moment as the shop keeps it: UTC, without saying so."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)


@pytest.fixture
def catalogue(chunk):
    return [
        chunk("products", product_id=["1", "2"], title=["Red mug", "Blue mug"]),
        chunk("queries", query_id=["a", "b"], text=["mug", "cup"]),
    ]


def test_text_is_cleaned_types_are_cast_and_languages_found(chunk, take_in) -> None:
    done = take_in(
        chunk(
            "products",
            product_id=[1, 2],
            title=["<b>Red</b>  mug", "红色　马克杯"],
            price=["9.50", ""],
            category=[["Home &amp; Living", " "], None],
            attributes=pa.array([[("Colour ", "<i>red</i>"), ("size", " ")], []], pa.map_(pa.string(), pa.string())),
        )
    )
    first, second = done.rows("products")
    assert (first["product_id"], first["title"], first["price"], first["language"]) == ("1", "Red mug", 9.5, "en")
    assert (first["category"], first["attributes"]) == (["Home & Living"], [("Colour", "red")])
    assert (second["title"], second["price"], second["category"], second["attributes"]) == (
        "红色 马克杯", None, None, None,
    )  # fmt: skip
    assert second["language"] == "zh"
    assert not done.rejects()


def test_rows_set_aside_are_told_with_the_first_of_them_and_the_place_of_all(chunk, take_in, caplog) -> None:
    ids = ["1", "2", "3"]
    done = take_in(
        chunk("products", file="p.csv", product_id=ids, title=["mug", "cup", "jug"], price=["1", "cheap", "dear"]),
        chunk("queries", query_id=["a"], text=["mug"]),
    )
    with caplog.at_level("INFO"):
        tell(done.report.plain(), done.folder)
    first, place = done.report.first["products"], done.folder / "rejected.parquet"
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warned == [f"products: 2 of 3 rows set aside; the first: {first}; all of them: {place}"]
    assert first.startswith("p.csv:3: products.price: wrong type")
    assert [m for m in caplog.messages if m.endswith("kept")] == [
        "products: 1 of 3 rows kept",
        "queries: 1 of 1 rows kept",
    ]
    tell({"counts": {"products": 3}}, done.folder)


def test_a_bad_row_is_written_down_with_its_place_and_counted(chunk, take_in) -> None:
    done = take_in(
        chunk(
            "products",
            file="p.csv",
            product_id=["1", None, "3", "4", "5"],
            title=["mug", "mug", " \t", "mug", "mug"],
            price=["1", "1", "1", "cheap", "1e999"],
        )
    )
    assert done.rows("products", "product_id") == ["1"]
    assert [(r["file"], r["line"], r["table"], r["field"], r["value"]) for r in done.rejects()] == [
        ("p.csv", 5, "products", "price", "cheap"),
        ("p.csv", 6, "products", "price", "1e999"),
        ("p.csv", 3, "products", "product_id", None),
        ("p.csv", 4, "products", "title", " \t"),
    ]
    assert done.report.rejected == {"products: wrong type": 2, "products: missing": 2}
    assert done.report.read == {"products": 5}
    assert done.report.kept == {"products": 1}


def test_strict_stops_at_the_first_bad_row(chunk, take_in, tmp_path) -> None:
    bad = chunk("products", file="p.csv", product_id=["1", None], title=["mug", "cup"])
    with pytest.raises(DataError, match=r"p\.csv:3: products\.product_id: missing .*strict"):
        take_in(bad, strict=True)
    with pytest.raises(DataError):
        Shop(tmp_path / "in" / "shop")


@pytest.mark.parametrize(
    ("scale", "columns", "kept", "reason"),
    [
        (Scale(low=1, high=3, zero=1), {"grade": ["3", "2.33", "4"]}, [(3.0, 2.0), (2.33, 1.33)], "grade"),
        (
            Scale(labels={"Exact": (2, 1), "Bad": (0, 0)}),
            {"label": ["exact", "BAD", "good"]},
            [(2, 1), (0, 0)],
            "label",
        ),
        (Scale(zero=2), {"grade": [1, 3, float("nan")]}, [(1, 0), (3, 1)], "grade"),
        (None, {"grade": [1, 3, 2], "gain": [0.5, 0.7, None]}, [(1, 0.5), (3, 0.7), (2, 2)], None),
    ],
)
def test_grades_get_their_gain_and_unknown_ones_are_rejected(
    catalogue, chunk, take_in, scale, columns, kept, reason
) -> None:
    pairs = {"query_id": ["a", "a", "b"], "product_id": ["1", "2", "1"]}
    done = take_in(*catalogue, chunk("judgments", scale=scale, **pairs, **columns))
    found = [(row["grade"], row["gain"]) for row in done.rows("judgments")]
    assert found == [pytest.approx(pair) for pair in kept]
    assert [r["field"] for r in done.rejects()] == ([reason] if reason else [])
    assert all(r["line"] == 4 for r in done.rejects())


def test_dangling_ids_are_rejected_whatever_the_order_of_chunks(catalogue, chunk, take_in) -> None:
    judged = chunk("judgments", query_id=["a", "x", "b"], product_id=["1", "1", "9"], grade=[1, 1, 1])
    seen = chunk(
        "events",
        shopper_id=["s", "s", "s"],
        product_id=["1", "9", "2"],
        query_id=[None, "a", "zz"],
        kind=["CLICK", "click", "click"],
        time=[1511544070, 1511544070, 1511544070],
    )
    done = take_in(judged, seen, *catalogue)
    assert done.rows("judgments", "query_id") == ["a"]
    assert [(e["kind"], e["time"]) for e in done.rows("events")] == [("click", utc(2017, 11, 24, 17, 21, 10))]
    assert [(r["table"], r["line"], r["field"], r["value"]) for r in done.rejects()] == [
        ("judgments", 3, "query_id", "x"),
        ("judgments", 4, "product_id", "9"),
        ("events", 4, "query_id", "zz"),
        ("events", 3, "product_id", "9"),
    ]
    assert not (done.folder / "spool").exists()


def test_an_id_twice_is_a_repeat_or_a_fault(chunk, take_in) -> None:
    done = take_in(
        chunk("products", product_id=["1", "1", "1"], title=["mug", "mug", "cup"]),
        chunk("products", product_id=["1", "2"], title=["cup", "pot"], repeats=True),
    )
    assert done.rows("products", "title") == ["mug", "pot"]
    assert done.report.repeated == {"products": 2}
    assert [(r["line"], r["value"], r["reason"].partition(":")[0]) for r in done.rejects()] == [
        (4, "1", "duplicate id")
    ]


def test_judgments_of_one_pair_become_one(catalogue, chunk, take_in) -> None:
    scale = Scale(labels={"good": (3, 1), "bad": (0, 0)})
    one = chunk("judgments", query_id=["a", "a", "b"], product_id=["1", "2", "1"], label=["good"] * 3, scale=scale)
    two = chunk("judgments", query_id=["a", "a"], product_id=["1", "2"], label=["good", "bad"], scale=scale)
    done = take_in(*catalogue, one, two)
    found = [(r["query_id"], r["product_id"], r["grade"], r["gain"], r["label"]) for r in done.rows("judgments")]
    assert found == [("a", "1", 3.0, 1.0, "good"), ("a", "2", 1.5, 0.5, None), ("b", "1", 3.0, 1.0, "good")]
    assert done.report.repeated == {"judgments": 2}
    assert done.report.conflicting == 1


def test_merging_leaves_single_pairs_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    worth = rng.random((2, 1000)).astype(np.float32)
    merged = merge_pairs(np.arange(1000, dtype=np.uint64), worth)
    assert merged.first.all()
    assert (merged.worth == worth).all()
    assert merged.conflicting == 0


def test_products_of_one_content_are_recorded_and_kept(chunk, take_in) -> None:
    done = take_in(
        chunk("products", product_id=["1", "2", "3"], title=["Red Mug", "red  mug", "red mug"], brand=["A", "a", "B"])
    )
    assert done.shop.count("products") == 3
    assert done.duplicates() == [{"product_id": "2", "canonical_id": "1"}]
    assert done.report.duplicates == 1


def test_publishers_splits_and_kinds_are_checked(catalogue, chunk, take_in) -> None:
    pairs = {"query_id": ["a", "a", "b"], "product_id": ["1", "2", "1"], "grade": [1, 1, 1]}
    done = take_in(*catalogue, chunk("judgments", **pairs, split=["dev", "TEST", "holdout"]))
    assert done.rows("judgments", "split") == ["valid", "test"]
    assert [(r["field"], r["value"]) for r in done.rejects()] == [("split", "holdout")]


@pytest.mark.parametrize(
    ("raw", "moment"),
    [
        ("2024-05-01", utc(2024, 5, 1)),
        ("2024-05-01 12:30:00", utc(2024, 5, 1, 12, 30)),
        ("2024-05-01T12:30:00Z", utc(2024, 5, 1, 12, 30)),
        ("2024-05-01T12:30:00+02:00", utc(2024, 5, 1, 10, 30)),
        ("1714566600", utc(2024, 5, 1, 12, 30)),
        ("1714566600000", utc(2024, 5, 1, 12, 30)),
        ("yesterday", None),
        ("99999999999999999999999", None),
    ],
)
def test_times(catalogue, chunk, take_in, raw, moment) -> None:
    good = {"shopper_id": ["s", "s"], "product_id": ["1", "1"], "kind": ["click", "click"]}
    done = take_in(*catalogue, chunk("events", **good, time=["2020-01-01", raw]))
    found = done.rows("events", "time")
    assert found == [utc(2020, 1, 1), *([moment] if moment else [])]
    assert len(done.rejects()) == (moment is None)


def test_whole_numbers(chunk, take_in) -> None:
    done = take_in(chunk("queries", text=list("abcd"), query_id=list("abcd"), frequency=["3", "4.0", "1.5", "many"]))
    assert done.rows("queries", "frequency") == [3, 4]
    assert [r["value"] for r in done.rejects()] == ["1.5", "many"]


def test_a_table_of_nothing_but_bad_rows_stops(chunk, take_in, tmp_path) -> None:
    with pytest.raises(DataError, match=r"products: all 2 rows were rejected; the first: shop\.csv:2"):
        take_in(chunk("products", product_id=["1", "2"], title=["", None]))
    with pytest.raises(DataError, match="no shop here"):
        Shop(tmp_path / "in" / "shop")


def test_a_column_of_another_type_stops(chunk, take_in) -> None:
    with pytest.raises(DataError, match=r"products\.title: its column is of type list.*string is expected"):
        take_in(chunk("products", product_id=["1"], title=[["mug"]]))


def test_rejects_are_cut_and_of_the_schema(tmp_path) -> None:
    long = "\ud800" + "x" * 500
    with Rejects(tmp_path / "r.parquet", strict=False) as rejects:
        rejects.add([Reject(file="f", line=None, table="products", field=None, value=long, reason="broken encoding")])
    found = pa.parquet.read_table(tmp_path / "r.parquet")
    assert found.schema.equals(REJECTED)
    assert len(found["value"][0].as_py()) == 200


def test_pieces_do_not_change_the_shop(chunk, tmp_path) -> None:
    ids, titles = [str(i) for i in range(100)], [f"mug {i}" for i in range(100)]
    whole = [chunk("products", product_id=ids, title=titles)]
    cut = [chunk("products", product_id=ids[i : i + 7], title=titles[i : i + 7]) for i in range(0, 100, 7)]
    for name, chunks in (("whole", whole), ("cut", cut)):
        ingest(chunks, tmp_path / name)
    assert Shop(tmp_path / "whole" / "shop").fingerprint == Shop(tmp_path / "cut" / "shop").fingerprint


def test_an_empty_shop_is_a_shop(tmp_path) -> None:
    report = ingest([], tmp_path)
    assert report.kept == {}
    assert Shop(tmp_path / "shop").tables == []
    assert set(report.plain()) >= {"read", "kept", "rejected", "seconds", "peak_bytes"}
    assert set(SCHEMAS) >= set(report.read)
