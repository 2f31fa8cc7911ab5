"""Shoppers: what they see decides what they click, what they like what they buy, what they bought what comes next."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, make_truth
from shopstill.data.simulate.catalogue import Truth, tier
from shopstill.data.simulate.sessions import EXAMINATION
from shopstill.data.simulate.shoppers import draw_shoppers, taste


@pytest.fixture(scope="module")
def events(english: Shop) -> pa.Table:
    return english.read("events")


@pytest.fixture(scope="module")
def truth(settings: dict[str, Simulate]) -> Truth:
    return make_truth(settings["en"])


def test_clicks_fall_with_the_position(events: pa.Table) -> None:
    shown, clicked = _counts(events, "impression"), _counts(events, "click")
    rate = clicked / shown
    assert rate[0] > 2.5 * rate[7:].mean()
    assert np.corrcoef(rate, EXAMINATION)[0, 1] > 0.9


def test_a_position_alone_makes_the_difference(events: pa.Table, truth: Truth) -> None:
    """The same product is clicked more often when it stands at the top."""
    rows = events.to_pylist()
    top, bottom = defaultdict(list), defaultdict(list)
    clicked = {(r["session_id"], r["product_id"]) for r in rows if r["kind"] == "click"}
    for row in rows:
        if row["kind"] == "impression":
            place = top if row["position"] <= 2 else bottom if row["position"] >= 6 else None
            if place is not None:
                place[row["product_id"]].append((row["session_id"], row["product_id"]) in clicked)
    both = top.keys() & bottom.keys()
    assert np.mean([np.mean(top[p]) for p in both]) > 1.5 * np.mean([np.mean(bottom[p]) for p in both])


def test_every_step_needs_the_one_before(events: pa.Table) -> None:
    kinds = ("impression", "click", "cart", "purchase")
    reached = {
        kind: {(r["session_id"], r["product_id"]) for r in events.to_pylist() if r["kind"] == kind} for kind in kinds
    }
    for earlier, later in pairwise(kinds):
        assert reached[later] < reached[earlier]
    assert len(reached["purchase"]) > 0.01 * len(reached["impression"])


def test_shoppers_buy_what_they_like(events: pa.Table, truth: Truth, settings: dict[str, Simulate]) -> None:
    people = draw_shoppers(truth, settings["en"].shoppers, 1_000)
    liked = {}
    for kind in ("impression", "purchase"):
        rows = [r for r in events.to_pylist() if r["kind"] == kind]
        who = np.array([int(r["shopper_id"][1:]) for r in rows])
        what = np.array([int(r["product_id"][1:]) for r in rows])
        liked[kind] = taste(truth, people.take(who), what[:, None]).mean()
    assert liked["purchase"] > liked["impression"] + 1
    assert set(np.unique(tier(truth.catalogue.brand))) == set(range(5))


def test_purchases_follow_purchases(events: pa.Table, truth: Truth) -> None:
    """What goes with the last purchase is bought next far more often than chance has it."""
    kinds: dict[str, list[int]] = defaultdict(list)
    for row in events.to_pylist():
        if row["kind"] == "purchase":
            kinds[row["shopper_id"]].append(int(truth.catalogue.type[int(row["product_id"][1:])]))
    follows = [later in truth.world.next[earlier] for own in kinds.values() for earlier, later in pairwise(own)]
    assert len(follows) > 100
    assert np.mean(follows) > 0.15  # by chance 2 of 132 types


def test_rows_are_in_order_of_shopper_and_time(events: pa.Table) -> None:
    rows = [(r["shopper_id"], r["time"]) for r in events.to_pylist()]
    assert rows == sorted(rows)
    sessions = defaultdict(set)
    for row in events.to_pylist():
        sessions[row["session_id"]].add((row["shopper_id"], row["query_id"]))
    assert all(len(of) == 1 for of in sessions.values())


def _counts(events: pa.Table, kind: str) -> np.ndarray:
    positions = [r["position"] for r in events.select(["kind", "position"]).to_pylist() if r["kind"] == kind]
    return np.bincount(positions, minlength=11)[1:]
