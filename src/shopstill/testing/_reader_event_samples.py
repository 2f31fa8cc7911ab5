"""A tiny shop in each format of interactions exactly as its publisher gives it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from shopstill.data.readers import READERS
from shopstill.testing._reader_kit import Sample, SampleFile, appending, as_json, into_object, tabbed, unbroken


def s3rec(folder: Path) -> Sample:
    """A line a shopper, then SASRec's line an event; attributes beside it."""
    sequences, attributes = folder / "Mugs.txt", folder / "Mugs_item2attributes.json"
    sequences.write_bytes(b"1 11 12 13\n2 12 11\n3 13\n3 11\n")
    attributes.write_bytes(b'{"11": [1, 2], "12": [], "14": [2]}')
    return Sample(
        reader=READERS.get("s3rec")(path=sequences, attributes=attributes),
        files=(
            SampleFile(path=sequences, add=appending(lambda text: b"9 " + text + b"\n"), ragged=b"8\n"),
            SampleFile(path=attributes, ragged=b', "15": 3}', join=into_object),
        ),
        counts={"products": 4, "events": 7, "edges": 3},
    )


def recbole(folder: Path) -> Sample:
    """Five atomic files; the one of users is not read."""
    inter, item, kg, link = (folder / f"mugs.{ending}" for ending in ("inter", "item", "kg", "link"))
    inter.write_bytes(
        b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        b"1\t11\t4\t881250949\n1\t12\t3\t881250950\n2\t14\t5\t891717742\n"
    )
    item.write_bytes(
        b"item_id:token\titem_name:token_seq\tyear:token\tclass:token_seq\tprice:float\n"
        b'11\tRed "mug\t1995\tMugs Gifts\t9.5\n12\tBlue mug\t\tMugs\t\n'
    )
    (folder / "mugs.user").write_bytes(b"user_id:token\tage:token\n1\t24\n2\t53\n")
    kg.write_bytes(b"head_id:token\trelation_id:token\ttail_id:token\nm.11\tmade.by\tm.99\n")
    link.write_bytes(b"item_id:token\tentity_id:token\n11\tm.11\n")
    return Sample(
        reader=READERS.get("recbole")(path=folder, name="mugs", files=("item", "kg", "link")),
        files=(
            SampleFile(path=inter, add=appending(lambda text: tabbed(text)[:-1] + b"\t3\t881250951\n"), ragged=b"1\n"),
            SampleFile(
                path=item,
                add=appending(lambda text: unbroken(text, b"\t") + b"\tGreen mug\t\t\t\n"),
                ragged=b"15\tGrey mug\n",
            ),
            SampleFile(path=kg, ragged=b"m.11\tmade.by\n"),
            SampleFile(path=link),
        ),
        counts={"products": 3, "events": 3, "edges": 4},
    )


def taobao(folder: Path) -> Sample:
    """Events without a header."""
    path = folder / "UserBehavior.csv"
    path.write_bytes(
        b"1,2268318,2520377,pv,1511544070\n1,2268318,2520377,buy,1511561733\n100,2333346,2520771,fav,1511572885\n"
    )
    file = SampleFile(
        path=path,
        add=appending(lambda text: b"9," + unbroken(text, b",") + b",2520771,cart,1511572886\n"),
        ragged=b"1,2268318,2520377,pv\n",
    )
    return Sample(reader=READERS.get("taobao")(path=path), files=(file,), counts={"products": 2, "events": 3})


def amazon(folder: Path) -> Sample:
    """Gzipped reviews, plain products."""
    reviews, products = folder / "Mugs.jsonl.gz", folder / "meta_Mugs.jsonl"
    rows = [_review("U1", "B1", 1588687728923), _review("U1", "B2", 1588615855070), _review("U2", "B9", 1589665266052)]
    reviews.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    meta: list[dict[str, object]] = [
        {"main_category": "Home", "title": "Red mug", "average_rating": 4.8, "rating_number": 10, "features": []},
        {"main_category": "Home", "title": "Blue mug", "features": ["blue"], "description": ["A mug.", "Blue."]},
    ]
    meta[0] |= {"price": None, "images": [], "store": "Acme", "categories": [], "details": {"Colour": "red"}}
    meta[1] |= {"price": 9.99, "categories": ["Home", "Mugs"], "details": {"Best Sellers Rank": {"Home": 7}}}
    meta[1] |= {"images": [{"thumb": "http://t.jpg", "large": "http://l.jpg", "variant": "MAIN", "hi_res": None}]}
    lines = [json.dumps({**row, "parent_asin": f"B{n}"}) + "\n" for n, row in enumerate(meta, start=1)]
    products.write_text("".join(lines), encoding="utf-8")
    return Sample(
        reader=READERS.get("amazon")(reviews=(reviews,), products=(products,)),
        files=(
            SampleFile(path=reviews, plain=False),
            SampleFile(
                path=products,
                add=appending(lambda text: b'{"title": "Green mug", "parent_asin": ' + as_json(text) + b"}\n"),
                ragged=b"[1]\n",
            ),
        ),
        counts={"products": 3, "events": 3},
    )


def _review(user: str, product: str, milliseconds: int) -> dict[str, object]:
    said: dict[str, object] = {
        "rating": 5.0,
        "title": "Good",
        "text": "Holds coffee",
        "images": [],
        "asin": f"{product}X",
    }
    told = {"parent_asin": product, "user_id": user, "timestamp": milliseconds, "verified_purchase": True}
    return said | told | {"asin": f"{product}X"}


EVENT_SAMPLES: Mapping[str, Callable[[Path], Sample]] = {
    "amazon": amazon,
    "recbole": recbole,
    "s3rec": s3rec,
    "taobao": taobao,
}
