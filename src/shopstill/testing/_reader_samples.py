"""A tiny shop in each format exactly as its publisher gives it, and a way to add one more row to each of its files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from shopstill.data.readers import READERS
from shopstill.testing._reader_event_samples import EVENT_SAMPLES
from shopstill.testing._reader_image_samples import IMAGE_SAMPLES
from shopstill.testing._reader_kit import (
    Sample,
    SampleFile,
    adding,
    appending,
    as_json,
    into_array,
    quoted,
    tabbed,
    table_of,
    zipped,
)


def homedepot(folder: Path) -> Sample:
    """``train.csv`` in a zip, Latin-1."""
    head = b"id,product_uid,product_title,search_term,relevance\n"
    rows = [
        b"2,100001,Simpson Strong-Tie 12-Gauge Angle,angle bracket,3\n",
        b"3,100001,Simpson Strong-Tie 12-Gauge Angle,l bracket,2.5\n",
        b'9,100002,"BEHR Premium, Textured 1-gal. Caf\xe9",deck over,1.33\n',
    ]
    path = zipped(folder / "train.csv.zip", "train.csv", head + b"".join(rows))
    file = SampleFile(
        path=path,
        add=appending(lambda text: b"11,100009," + quoted(text) + b",mug,2\n"),
        ragged=b"12,100010,too few\n",
        text=False,
        plain=False,
    )
    counts = {"products": 2, "queries": 3, "judgments": 3}
    return Sample(reader=READERS.get("homedepot")(path=path), files=(file,), counts=counts)


def esci(folder: Path) -> Sample:
    """Two Parquet files; the same product id stands in two locales."""
    products = folder / "shopping_queries_dataset_products.parquet"
    examples = folder / "shopping_queries_dataset_examples.parquet"
    names = ["product_id", "product_title", "product_description", "product_bullet_point", "product_brand"]
    names += ["product_color", "product_locale"]
    rows: list[list[object]] = [
        ["B01", "Red mug", "<p>A mug</p>", "- red", "Acme", "red", "us"],
        ["B01", "Taza roja", None, None, "Acme", None, "es"],
        ["B02", "Blue mug", None, "- blue", None, "blue", "us"],
    ]
    pq.write_table(table_of(names, rows), products)
    names = ["example_id", "query", "query_id", "product_id", "product_locale", "esci_label"]
    names += ["small_version", "large_version", "split"]
    pairs = [
        [0, "mug", 7, "B01", "us", "E", 1, 1, "train"],
        [1, "mug", 7, "B02", "us", "S", 0, 1, "train"],
        [2, "taza", 8, "B01", "es", "E", 1, 1, "test"],
    ]
    pq.write_table(table_of(names, pairs), examples)
    return Sample(
        reader=READERS.get("esci")(path=folder),
        files=(
            SampleFile(path=products, add=adding("product_title", "B09"), plain=False),
            SampleFile(path=examples, plain=False),
        ),
        counts={"products": 2, "queries": 1, "judgments": 2},
    )


def wands(folder: Path) -> Sample:
    """Three tab-separated files that end in ``.csv``."""
    product, query, label = (folder / name for name in ("product.csv", "query.csv", "label.csv"))
    product.write_bytes(
        b"product_id\tproduct_name\tproduct_class\tcategory_hierarchy\tproduct_description\tproduct_features\t"
        b"rating_count\taverage_rating\treview_count\n"
        b"0\tsolid wood platform bed\tBeds\tFurniture / Bedroom / Beds\tgood , deep sleep\t"
        b"overallwidth : 64.7|material : wood|material : pine\t15.0\t4.5\t15.0\n"
        b'1\t"slow ""chef"" cooker"\tSlow Cookers\tKitchen / Cookers\t\tcapacityquarts:7\t100.0\t2.0\t98.0\n'
    )
    query.write_bytes(b"query_id\tquery\tquery_class\n0\tsalon chair\tMassage Chairs\n1\tslow cooker\t\n")
    label.write_bytes(b"id\tquery_id\tproduct_id\tlabel\n0\t0\t0\tIrrelevant\n1\t1\t1\tExact\n2\t1\t0\tPartial\n")
    return Sample(
        reader=READERS.get("wands")(path=folder),
        files=(
            SampleFile(
                path=product,
                add=appending(lambda text: b"9\t" + quoted(text) + b"\tBeds\tA / B\t\t\t\t\t\n"),
                ragged=b"8\ttoo few\n",
            ),
            SampleFile(
                path=query,
                add=appending(lambda text: b"9\t" + quoted(text) + b"\t\n"),
                ragged=b"8\n",
            ),
            SampleFile(path=label, ragged=b"9\t0\t0\tExact\tmore\n"),
        ),
        counts={"products": 2, "queries": 2, "judgments": 3},
    )


def trec(folder: Path) -> Sample:
    """BEIR's JSON lines as the corpus, Multi-CPR's tab-separated queries and qrels; Chinese."""
    corpus, queries, qrels = (folder / name for name in ("corpus.jsonl", "dev.query.txt", "qrels.dev.tsv"))
    documents = [
        {"_id": "d1", "title": "", "text": "不锈钢水壶"},
        {"_id": "d2", "title": "Kettle", "text": "Steel, 1.5 l"},
    ]
    corpus.write_text("".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents), encoding="utf-8")
    queries.write_text('1\t水壶\n2\t"kettle\n', encoding="utf-8")
    qrels.write_bytes(b"1\t0\td1\t1\n2\t0\td2\t1\n")
    return Sample(
        reader=READERS.get("trec")(corpus=(corpus,), queries=(queries,), qrels={"dev": qrels}),
        files=(
            SampleFile(
                path=corpus,
                add=appending(lambda text: b'{"_id": "d9", "title": ' + as_json(text) + b', "text": ""}\n'),
                ragged=b'{"_id": "d8", \n',
            ),
            SampleFile(path=queries, add=appending(tabbed), ragged=b"8\ta\tb\n"),
            SampleFile(path=qrels, ragged=b"1\t0\td1\n"),
        ),
        counts={"products": 2, "queries": 2, "judgments": 2},
    )


def icecat(folder: Path) -> Sample:
    """A zipped JSON array and a CSV of ratings."""
    first: dict[str, object] = {
        "id": "1",
        "name": "X",
        "title": "Xerox X",
        "short_description": "Toner",
        "ean": ["0095"],
        "supplier": "Xerox",
    }
    first |= {"img_500x500": "http://images/1.jpg", "price": 3395, "attr_t_colour": "Black", "attr_b_wi_fi": True}
    second = {"id": "2", "title": "HP Notebook", "supplier": "HP", "price": 10995, "attr_n_display_diagonal": 17.0}
    catalogue = zipped(folder / "1.json.zip", "1.json", json.dumps([first, second], indent=1).encode())
    ratings = folder / "rated.csv"
    ratings.write_bytes(b"query,docid,rating\nlaptop,1,0\nlaptop,2,3\n")
    array = SampleFile(
        path=catalogue,
        add=appending(lambda text: b'{"id": "9", "title": ' + as_json(text) + b"}", into_array),
        ragged=b"17",
        plain=False,
        join=into_array,
    )
    rated = SampleFile(
        path=ratings,
        add=appending(lambda text: quoted(text) + b",1,2\n"),
        ragged=b"laptop,1\n",
    )
    return Sample(
        reader=READERS.get("icecat")(path=catalogue, ratings=(ratings,)),
        files=(array, rated),
        counts={"products": 2, "queries": 1, "judgments": 2},
    )


def columns(folder: Path) -> Sample:
    """JSON lines, CSV and TSV under a shop's own names."""
    catalogue, searches, grades = (folder / name for name in ("catalogue.jsonl", "searches.csv", "grades.tsv"))
    products = [
        {"sku": "1", "name": "红色马克杯", "path": "家居 > 杯子", "eur": 9.5, "colour": "红"},
        {"sku": "2", "name": "Blue mug", "path": "Home > Mugs", "eur": "8", "colour": None},
    ]
    catalogue.write_text("".join(json.dumps(p, ensure_ascii=False) + "\n" for p in products), encoding="utf-8")
    searches.write_text("words,times\n马克杯,12\nmug,3\n", encoding="utf-8")
    grades.write_text("words\tsku\tgrade\n马克杯\t1\tgood\nmug\t2\tgood\nmug\t1\tbad\n", encoding="utf-8")
    reader = READERS.get("columns")(
        products={
            "path": catalogue,
            "columns": {"product_id": "sku", "title": "name", "category": "path", "price": "eur"},
            "attributes": ("colour",),
        },
        queries={"path": searches, "columns": {"text": "words", "frequency": "times"}},
        judgments={
            "path": grades,
            "columns": {"query": "words", "product_id": "sku", "label": "grade"},
            "labels": {"good": (1, 1), "bad": (0, 0)},
        },
    )
    product = SampleFile(
        path=catalogue,
        add=appending(lambda text: b'{"sku": "9", "name": ' + as_json(text) + b"}\n"),
        ragged=b"[1, 2]\n",
    )
    search = SampleFile(
        path=searches,
        add=appending(lambda text: quoted(text) + b",1\n"),
        ragged=b"a,1,2\n",
    )
    return Sample(
        reader=reader,
        files=(product, search, SampleFile(path=grades, ragged=b"mug\n")),
        counts={"products": 2, "queries": 2, "judgments": 3},
    )


SAMPLES: Mapping[str, Callable[[Path], Sample]] = {
    **EVENT_SAMPLES,
    **IMAGE_SAMPLES,
    "columns": columns,
    "esci": esci,
    "homedepot": homedepot,
    "icecat": icecat,
    "trec": trec,
    "wands": wands,
}
