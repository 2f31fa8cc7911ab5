"""What each reader makes of its format, beyond what the conformance suite asks of all."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shopstill.core.config import build, plain
from shopstill.core.errors import ConfigError, DataError
from shopstill.core.fingerprint import fingerprint
from shopstill.data.ingest import ingest
from shopstill.data.readers import READERS
from shopstill.data.readers.columns import Columns
from shopstill.data.readers.esci import Esci
from shopstill.data.readers.homedepot import HomeDepot
from shopstill.data.readers.icecat import Icecat
from shopstill.data.readers.trec import Trec
from shopstill.data.shop import Shop
from shopstill.testing.readers import SAMPLES


def shop_of(reader, folder: Path) -> Shop:
    ingest(reader.read(), folder / "out")
    return Shop(folder / "out" / "shop")


def rejected(folder: Path) -> list[dict]:
    return pq.read_table(folder / "out" / "rejected.parquet").to_pylist()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def test_home_depot(raw: Path, tmp_path: Path) -> None:
    path = raw / "train.csv"
    path.write_bytes(
        b"id,product_uid,product_title,search_term,relevance\r\n"
        b"2,100001,Men\x89\xdb\xaas 30\xe5\xa1 Caf\xe9 Nail,nails,2.33\r\n"
        b"3,100001,Another title,Nails ,3\r\n"
        b"4,100002,Mug,mug,3.5\r\n"
    )
    (raw / "product_descriptions.csv").write_bytes(
        b'product_uid,product_description\n100001,"Bright,\n coated"\n100009,none\n'
    )
    (raw / "attributes.csv").write_bytes(b"product_uid,name,value\n100001,Material,Steel\n100001,Bullet01,\n,,\n")
    shop = shop_of(HomeDepot(path=path), tmp_path)
    nail, mug = shop.read("products").to_pylist()
    assert (nail["title"], nail["description"]) == ("Men's 30° Café Nail", "Bright, coated")
    assert nail["attributes"] == [("Material", "Steel")]
    assert (mug["title"], mug["description"], mug["attributes"]) == ("Mug", None, None)
    assert shop.read("queries", ["text"]).to_pylist() == [{"text": "nails"}, {"text": "Nails"}, {"text": "mug"}]
    assert shop.read("judgments", ["grade", "gain"]).to_pylist() == [
        {"grade": pytest.approx(2.33), "gain": pytest.approx(1.33)},
        {"grade": 3.0, "gain": 2.0},
    ]
    assert [(r["line"], r["field"], r["value"]) for r in rejected(tmp_path)] == [(4, "grade", "3.5")]
    assert len(HomeDepot(path=path).sources()) == 3
    assert len(HomeDepot(path=path, beside=False).sources()) == 1


def test_esci_joins_on_product_and_locale(raw: Path, tmp_path: Path) -> None:
    SAMPLES["esci"](raw)
    shop = shop_of(Esci(path=raw, locales=("us", "es")), tmp_path)
    titles = {r["product_id"]: (r["title"], r["language"]) for r in shop.read("products").to_pylist()}
    assert titles == {"B01/us": ("Red mug", "en"), "B01/es": ("Taza roja", "es"), "B02/us": ("Blue mug", "en")}
    judged = [(r["query_id"], r["product_id"], r["grade"], r["split"]) for r in shop.read("judgments").to_pylist()]
    assert judged == [("7", "B01/us", 3, "train"), ("7", "B02/us", 2, "train"), ("8", "B01/es", 3, "test")]
    assert [r["gain"] for r in shop.read("judgments").to_pylist()] == [1.0, pytest.approx(0.1), 1.0]
    (mug,) = [r for r in shop.read("products").to_pylist() if r["product_id"] == "B01/us"]
    assert (mug["description"], mug["attributes"]) == ("A mug - red", [("colour", "red")])


def test_esci_small_version_and_ids_of_one_locale(raw: Path, tmp_path: Path) -> None:
    SAMPLES["esci"](raw)
    shop = shop_of(Esci(path=raw, small_version=True), tmp_path)
    assert shop.read("judgments", ["product_id"]).to_pylist() == [{"product_id": "B01"}]


def test_wands_features_and_gains(raw: Path, tmp_path: Path) -> None:
    shop = shop_of(SAMPLES["wands"](raw).reader, tmp_path)
    bed, cooker = shop.read("products").to_pylist()
    assert bed["category"] == ["Furniture", "Bedroom", "Beds"]
    assert bed["attributes"] == [("overallwidth", "64.7"), ("material", "wood, pine")]
    assert cooker["title"] == 'slow "chef" cooker'
    assert [(r["label"], r["grade"], r["gain"]) for r in shop.read("judgments").to_pylist()] == [
        ("Irrelevant", 0.0, 0.0),
        ("Exact", 2.0, 1.0),
        ("Partial", 1.0, 0.5),
    ]


def test_a_comma_separated_wands_file_is_refused(raw: Path) -> None:
    reader = SAMPLES["wands"](raw).reader
    path = raw / "label.csv"
    path.write_bytes(path.read_bytes().replace(b"\t", b","))
    with pytest.raises(DataError, match=r"label\.csv:1: .*'id'.*tab-separated"):
        list(reader.read())


def test_trec_in_the_shape_of_beir_and_of_trec(raw: Path, tmp_path: Path) -> None:
    with gzip.open(raw / "corpus.jsonl.gz", "wt") as out:
        out.write('{"_id": "d1", "title": "Kettle", "text": "Steel", "metadata": {}}\n')
    (raw / "queries.jsonl").write_text('{"_id": "q1", "text": "kettle"}\n{"_id": "q2", "text": "pot"}\n')
    (raw / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    (raw / "qrels.txt").write_text("q2 0  d1   -1\n")
    reader = Trec(
        corpus=(raw / "corpus.jsonl.gz",),
        queries=(raw / "queries.jsonl",),
        qrels={"test": raw / "test.tsv", "all": raw / "qrels.txt"},
    )
    shop = shop_of(reader, tmp_path)
    (kettle,) = shop.read("products").to_pylist()
    assert (kettle["title"], kettle["description"]) == ("Kettle", "Steel")
    found = [(r["query_id"], r["grade"], r["gain"], r["split"]) for r in shop.read("judgments").to_pylist()]
    assert found == [("q1", 1.0, 1.0, "test"), ("q2", -1.0, 0.0, None)]


def test_icecat_prices_attributes_and_folders(raw: Path, tmp_path: Path) -> None:
    products = [
        {
            "id": "1",
            "title": "A",
            "price": 3395,
            "attr_t_colour": "Red",
            "attr_n_size__w_": 17.0,
            "attr_b_wi_fi": False,
        },
        {"id": 2, "title": "B", "price": "free"},
    ]
    for number, product in enumerate(products):
        with zipfile.ZipFile(raw / f"{number}.json.zip", "w") as archive:
            archive.writestr(f"{number}.json", json.dumps([product]))
    shop = shop_of(Icecat(path=raw), tmp_path)
    (first,) = shop.read("products").to_pylist()
    assert first["price"] == 33.95
    assert first["attributes"] == [("colour", "Red"), ("size w", "17"), ("wi fi", "no")]
    assert [(r["field"], r["value"]) for r in rejected(tmp_path)] == [("price", "free")]
    with pytest.raises(DataError, match=r"\.json"):
        Icecat(path=tmp_path).sources()


def test_columns_reads_events_edges_and_parquet(raw: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"sku": [1, 2], "name": ["Mug", None]}), raw / "p.parquet")
    (raw / "behaviour.csv").write_text("u1,1,7,pv,1511544070\nu1,1,7,buy,1511544071\nu1,1,7,stare,1511544072\n")
    (raw / "kg.tsv").write_text("1\tmade_by\tAcme\n")
    reader = build(
        Columns,
        {
            "products": {"path": raw / "p.parquet", "columns": {"product_id": "sku", "title": "name"}},
            "events": {
                "path": raw / "behaviour.csv",
                "header": ["user", "item", "category", "kind", "seconds"],
                "columns": {"shopper_id": "user", "product_id": "item", "kind": "kind", "time": "seconds"},
                "values": {"kind": {"pv": "click", "buy": "purchase"}},
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


@pytest.mark.parametrize("name", READERS.names())
def test_a_configuration_has_a_fingerprint(name: str, raw: Path) -> None:
    assert len(fingerprint(plain(SAMPLES[name](raw).reader))) == 32


def test_the_registry_lists_all_formats() -> None:
    judged = ["columns", "esci", "homedepot", "icecat", "trec", "wands"]
    taken_up = ["amazon", "recbole", "s3rec", "taobao"]
    pictured = ["fashion", "image_folder"]
    assert READERS.names() == sorted(judged + taken_up + pictured)
