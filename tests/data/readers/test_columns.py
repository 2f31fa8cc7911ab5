"""Any shop's own export, by a mapping of columns: formats, encodings, archives, and what cannot be read."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tests.data.readers.reader_kit import rejected, shop_of

from shopstill.core.config import build
from shopstill.core.errors import ConfigError, DataError
from shopstill.data.readers.columns import Columns
from shopstill.data.readers.homedepot import HomeDepot


def test_columns_reads_events_edges_and_parquet(raw: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"sku": [1, 2], "name": ["Mug", None]}), raw / "p.parquet")
    (raw / "behaviour.csv").write_text("u1,1,7,pv,1511544070\nu1,1,7,4,1511544071\nu1,1,7,stare,1511544072\n")
    (raw / "kg.tsv").write_text("1\tmade_by\tAcme\n")
    reader = build(
        Columns,
        {
            "products": {"path": raw / "p.parquet", "columns": {"product_id": "sku", "title": "name"}},
            "events": {
                "path": raw / "behaviour.csv",
                "header": ["user", "item", "category", "kind", "seconds"],
                "columns": {"shopper_id": "user", "product_id": "item", "kind": "kind", "time": "seconds"},
                "values": {"kind": {"pv": "click", 4: "purchase"}},
            },
            "edges": {
                "path": raw / "kg.tsv",
                "header": ["head", "relation", "tail"],
                "columns": {"source": "head", "relation": "relation", "target": "tail"},
            },
        },
    )
    shop = shop_of(reader, tmp_path)
    assert shop.read("events", ["kind"]).to_pylist() == [{"kind": "click"}, {"kind": "purchase"}]
    assert shop.read("edges").to_pylist() == [{"source": "1", "relation": "made_by", "target": "Acme"}]
    assert [(r["table"], r["line"], r["field"]) for r in rejected(tmp_path)] == [
        ("products", 2, "title"),
        ("events", 3, "kind"),
    ]


def test_queries_are_read_from_the_judgments_themselves(raw: Path, tmp_path: Path) -> None:
    (raw / "g.csv").write_text("query,sku,name,grade\nmug,1,Mug,1\nmug,2,Pan,0\npan,2,Pan,1\n")
    path, twice = {"path": raw / "g.csv"}, {"path": raw / "g.csv", "repeats": True}
    mapped = {
        "products": {**twice, "columns": {"product_id": "sku", "title": "name"}},
        "queries": {**twice, "columns": {"text": "query"}},
        "judgments": {**path, "columns": {"query": "query", "product_id": "sku", "grade": "grade"}},
    }
    shop = shop_of(build(Columns, mapped), tmp_path)
    assert [shop.count(name) for name in ("products", "queries", "judgments")] == [2, 2, 3]
    assert not rejected(tmp_path)


def test_ratings_alone_are_a_shop(raw: Path, tmp_path: Path) -> None:
    (raw / "r.csv").write_text("user_id,parent_asin,rating,timestamp\nu1,B1,5.0,1511544070\nu2,B1,1.0,1511544071\n")
    columns = {"shopper_id": "user_id", "product_id": "parent_asin", "time": "timestamp"}
    file = {"path": raw / "r.csv", "columns": columns, "constants": {"kind": "purchase"}}
    shop = shop_of(build(Columns, {"events": file}), tmp_path)
    assert shop.read("products", ["product_id", "title"]).to_pylist() == [{"product_id": "B1", "title": "B1"}]
    assert [row["kind"] for row in shop.read("events").to_pylist()] == ["purchase", "purchase"]
    assert not rejected(tmp_path)


def labelled(labels, path: Path | str = "nowhere.csv") -> dict:
    """A table of judgments with labels for grades, as YAML has them."""
    columns = {"query_id": "q", "product_id": "p", "label": "l"}
    return {"path": path, "columns": columns, "labels": yaml.safe_load(labels)}


def test_a_label_is_known_however_the_recipe_and_the_file_write_it(raw: Path, tmp_path: Path) -> None:
    written = ["groß", "GROSS", "相关（高）", "very  good", "Very good", "exact", "1"]
    (raw / "j.csv").write_text("q,p,l\n" + "".join(f"{n},1,{label}\n" for n, label in enumerate(written)))
    (raw / "q.csv").write_text("q,text\n" + "".join(f"{n},mug {n}\n" for n in range(len(written))))
    (raw / "p.csv").write_text("p,title\n1,mug\n")
    labels = "{groß: [4, 4], 相关（高）: [3, 3], 'very  good': [2, 2], Exact: [1, 1], 1: [0, 0]}"
    tables = {
        "products": {"path": raw / "p.csv", "columns": {"product_id": "p", "title": "title"}},
        "queries": {"path": raw / "q.csv", "columns": {"query_id": "q", "text": "text"}},
        "judgments": labelled(labels, raw / "j.csv"),
    }
    shop = shop_of(build(Columns, tables), tmp_path)
    assert shop.read("judgments", ["grade"]).column("grade").to_pylist() == [4, 4, 3, 2, 2, 1, 0]
    assert not rejected(tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("{yes: [1, 1], no: [0, 0]}", "judgments.labels: YAML reads yes, no, on, off.*put those that .* in quotes"),
        ("{0.5: [1, 1]}", "judgments.labels: YAML reads '0.5' as no text; put it in quotes"),
        ("{Good: [1, 1], good: [0, 0]}", "judgments.labels: 'Good' and 'good' are one label, with different grades"),
    ],
)
def test_labels_that_say_something_else_than_was_meant_are_told(labels: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        list(build(Columns, {"judgments": labelled(labels)}).read())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.csv", "sku,name\n", r"p\.csv: has a header and no row; give the file of the shop's products"),
        ("p.tsv", "sku\tname\n\n", r"p\.tsv: has a header and no row"),
        ("p.json", "[]", r"p\.json: has no row"),
    ],
)
def test_a_file_without_a_product_is_no_catalogue(raw: Path, name: str, content: str, message: str) -> None:
    (raw / name).write_text(content)
    file = {"path": raw / name, "columns": {"product_id": "sku", "title": "name"}}
    with pytest.raises(DataError, match=message):
        list(build(Columns, {"products": file}).read())


def test_columns_needs_a_table_and_a_known_format(raw: Path) -> None:
    with pytest.raises(ConfigError, match="name at least one table"):
        list(Columns().read())
    file = {"path": raw / "p.xlsx", "columns": {"product_id": "a", "title": "b"}}
    with pytest.raises(DataError, match="set format"):
        list(build(Columns, {"products": file}).read())


def test_the_format_of_a_zip_is_that_of_what_it_holds(raw: Path) -> None:
    with zipfile.ZipFile(raw / "reviews.zip", "w") as archive:
        archive.writestr("reviews.csv", "cat,review\n书籍,好书\n")
    file = {"path": raw / "reviews.zip", "columns": {"title": "review", "category": "cat"}}
    (chunk,) = build(Columns, {"products": file}).read()
    assert chunk.data["title"].to_pylist() == ["好书"]


@pytest.mark.parametrize("encoding", ["gb18030", "latin-1"])
def test_a_file_in_another_encoding_stops_with_a_hint(raw: Path, encoding: str) -> None:
    text = "红色马克杯" if encoding == "gb18030" else "café crème"
    (raw / "p.csv").write_bytes(b"id,name\n" + b"".join(f"{i},{text}\n".encode(encoding) for i in range(20)))
    file = {"path": raw / "p.csv", "columns": {"product_id": "id", "title": "name"}}
    with pytest.raises(DataError, match=f"is not utf-8.*set encoding: {encoding}"):
        list(build(Columns, {"products": file}).read())
    chunks = list(build(Columns, {"products": {**file, "encoding": encoding}}).read())
    assert chunks[0].data["title"][0].as_py() == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_wide_text_is_read_where_it_is_declared(raw: Path, encoding: str) -> None:
    (raw / "p.csv").write_bytes("id,name\n1,红色\n".encode(encoding))
    file = {"path": raw / "p.csv", "columns": {"product_id": "id", "title": "name"}}
    with pytest.raises(DataError, match="found"):
        list(build(Columns, {"products": file}).read())
    (chunk,) = build(Columns, {"products": {**file, "encoding": encoding}}).read()
    assert chunk.data["title"].to_pylist() == ["红色"]


def test_an_unknown_encoding_is_told(raw: Path) -> None:
    (raw / "p.csv").write_text("id,name\n1,mug\n")
    file = {"path": raw / "p.csv", "columns": {"product_id": "id", "title": "name"}, "encoding": "utf-9"}
    with pytest.raises(ConfigError, match="unknown encoding 'utf-9'"):
        list(build(Columns, {"products": file}).read())


def test_lines_are_those_of_the_file_behind_fields_of_many_lines(raw: Path, tmp_path: Path) -> None:
    (raw / "p.csv").write_text('id,name\n1,"a\nlong\nmug"\n\n2,"open\n')
    file = {"path": raw / "p.csv", "columns": {"product_id": "id", "title": "name"}}
    shop = shop_of(build(Columns, {"products": file}), tmp_path)
    assert shop.read("products", ["title"]).to_pylist() == [{"title": "a long mug"}]
    (left_out,) = rejected(tmp_path)
    assert (left_out["line"], left_out["field"]) == (6, "name")
    assert "unexpected end" in left_out["reason"]


@pytest.mark.parametrize("content", ['[{"sku": "1"}, {"sku": ', '[{"sku": "1"} "', '{"sku": \n"1"}', "{" * 100, "17"])
def test_broken_json_stops_at_its_place(raw: Path, content: str) -> None:
    (raw / "p.json").write_text(content)
    file = {"path": raw / "p.json", "columns": {"product_id": "sku", "title": "sku"}}
    with pytest.raises(DataError, match=r"p\.json:1"):
        list(build(Columns, {"products": file}).read())


def test_json_values_of_the_wrong_kind_cost_their_row(raw: Path, tmp_path: Path) -> None:
    rows = [
        {"sku": 1, "name": "mug", "path": ["Home", "Mugs"], "about": {"colour": "red", "new": True, "kg": 0.5}},
        {"sku": 2, "name": {"en": "mug"}},
        {"sku": 3, "name": "mug", "about": "red"},
        {"sku": 4, "name": ["big", "mug"], "path": "Home > Mugs"},
        {"sku": True, "name": "mug"},
    ]
    (raw / "p.json").write_text(json.dumps(rows, indent=1))
    mapping = {"product_id": "sku", "title": "name", "category": "path", "attributes": "about"}
    shop = shop_of(build(Columns, {"products": {"path": raw / "p.json", "columns": mapping}}), tmp_path)
    first, fourth = shop.read("products").to_pylist()
    assert (first["category"], first["attributes"]) == (
        ["Home", "Mugs"],
        [("colour", "red"), ("new", "yes"), ("kg", "0.5")],
    )
    assert (fourth["title"], fourth["category"]) == ("big mug", ["Home", "Mugs"])
    assert [r["field"] for r in rejected(tmp_path)] == ["name", "about", "sku"]


def test_reading_is_lazy(raw: Path) -> None:
    with (raw / "p.csv").open("w") as out:
        out.write("id,name\n")
        out.writelines(f"{i},mug {i}\n" for i in range(100_000))
    file = {"path": raw / "p.csv", "columns": {"product_id": "id", "title": "name"}}
    chunks = build(Columns, {"products": file}).read()
    assert next(chunks).data.num_rows < 50_000
    assert sum(chunk.data.num_rows for chunk in chunks) > 50_000


def test_a_locked_or_crowded_zip_is_refused(raw: Path) -> None:
    with zipfile.ZipFile(raw / "train.csv.zip", "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "y")
    with pytest.raises(DataError, match="holds 2 files"):
        list(HomeDepot(path=raw / "train.csv.zip").read())
    with zipfile.ZipFile(raw / "train.csv.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(DataError, match=r"holds no file that ends in \.csv; found: readme\.txt"):
        list(HomeDepot(path=raw / "train.csv.zip").read())


def test_pictures_are_looked_for_beside_the_table(raw: Path, tmp_path: Path) -> None:
    (raw / "images").mkdir()
    for name in ("images/1.jpg", "all.zip"):
        (raw / name).write_bytes(b"")
    images = ["images/1.jpg", "images/2.jpg", "all.zip!/1.jpg", "https://shop.example/1.jpg", "x" * 400, ""]
    rows = "".join(f"{n},mug,{image}\n" for n, image in enumerate(images))
    (raw / "p.csv").write_text("id,name,file\n" + rows)
    mapping = {"product_id": "id", "title": "name", "image": "file"}
    shop = shop_of(build(Columns, {"products": {"path": raw / "p.csv", "columns": mapping}}), tmp_path)
    found = shop.read("products", ["image"]).column("image").to_pylist()
    assert found == [str(raw / images[0]), images[1], str(raw / images[2]), *images[3:5], None]
