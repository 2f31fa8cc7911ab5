"""The shop as a whole: what it holds, that it repeats, that it stays small in memory."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from shopstill.core.config import build
from shopstill.core.errors import ConfigError
from shopstill.core.fingerprint import source_fingerprint
from shopstill.data.shop import Shop, ShopWriter
from shopstill.data.simulate import Simulate, simulate
from shopstill.data.simulate.draws import Draws

SMALL = Simulate(products=120, queries=20, shoppers=10, events=600, images=True)


def test_counts_are_as_asked(shops: dict[str, Shop], settings: dict[str, Simulate]) -> None:
    for name, shop in shops.items():
        asked = settings[name]
        assert shop.count("products") == asked.products
        assert shop.count("queries") == asked.queries
        assert shop.count("judgments") == asked.queries * asked.judged_per_query
        assert abs(shop.count("events") - asked.events) <= 0.15 * asked.events
        assert shop.count("edges") > 3 * asked.products


def test_ids_are_unique_and_known(shops: dict[str, Shop]) -> None:
    for shop in shops.values():
        products = set(shop.read("products", ["product_id"])["product_id"].to_pylist())
        queries = shop.read("queries", ["query_id", "text"])
        assert len(products) == shop.count("products")
        assert len(set(queries["query_id"].to_pylist())) == len(set(queries["text"].to_pylist())) == len(queries)
        judged = shop.read("judgments", ["query_id", "product_id"]).to_pylist()
        assert len({(row["query_id"], row["product_id"]) for row in judged}) == len(judged)
        assert {row["product_id"] for row in judged} <= products
        assert {row["query_id"] for row in judged} == set(queries["query_id"].to_pylist())


def test_same_seed_same_bytes_another_seed_another_shop(tmp_path: Path) -> None:
    first, second = (simulate(SMALL, tmp_path / name) for name in ("a", "b"))
    other = simulate(Simulate(products=120, queries=20, shoppers=10, events=600, images=True, seed=1), tmp_path / "c")
    assert first.fingerprint == second.fingerprint != other.fingerprint
    assert source_fingerprint(tmp_path / "a") == source_fingerprint(tmp_path / "b")
    pictures = [source_fingerprint(tmp_path / name / "images") for name in ("a", "c")]
    assert pictures[0] != pictures[1]


def test_pieces_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulate(SMALL, tmp_path / "whole")
    monkeypatch.setattr("shopstill.data.simulate.write._PRODUCTS", 7)
    monkeypatch.setattr("shopstill.data.simulate.write._PAIRS", 41)
    monkeypatch.setattr("shopstill.data.simulate.events._ROWS_PER_PIECE", 50)
    pieces = simulate(SMALL, tmp_path / "pieces")
    for table in ("products", "queries", "judgments", "events"):
        assert whole.read(table).equals(pieces.read(table)), table
    assert Counter(map(str, whole.read("edges").to_pylist())) == Counter(map(str, pieces.read("edges").to_pylist()))


@pytest.mark.parametrize("languages", [("en",), ("zh",), ("en", "zh")])
def test_smallest_shop(folder: Path, languages: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> None:
    shop = simulate(build(Simulate, {"products": 100, "queries": 50, "languages": languages, "events": 30}), folder)
    assert shop.count("products") == 100
    assert shop.count("queries") == 50
    types = Counter(path[-1] for path in shop.read("products")["category"].to_pylist())
    assert len(types) >= 8
    assert not caplog.records


def test_a_shop_without_events_has_no_events(folder: Path) -> None:
    shop = simulate(Simulate(products=100, queries=5, events=0), folder)
    assert shop.tables == ["products", "queries", "judgments", "edges"]
    assert "also_bought" not in set(shop.read("edges")["relation"].to_pylist())


def test_more_judged_than_there_are_products(folder: Path) -> None:
    shop = simulate(Simulate(products=100, queries=4, judged_per_query=200, events=0), folder)
    assert shop.count("judgments") <= 400


def test_languages_are_mixed_and_queries_meet_products_of_their_own(shops: dict[str, Shop]) -> None:
    shop = shops["both"]
    products = shop.read("products", ["product_id", "language", "title"]).to_pylist()
    share = np.mean([row["language"] == "zh" for row in products])
    assert 0.4 < share < 0.6
    assert all(any("\u4e00" <= c <= "\u9fff" for c in row["title"]) == (row["language"] == "zh") for row in products)
    spoken = {row["product_id"]: row["language"] for row in products}
    asked = {row["query_id"]: row["language"] for row in shop.read("queries").to_pylist()}
    assert set(asked.values()) == {"en", "zh"}
    for row in shop.read("judgments").to_pylist():
        assert asked[row["query_id"]] == spoken[row["product_id"]]


def test_rows_look_like_a_shop(english: Shop) -> None:
    rows = english.read("products").to_pylist()
    assert all(row["title"] and row["title"] == row["title"].strip() for row in rows)
    assert all("{" not in row["title"] + (row["description"] or "") for row in rows)
    assert {len(row["category"]) for row in rows} == {3}
    assert min(row["price"] for row in rows) > 0
    assert 0.05 < np.mean([row["description"] is None for row in rows]) < 0.4
    complete = np.mean([len(row["attributes"]) for row in rows])
    assert 1 < complete < 6
    assert len({row["title"] for row in rows}) > 0.98 * len(rows)


def test_queries_have_heads_and_tails(english: Shop) -> None:
    frequency = np.sort(english.read("queries")["frequency"].to_numpy())[::-1]
    assert frequency.min() == 1
    assert frequency[: len(frequency) // 10].sum() > 0.4 * frequency.sum()


def test_edges_hold_attributes_and_purchases(english: Shop) -> None:
    edges = english.read("edges")
    relations = set(edges["relation"].to_pylist())
    assert {"is_a", "made_by", "has_colour", "has_material", "goes_with", "also_bought"} <= relations
    bought = edges.filter(pc.equal(edges["relation"], "also_bought")).to_pylist()
    assert all(row["source"] != row["target"] for row in bought)


def test_memory_does_not_grow_with_the_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are handed on piece by piece: what Arrow holds while a piece is written is that piece."""
    monkeypatch.setattr("shopstill.data.simulate.write._PRODUCTS", 1_000)
    monkeypatch.setattr("shopstill.data.simulate.write._PAIRS", 1_000)
    monkeypatch.setattr("shopstill.data.simulate.events._ROWS_PER_PIECE", 2_000)
    held: list[int] = []

    def write(self: ShopWriter, table: str, rows: pa.Table) -> None:
        held.append(pa.total_allocated_bytes())
        append(self, table, rows)

    append = ShopWriter.write
    monkeypatch.setattr(ShopWriter, "write", write)
    peaks = []
    for size in (2_000, 16_000):
        held.clear()
        simulate(Simulate(products=size, queries=size // 20, shoppers=size // 20, events=size), tmp_path / str(size))
        peaks.append(max(held) - held[0])
    assert 0 < peaks[1] < 2 * peaks[0]


def test_bad_settings_are_refused() -> None:
    for values in ({"products": 99}, {"languages": ["fr"]}, {"languages": []}, {"noise": 1.5}, {"images": -1}):
        with pytest.raises(ConfigError):
            build(Simulate, values)


def test_random_bits_are_the_same_everywhere() -> None:
    bits = Draws(3).bits("pin", np.arange(1_000))
    assert hashlib.sha256(bits.astype("<u8").tobytes()).hexdigest()[:16] == "5bebe6386a513681"
