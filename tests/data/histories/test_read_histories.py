"""From events to histories: what counts, in which order, and what the k-core leaves."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shopstill.core.config import build
from shopstill.core.errors import ConfigError, DataError
from shopstill.data.histories import Histories, HistoryConfig, read_histories
from shopstill.data.shop import Shop


def named(histories: Histories) -> dict[str, list[str]]:
    ids = histories.item_ids.to_pylist()
    who = histories.shopper_ids.to_pylist()
    return {who[u]: [ids[i - 1] for i in histories.history(u)] for u in range(len(histories))}


def test_by_time_and_ties_in_the_order_of_the_file(shop_of: Callable[..., Shop]) -> None:
    rows = [
        ("b", "x", "click", 9),
        ("a", "y", "click", 5),
        ("b", "z", "click", 3),
        ("a", "x", "click", 5),
        ("a", "z", "impression", 1),
        ("b", "y", "purchase", 9),
    ]
    found = read_histories(shop_of(rows), HistoryConfig(core=1))
    assert named(found) == {"b": ["z", "x", "y"], "a": ["y", "x"]}
    assert (found.item_E.dtype, found.start_U.dtype, found.time_E.dtype) == (np.int32, np.int64, np.int64)
    assert np.diff(found.time_E[:3]).tolist() == [6, 0]
    bought = read_histories(shop_of(rows), HistoryConfig(core=1, kinds=("purchase",)))
    assert named(bought) == {"b": ["y"]}
    assert bought.item_ids.to_pylist() == ["y"]


@pytest.mark.parametrize(("repeats", "expected"), [("keep", "xxyxx"), ("merge", "xyx"), ("first", "xy")])
def test_repeats(shop_of: Callable[..., Shop], repeats: str, expected: str) -> None:
    shop = shop_of([("a", item, "click", at) for at, item in enumerate("xxyxx")])
    assert named(read_histories(shop, HistoryConfig(core=1, repeats=repeats))) == {"a": list(expected)}


def test_what_the_core_takes_away_brings_repeats_together(shop_of: Callable[..., Shop]) -> None:
    rows = [("a", item, "click", at) for at, item in enumerate("xyxyzxy")]
    rows += [("b", item, "click", at) for at, item in enumerate("xqx")]
    rows += [("c", item, "click", at) for at, item in enumerate("xyx")]
    found = read_histories(shop_of(rows), HistoryConfig(core=2))
    # q is rare; without it b took up x once, which is too little.
    assert named(found) == {"a": list("xyxyxy"), "c": list("xyx")}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pairs=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=80),
    core=st.integers(1, 4),
)
def test_the_core_is_the_one_found_by_hand(shop_of: Callable[..., Shop], pairs: list, core: int) -> None:
    rows = [(f"u{u}", f"i{i}", "click", t) for u, i, t in pairs]
    left = list(rows)
    while True:
        users, items = Counter(r[0] for r in left), Counter(r[1] for r in left)
        kept = [r for r in left if users[r[0]] >= core and items[r[1]] >= core]
        if len(kept) == len(left):
            break
        left = kept
    expected: dict[str, list[str]] = {}
    for row in sorted(left, key=lambda r: r[3]):
        expected.setdefault(row[0], []).append(row[1])
    asked = HistoryConfig(core=core, repeats="keep")
    if not expected:
        with pytest.raises(DataError, match=f"{core}-core"):
            read_histories(shop_of(rows), asked)
        return
    assert named(read_histories(shop_of(rows), asked)) == expected


def test_pieces_do_not_show(shop_of: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{i}", "click", int(t)) for u, i, t in rng.integers(0, 30, (600, 3))]
    shop = shop_of(rows)
    whole = read_histories(shop, HistoryConfig(core=3))
    monkeypatch.setattr("shopstill.data.histories.read._ROWS", 17)
    pieces = read_histories(shop, HistoryConfig(core=3))
    assert whole.item_ids.equals(pieces.item_ids)
    assert whole.shopper_ids.equals(pieces.shopper_ids)
    for name in ("item_E", "start_U", "time_E"):
        assert np.array_equal(getattr(whole, name), getattr(pieces, name)), name


def test_what_is_missing_is_said(shop_of: Callable[..., Shop]) -> None:
    with pytest.raises(DataError, match=r"^the shop has no events, and histories"):
        read_histories(shop_of([], products=[{"product_id": "1", "title": "mug"}]), HistoryConfig())
    clicked = shop_of([("a", "x", "click", 1), ("a", "x", "impression", 1)])
    with pytest.raises(DataError, match="its events are of click, impression: set kinds"):
        read_histories(clicked, HistoryConfig(kinds=("purchase",)))
    for values in ({"kinds": ["buy"]}, {"kinds": []}, {"core": 0}, {"repeats": "drop"}):
        with pytest.raises(ConfigError):
            build(HistoryConfig, values)


def test_take_and_window(some: Callable[..., Histories]) -> None:
    all_of = some([(1, 0), (2, 1), (3, 2)], [(3, 0)], [(2, 0), (1, 4)])
    two = all_of.take(np.array([2, 0]))
    assert [two.history(u).tolist() for u in range(2)] == [[2, 1], [1, 2, 3]]
    assert two.shopper_ids.to_pylist() == ["u2", "u0"]
    assert two.lengths().tolist() == [2, 3]
    assert all_of.window(np.array([0, 1, 2, 0]), np.array([3, 1, 1, 0]), 2).tolist() == [[2, 3], [0, 3], [0, 2], [0, 0]]
    assert len(all_of.take(np.empty(0, np.int64))) == 0


_MEASURE = """
import resource, sys
from shopstill.data.shop import Shop
from shopstill.data.histories import HistoryConfig, leave_one_out, read_histories
shop = Shop(sys.argv[1])
shop.read("products", ["product_id"])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
histories = read_histories(shop, HistoryConfig(core=2, repeats="keep"))
parts = leave_one_out(histories)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, len(histories.item_E), len(parts.train))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is counted in other units elsewhere")
def test_memory_is_some_hundred_bytes_an_event(tmp_path: Path) -> None:
    """A million events of a hundred thousand shoppers and items, in no order at all."""
    from shopstill.data.simulate.products import numbered

    rng = np.random.default_rng(0)
    _write_many(tmp_path, rng.integers(0, 100_000, (1_000_000, 2)), numbered)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path)], capture_output=True, text=True, check=True, timeout=300
    )
    kilobytes, events, train = map(int, done.stdout.split())
    assert events > 990_000
    assert train > 0.6 * events
    assert kilobytes * 1024 < 250 * events


def _write_many(folder: Path, pairs: np.ndarray, numbered: Callable) -> None:
    import pyarrow as pa

    from shopstill.data.shop import ShopWriter

    with ShopWriter(folder) as writer:
        ids = numbered("p", np.arange(100_000), 7)
        writer.write("products", pa.table({"product_id": ids, "title": ids}))
        who, what = numbered("u", pairs[:, 0], 7), numbered("p", pairs[:, 1], 7)
        kind, time = pa.array(["click"] * len(pairs)), pa.array(np.arange(len(pairs))[::-1].copy(), pa.timestamp("ms"))
        writer.write("events", pa.table({"shopper_id": who, "product_id": what, "kind": kind, "time": time}))
