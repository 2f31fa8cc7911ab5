"""Vectors that tables of codes start near, where there are too many items or events for the usual way."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from shopstill.data.centroids import assign, centroids
from shopstill.data.histories import Histories, Parts, leave_one_out
from shopstill.data.histories.table import offsets
from shopstill.tasks import _starts

ITEMS, GROUPS, SHOPPERS, LENGTH = 60, 6, 200, 12


@pytest.fixture(scope="module")
def taken() -> tuple[Histories, Parts]:
    """Each shopper takes up items of one group, whose sizes differ, so that groups are what vectors are made of."""
    draw = np.random.default_rng(0)
    group_U = draw.choice(GROUPS, SHOPPERS, p=np.arange(1, GROUPS + 1) / 21)
    item_E = (group_U[:, None] + GROUPS * draw.integers(ITEMS // GROUPS, size=(SHOPPERS, LENGTH))).ravel() + 1
    histories = Histories(
        item_ids=pa.array([str(item) for item in range(ITEMS)]),
        shopper_ids=pa.array([str(shopper) for shopper in range(SHOPPERS)]),
        item_E=item_E.astype(np.int32),
        start_U=offsets(np.full(SHOPPERS, LENGTH)),
        time_E=np.arange(len(item_E)),
    )
    return histories, leave_one_out(histories)


def _likeness(vectors: torch.Tensor) -> torch.Tensor:
    near = vectors @ vectors.T
    return near[~torch.eye(ITEMS, dtype=torch.bool)]


@pytest.mark.parametrize(("name", "value"), [("_MANY", 0), ("_EVENTS", SHOPPERS * LENGTH // 2)])
def test_vectors_by_chance_tell_the_same_items_apart(
    taken: tuple[Histories, Parts], name: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = _starts.of_shoppers(*taken, GROUPS)
    monkeypatch.setattr(_starts, name, value)
    found = _starts.of_shoppers(*taken, GROUPS)
    assert found.shape == usual.shape == (ITEMS, GROUPS)
    assert found.dtype == torch.float32
    alike = torch.corrcoef(torch.stack([_likeness(found), _likeness(usual)]))[0, 1]
    assert alike > 0.8
    assert torch.equal(found, _starts.of_shoppers(*taken, GROUPS)), "the same again"


def test_centroids_of_many_points_are_those_of_some(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    points = (draw.integers(4, size=(4000, 1)) * 10 + draw.normal(size=(4000, 2))).astype(np.float32)
    whole = centroids(points, 8, 0)
    monkeypatch.setattr("shopstill.data.centroids._LEAST", 0)
    monkeypatch.setattr("shopstill.data.centroids._EACH", 100)
    some = centroids(points, 8, 0)

    def error(means: np.ndarray) -> float:
        return float(np.square(points - means[assign(points, means)]).mean())

    assert not np.array_equal(some, whole)
    assert error(some) < 1.5 * error(whole)
