"""Sequences in the form of SASRec and S3-Rec."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shopstill.core.errors import DataError
from shopstill.data.histories import HistoryConfig, item_attributes, leave_one_out, read_histories
from shopstill.data.ingest import ingest
from shopstill.data.readers import s3rec
from shopstill.data.readers.s3rec import S3Rec
from shopstill.data.shop import Shop


def taken(path: Path, tmp_path: Path, **options: object) -> tuple[Shop, list[dict]]:
    ingest(S3Rec(path=path, **options).read(), tmp_path / "out")
    return Shop(tmp_path / "out" / "shop"), pq.read_table(tmp_path / "out" / "rejected.parquet").to_pylist()


def histories(shop: Shop) -> dict[str, list[str]]:
    rows = shop.read("events").to_pylist()
    found: dict[str, list[tuple]] = {}
    for row in rows:
        found.setdefault(row["shopper_id"], []).append((row["time"], row["product_id"]))
    return {user: [item for _, item in sorted(events)] for user, events in found.items()}


def test_a_line_a_user_and_a_line_an_event_are_the_same(tmp_path: Path) -> None:
    lines, pairs = tmp_path / "lines.txt", tmp_path / "pairs.txt"
    lines.write_text("7 3 1 2\n8 2 3\n")
    pairs.write_text("7 3\n8 2\n7 1\n\n7 2\n8 3\n")
    first, second = (taken(path, tmp_path / path.stem)[0] for path in (lines, pairs))
    assert histories(first) == histories(second) == {"7": ["3", "1", "2"], "8": ["2", "3"]}
    row = first.read("events").to_pylist()[1]
    assert (row["kind"], row["time"].microsecond, row["time"].year) == ("purchase", 2_000, 1970)


def test_pieces_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"{user} {' '.join(map(str, range(user, user + 5)))}\n" for user in range(20)))
    whole, _ = taken(path, tmp_path / "whole")
    monkeypatch.setattr("shopstill.data.readers.s3rec._ROWS", 7)
    pieces, _ = taken(path, tmp_path / "pieces")
    assert whole.fingerprint == pieces.fingerprint


def test_attributes_become_edges(tmp_path: Path) -> None:
    path = tmp_path / "Mugs.txt"
    path.write_text("1 11 12\n")
    (tmp_path / "Mugs_item2attributes.json").write_text('{"11": [4, 5, 4], "13": ["x"], "12": {"a": 1}}')
    shop, rejects = taken(path, tmp_path)
    assert [(e["source"], e["relation"], e["target"]) for e in shop.read("edges").to_pylist()] == [
        ("11", "has_attribute", "attribute:4"),
        ("11", "has_attribute", "attribute:5"),
        ("13", "has_attribute", "attribute:x"),
    ]
    assert [p["title"] for p in shop.read("products").to_pylist()] == ["11", "12", "13"]
    assert [(r["line"], r["table"], r["field"], r["value"]) for r in rejects] == [(3, "edges", "target", '{"a": 1}')]
    assert S3Rec(path=path).sources() == [path, tmp_path / "Mugs_item2attributes.json"]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"1 11 12\n2\n3 caf\xe9 11\n")
    _, rejects = taken(path, tmp_path)
    assert [(r["line"], r["field"], r["value"]) for r in rejects] == [
        (2, "product_id", "2"),
        (3, "product_id", "caf\\udce9"),
    ]
    facts = tmp_path / "b.json"
    for content in ("[1]", "{", "1\t2\n"):
        facts.write_text(content)
        with pytest.raises(DataError, match=r"b\.json"):
            list(S3Rec(path=path, attributes=facts).read())
    with pytest.raises(DataError, match=r"gone\.json"):
        list(S3Rec(path=path, attributes=tmp_path / "gone.json").read())


def test_the_reader_is_registered() -> None:
    assert s3rec.s3rec is S3Rec


@pytest.mark.parametrize(
    ("name", "users", "items", "events"),
    [("Beauty", 22_363, 12_101, 198_502), ("Toys_and_Games", 19_412, 11_924, 167_597)],
)
def test_real_sequences(real, tmp_path: Path, name: str, users: int, items: int, events: int) -> None:
    path = real(f"s3rec/{name}.txt")
    report = ingest(S3Rec(path=path).read(), tmp_path, strict=True)
    assert (report.kept["products"], report.kept["events"]) == (items, events)
    shop = Shop(tmp_path / "shop")
    found = read_histories(shop, HistoryConfig(kinds=("purchase",)))
    assert (len(found), found.items, len(found.item_E)) == (users, items, events), "published as a 5-core"
    first, last = path.read_text().splitlines()[0].split(), path.read_text().splitlines()[-1].split()
    assert [found.item_ids[int(i) - 1].as_py() for i in found.history(0)] == first[1:]
    assert [found.item_ids[int(i) - 1].as_py() for i in found.history(users - 1)] == last[1:]
    parts = leave_one_out(found)
    assert (len(parts.valid), len(parts.test)) == (users, users)
    assert len(parts.train) == events - 3 * users
    known = item_attributes(shop, found)
    assert len(known.names) > 500
    assert (known.start_I[2:] > known.start_I[1:-1]).mean() > 0.9
