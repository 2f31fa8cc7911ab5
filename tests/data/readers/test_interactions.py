"""What the readers of interactions make of their formats, beyond what the conformance suite asks of all."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shopstill.core.errors import ConfigError, DataError
from shopstill.data.histories import HistoryConfig, by_time, read_histories
from shopstill.data.ingest import ingest
from shopstill.data.readers.amazon import Amazon
from shopstill.data.readers.recbole import RecBole
from shopstill.data.readers.taobao import Taobao
from shopstill.data.shop import Shop
from shopstill.testing.readers import SAMPLES


def shop_of(reader, folder: Path) -> Shop:
    ingest(reader.read(), folder / "out")
    return Shop(folder / "out" / "shop")


def rejected(folder: Path) -> list[tuple]:
    rows = pq.read_table(folder / "out" / "rejected.parquet").to_pylist()
    return [(row["line"], row["table"], row["field"], row["value"]) for row in rows]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def test_taobao(raw: Path, tmp_path: Path) -> None:
    path = raw / "UserBehavior.csv"
    path.write_text(
        "1,10,7,pv,1511544070\n1,11,8,fav,1511544071\n1,10,7,cart,1511544072\n1,10,9,buy,1511544073\n"
        "2,10,7,view,1511544070\n2,11,8,pv,soon\n2,12,,pv,1511544070\n"
    )
    shop = shop_of(Taobao(path=path), tmp_path)
    events = [(e["product_id"], e["kind"], e["time"]) for e in shop.read("events").to_pylist()]
    assert [kind for _, kind, _ in events] == ["click", "favourite", "cart", "purchase", "click"]
    assert events[0][2].isoformat() == "2017-11-24T17:21:10"
    products = {p["product_id"]: (p["title"], p["category"]) for p in shop.read("products").to_pylist()}
    assert products == {"10": ("10", ["7"]), "11": ("11", ["8"]), "12": ("12", None)}
    assert rejected(tmp_path) == [(5, "events", "kind", "view"), (6, "events", "time", "soon")]
    found = read_histories(shop, HistoryConfig(core=1, kinds=("click", "favourite", "cart", "purchase")))
    assert [found.item_ids[int(i) - 1].as_py() for i in found.history(0)] == ["10", "11", "10"]


def test_recbole(raw: Path, tmp_path: Path) -> None:
    sample = SAMPLES["recbole"](raw)
    shop = shop_of(RecBole(path=raw), tmp_path)
    red, blue, third = shop.read("products").to_pylist()
    assert (red["title"], red["price"], red["attributes"]) == ('Red "mug', 9.5, [("year", "1995")])
    assert (blue["title"], blue["price"], blue["attributes"]) == ("Blue mug", None, None)
    assert (third["product_id"], third["title"]) == ("14", "14")
    assert [tuple(edge.values()) for edge in shop.read("edges").to_pylist()] == [
        ("11", "has_class", "class:Mugs"),
        ("11", "has_class", "class:Gifts"),
        ("12", "has_class", "class:Mugs"),
        ("11", "made.by", "entity:m.99"),
    ]
    event = shop.read("events").to_pylist()[0]
    assert (event["kind"], event["time"].isoformat()) == ("purchase", "1997-12-04T15:55:49")
    assert [path.name for path in RecBole(path=raw).sources()] == ["mugs.inter", "mugs.item", "mugs.kg", "mugs.link"]
    assert [p.name for p in RecBole(path=raw, files=()).sources()] == ["mugs.inter"]
    assert rejected(tmp_path) == []
    assert sample.reader != RecBole(path=raw)


def test_recbole_columns_may_have_other_names(raw: Path, tmp_path: Path) -> None:
    (raw / "a.inter").write_text("item_id:token\tuser_id:token\n11\tu\n12\tu\n")
    (raw / "a.item").write_text(
        "item_id:token\tlabel:token_seq\tcategories:token_seq\tbrand:token\tvector:float_seq\n"
        "11\tRed mug\tHome Mugs\tAcme\t0.1 0.2\n12\t \tHome\t\t\n"
    )
    shop = shop_of(RecBole(path=raw, title="label", kind="click"), tmp_path)
    first, second = shop.read("products").to_pylist()
    assert (first["title"], first["category"], first["brand"]) == ("Red mug", ["Home", "Mugs"], "Acme")
    assert (second["title"], second["category"], second["attributes"]) == ("12", ["Home"], None)
    assert [(e["kind"], e["time"].microsecond) for e in shop.read("events").to_pylist()] == [
        ("click", 2_000),
        ("click", 3_000),
    ]
    assert shop.count("edges") == 0
    with pytest.raises(ConfigError, match="title: no column 'labels'"):
        list(RecBole(path=raw, title="labels").read())


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ("user_id\titem_id", "'user_id' is no name:type"),
        ("user_id:token\titem_id:text", "'item_id:text' is no name:type"),
        ("user_id:token\tuser_id:token\titem_id:token", "stands twice"),
        ("user_id:token\trating:float", "lacks 'item_id'"),
        ("user_id:token\titem_id:token\titem_id_list:token_seq", "cut for a benchmark"),
    ],
)
def test_recbole_headers(raw: Path, header: str, match: str) -> None:
    (raw / "a.inter").write_text(header + "\n1\t2\n")
    with pytest.raises(DataError, match=rf"a\.inter:1: .*{match}"):
        list(RecBole(path=raw).read())


def test_recbole_ids_may_have_other_names(raw: Path, tmp_path: Path) -> None:
    (raw / "m.inter").write_text("session_id:token\tartist_id:token\ttimestamp:float\ns1\ta\t10\ns1\tb\t11\n")
    (raw / "m.item").write_text("artist_id:token\tname:token\tgenres:token_seq\na\tAbba\tpop disco\n")
    (raw / "m.link").write_text("artist_id:token\tentity_id:token\na\tm.1\n")
    (raw / "m.kg").write_text("head_id:token\trelation_id:token\ttail_id:token\nm.1\tmade\tm.2\n")
    shop = shop_of(RecBole(path=raw, user="session_id", item="artist_id"), tmp_path)
    assert [(row["shopper_id"], row["product_id"]) for row in shop.read("events").to_pylist()] == [
        ("s1", "a"),
        ("s1", "b"),
    ]
    assert {row["product_id"]: row["title"] for row in shop.read("products").to_pylist()} == {"a": "Abba", "b": "b"}
    assert [row["target"] for row in shop.read("edges").to_pylist()] == ["genres:pop", "genres:disco", "entity:m.2"]
    with pytest.raises(DataError, match=r"lacks 'user_id'; found: session_id, artist_id.*set user: <column>"):
        list(RecBole(path=raw, files=()).read())
    with pytest.raises(DataError, match=r"lacks 'item_id'; found: session_id, artist_id.*set item: <column>"):
        list(RecBole(path=raw, user="session_id", files=()).read())


def test_recbole_needs_one_data_set(raw: Path) -> None:
    with pytest.raises(DataError, match=r"one \.inter file is expected in this folder, found: none"):
        RecBole(path=raw).sources()
    for name in ("a", "b"):
        (raw / f"{name}.inter").write_text("user_id:token\titem_id:token\n1\t2\n")
    with pytest.raises(DataError, match=r"a\.inter, b\.inter; or set name"):
        RecBole(path=raw).sources()
    assert len(RecBole(path=raw, name="b").sources()) == 1


def test_amazon(raw: Path, tmp_path: Path) -> None:
    reader = SAMPLES["amazon"](raw).reader
    shop = shop_of(reader, tmp_path)
    first, second, third = shop.read("products").to_pylist()
    assert (first["title"], first["brand"], first["category"], first["price"]) == ("Red mug", "Acme", ["Home"], None)
    assert (first["attributes"], first["image"]) == ([("Colour", "red")], None)
    assert (second["description"], second["category"], second["price"]) == ("A mug. Blue.", ["Home", "Mugs"], 9.99)
    assert (second["attributes"], second["image"]) == (None, "http://l.jpg")
    assert (third["product_id"], third["title"]) == ("B9", "B9")
    event = shop.read("events").to_pylist()[0]
    assert (event["shopper_id"], event["product_id"], event["kind"]) == ("U1", "B1", "purchase")
    assert event["time"].isoformat() == "2020-05-05T14:08:48.923000"


def test_amazon_odd_rows(raw: Path, tmp_path: Path) -> None:
    rows = [
        {"user_id": "a", "parent_asin": "1", "timestamp": 1588687728923, "verified_purchase": True},
        {"user_id": "a", "parent_asin": "2", "timestamp": 1588687728924, "verified_purchase": False},
        {"user_id": "b", "parent_asin": "3", "timestamp": 1588687728925},
        {"user_id": "b", "parent_asin": {"x": 1}, "timestamp": 1588687728925},
        {"user_id": "b", "parent_asin": "4", "timestamp": "soon", "verified_purchase": True},
        {"parent_asin": "1", "timestamp": 1588687728925, "verified_purchase": True},
        {"user_id": "b", "parent_asin": "5", "timestamp": 1588687728925, "verified_purchase": "Y"},
    ]
    path = raw / "Mugs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shop = shop_of(Amazon(reviews=(path,)), tmp_path)
    assert [e["product_id"] for e in shop.read("events").to_pylist()] == ["1", "2", "3"]
    assert rejected(tmp_path) == [
        (4, "events", "parent_asin", '{"x": 1}'),
        (7, "events", "verified_purchase", '"Y"'),
        (5, "events", "time", "soon"),
        (6, "events", "shopper_id", None),
    ]
    verified = shop_of(Amazon(reviews=(path,), verified=True), tmp_path / "verified")
    assert [e["product_id"] for e in verified.read("events").to_pylist()] == ["1"]


def test_amazon_prices(raw: Path, tmp_path: Path) -> None:
    prices = [9.5, "$1,299.00", "from 9.99", "—", None, "None", "7"]
    rows = [{"parent_asin": str(n), "title": "mug", "price": price} for n, price in enumerate(prices)]
    meta, reviews = raw / "meta.jsonl.gz", raw / "reviews.jsonl"
    meta.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    reviews.write_text(json.dumps({"user_id": "a", "parent_asin": "1", "timestamp": 1588687728923}) + "\n")
    shop = shop_of(Amazon(reviews=(reviews,), products=(meta,)), tmp_path)
    assert [p["price"] for p in shop.read("products").to_pylist()] == [9.5, 1299.0, None, None, None, None, 7.0]


def test_amazon_products_keep_what_can_be_read(raw: Path, tmp_path: Path) -> None:
    images = {"hi_res": [None, "http://h2.jpg"], "large": ["http://l1.jpg", None], "variant": ["MAIN", "PT01"]}
    whole = {"store": "Acme", "categories": [], "main_category": "Home", "price": "None", "images": images}
    rows = [
        {"parent_asin": "1", "title": "", **whole, "details": '{"Colour": "red", "Deep": {"x": 1}, "None": null}'},
        {"parent_asin": "2", "title": None, **whole, "details": "{broken", "images": {"hi_res": [], "large": []}},
        {"parent_asin": "3", "title": " ", **whole, "details": [1], "price": {"from": 1}, "images": {"hi_res": [True]}},
    ]
    meta, reviews = raw / "meta.jsonl", raw / "reviews.jsonl"
    meta.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reviews.write_text(json.dumps({"user_id": "a", "parent_asin": "1", "timestamp": 1588687728923}) + "\n")
    products = shop_of(Amazon(reviews=(reviews,), products=(meta,)), tmp_path).read("products").to_pylist()
    assert [(p["title"], p["brand"], p["category"], p["price"]) for p in products] == [
        (number, "Acme", ["Home"], None) for number in "123"
    ]
    assert [p["attributes"] for p in products] == [[("Colour", "red")], None, None]
    assert [p["image"] for p in products] == ["http://l1.jpg", None, None]


def test_a_reader_of_events_is_read_in_pieces(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{n % 40},{n * 7 % 60},{n * 7 % 60 % 5},pv,{1511544070 + n}\n" for n in range(2_000)]
    path = raw / "UserBehavior.csv"
    path.write_text("".join(rows))
    whole = shop_of(Taobao(path=path), tmp_path / "whole")
    monkeypatch.setattr("shopstill.data.readers._delimited.ROWS", 37)
    pieces = shop_of(Taobao(path=path), tmp_path / "pieces")
    assert whole.fingerprint == pieces.fingerprint
    parts = by_time(read_histories(pieces, HistoryConfig()), 0.1, 0.1)
    assert len(parts.test) == 200
