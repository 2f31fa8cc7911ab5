"""The mapping of columns in a recipe: what is wrong with it is told before a file is read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shopstill.core.config import build
from shopstill.core.errors import ConfigError, DataError
from shopstill.data.readers.columns import Columns


@pytest.mark.parametrize(
    ("table", "file", "message"),
    [
        ("products", {"columns": {"product_id": "a", "titel": "b"}}, "products.columns.titel: unknown column.*'title'"),
        ("products", {"columns": {"product_id": "a"}}, "products.columns: lacks 'title'"),
        ("judgments", {"columns": {"query": "a", "product_id": "b"}}, "judgments.columns: lacks 'grade'"),
        ("judgments", {"columns": {"query": "a", "product_id": "b", "label": "c"}}, "judgments.labels: says nothing"),
    ],
)
def test_a_wrong_mapping_is_told_before_a_file_is_opened(table, file, message) -> None:
    with pytest.raises(ConfigError, match=message):
        list(build(Columns, {table: {"path": "nowhere.csv", **file}}).read())
    with pytest.raises(ConfigError, match=message):
        build(Columns, {table: {"path": "nowhere.csv", **file}}).sources()


@pytest.mark.parametrize("table", ["judgments", "events"])
@pytest.mark.parametrize(
    ("queries", "given", "message"),
    [
        (
            {"query_id": "id", "text": "text"},
            {"query": "q"},
            "query: the queries have ids of their own; map query_id to",
        ),
        ({"text": "text"}, {"query_id": "id"}, "query_id: the queries have no ids of their own; map query to"),
        ({"text": "text"}, {"query": "q", "query_id": "id"}, "query: query_id is mapped too; leave one out"),
        (None, {"query": "q"}, "query: the shop has no queries; add them, with repeats: true from nowhere.csv"),
        (None, {"query_id": "id"}, "query_id: the shop has no queries"),
    ],
)
def test_queries_are_named_as_they_are_known(table: str, queries, given, message) -> None:
    columns = {"product_id": "p", **({"grade": "g"} if table == "judgments" else {"time": "t", "kind": "k"})}
    mapped = {
        "queries": queries and {"path": "q.csv", "columns": queries},
        table: {"path": "nowhere.csv", "columns": {**columns, **given}},
    }
    with pytest.raises(ConfigError, match=f"{table}.columns.{message}"):
        build(Columns, mapped).sources()


def test_sources_hold_the_mapping_against_the_headers_of_the_files(raw: Path) -> None:
    (raw / "p.csv").write_text("sku,name\n1,Mug\n")
    pq.write_table(pa.table({"sku": ["1"], "name": ["Mug"]}), raw / "p.parquet")
    with zipfile.ZipFile(raw / "p.zip", "w") as archive:
        archive.writestr("p.tsv", "sku\tname\n1\tMug\n")
    for name in ("p.csv", "p.parquet", "p.zip"):
        file = {"path": raw / name, "columns": {"product_id": "sku", "title": "name"}}
        assert build(Columns, {"products": file}).sources() == [raw / name]
        with pytest.raises(DataError, match=r"lacks .*'brand'"):
            build(Columns, {"products": {**file, "attributes": ["brand"]}}).sources()


def test_a_mapping_is_held_against_a_header_of_the_recipe(raw: Path) -> None:
    (raw / "p.csv").write_text("1,Mug\n")
    file = {"path": raw / "p.csv", "header": ["sku", "name"], "columns": {"product_id": "sku", "title": "nam"}}
    with pytest.raises(ConfigError, match=r"products.header: lacks 'nam', which is mapped; did you mean 'name'"):
        list(build(Columns, {"products": file}).read())


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({}, "events.columns: lacks 'kind'.*events.constants kind: <the value"),
        ({"kynd": "purchase"}, "events.constants.kynd: unknown column.*'kind'"),
        ({"time": "0"}, "events.constants.time: is among the columns too"),
    ],
)
def test_wrong_constants_are_told(constants: dict[str, str], message: str) -> None:
    columns = {"shopper_id": "u", "product_id": "i", "time": "t"}
    file = {"path": "nowhere.csv", "columns": columns, "constants": constants}
    with pytest.raises(ConfigError, match=message):
        list(build(Columns, {"events": file}).read())
