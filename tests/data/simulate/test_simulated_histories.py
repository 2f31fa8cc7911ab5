"""Histories of the simulated shop: long enough, and what comes next follows from what was there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shopstill.data.histories import AttributeConfig, HistoryConfig, item_attributes, leave_one_out, read_histories
from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, simulate

SETTINGS = Simulate(products=2_000, queries=400, shoppers=2_000, events=60_000, impressions=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return simulate(SETTINGS, tmp_path_factory.mktemp("histories"))


def test_events_without_impressions(shop: Shop) -> None:
    kinds = shop.read("events", ["kind"])["kind"].value_counts().to_pylist()
    assert {row["values"] for row in kinds} == {"click", "cart", "purchase"}
    assert abs(shop.count("events") - SETTINGS.events) <= 0.15 * SETTINGS.events


def test_impressions_change_no_visit(tmp_path: Path) -> None:
    """The first visits of a shopper are the same with and without them."""
    some = Simulate(products=200, queries=20, shoppers=1, events=400)
    bare = Simulate(products=200, queries=20, shoppers=1, events=60, impressions=False)
    with_all, without = (simulate(config, tmp_path / str(n)).read("events") for n, config in enumerate((some, bare)))
    acted = [row for row in with_all.to_pylist() if row["kind"] != "impression"]
    left = without.to_pylist()
    assert len(acted) > 20
    assert acted[:20] == left[:20]


def test_histories_are_long_and_can_be_learnt(shop: Shop) -> None:
    """What others took up next is far ahead of what is popular."""
    histories = read_histories(shop, HistoryConfig(repeats="first"))
    assert len(histories) > 1_500
    assert np.median(histories.lengths()) >= 10
    assert len(item_attributes(shop, histories, AttributeConfig()).names) > 100
    parts = leave_one_out(histories)
    popular = np.bincount(parts.train.target_N, minlength=histories.items + 1) / len(parts.train)
    after = np.zeros((histories.items + 1, histories.items + 1), np.float32)
    before = histories.item_E[histories.start_U[parts.train.shopper_N] + parts.train.upto_N - 1]
    np.add.at(after, (before, parts.train.target_N), 1)

    def hit_rate(score: Callable[[np.ndarray], np.ndarray]) -> float:
        hits = []
        for shopper, upto, target in zip(parts.test.shopper_N, parts.test.upto_N, parts.test.target_N, strict=True):
            history = histories.history(shopper)[:upto]
            scores = score(history)
            scores[history], scores[0] = -1, -1
            hits.append((scores > scores[target]).sum() < 10 and scores[target] > 0)
        return float(np.mean(hits))

    most = hit_rate(lambda history: popular.copy())
    markov = hit_rate(lambda history: after[history[-1]] + popular)
    assert most < 0.05
    assert markov > 4 * most
