"""What each reader makes of its format, beyond what the conformance suite asks of all."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest
from tests.data.readers.reader_kit import rejected, shop_of

from shopstill.core.config import plain
from shopstill.core.errors import DataError
from shopstill.core.fingerprint import fingerprint
from shopstill.data.readers import READERS
from shopstill.data.readers.esci import Esci
from shopstill.data.readers.homedepot import HomeDepot
from shopstill.data.readers.icecat import Icecat
from shopstill.data.readers.trec import Trec
from shopstill.testing.readers import SAMPLES


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


@pytest.mark.parametrize("name", READERS.names())
def test_a_configuration_has_a_fingerprint(name: str, raw: Path) -> None:
    assert len(fingerprint(plain(SAMPLES[name](raw).reader))) == 32


def test_the_registry_lists_all_formats() -> None:
    judged = ["columns", "esci", "homedepot", "icecat", "trec", "wands"]
    taken_up = ["amazon", "recbole", "s3rec", "taobao"]
    pictured = ["fashion", "image_folder"]
    assert READERS.names() == sorted(judged + taken_up + pictured)
