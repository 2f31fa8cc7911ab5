"""Schedules: whole groups, every row once, the same under a seed; objectives; scores of many rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shopstill.core.errors import ConfigError
from shopstill.train.batches import Examples, schedule, sorted_chunks
from shopstill.train.objective import Objective
from shopstill.train.predict import predict
from shopstill.types import Batch, Signals, Term

from .conftest import Net, Numbers

GROUPS = st.lists(st.integers(0, 12), min_size=1, max_size=60).map(np.array)


@settings(deadline=None)
@given(GROUPS, st.integers(1, 20), st.integers(0, 5))
def test_every_row_once_in_whole_groups(group_N: np.ndarray, rows: int, epoch: int) -> None:
    batches = schedule(group_N, rows, seed=1, epoch=epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(group_N)))
    seen: set[int] = set()
    for batch in batches:
        groups = group_N[batch]
        starts = groups[np.concatenate([[True], groups[1:] != groups[:-1]])]
        assert len(starts) == len(set(starts)), "a group's rows are not adjacent"
        assert not seen & set(starts), "a group was torn apart"
        seen |= set(starts)
        assert len(batch) >= 2 or rows == 1 or len(group_N) == 1, "a lonely row"


@given(st.integers(1, 100), st.integers(1, 20))
def test_single_rows_fill_batches_evenly(count: int, rows: int) -> None:
    sizes = [len(batch) for batch in schedule(np.arange(count), rows, seed=0, epoch=0)]
    assert all(size == rows for size in sizes[:-1])
    assert sizes[-1] <= rows + 1


def test_single_rows_take_the_same_order_by_either_route() -> None:
    # One group of two beside many single ones takes the general route; without it, the short one.
    short = schedule(np.arange(50), 8, seed=3, epoch=2)
    general = schedule(np.concatenate([np.arange(50), [50, 50]]), 8, seed=3, epoch=2)
    assert sorted(np.concatenate(short)) == list(range(50))
    assert sorted(np.concatenate(general)) == list(range(52))


def test_a_seed_and_an_epoch_repeat_and_others_differ() -> None:
    group_N = np.repeat(np.arange(30), 3)
    orders = {
        (seed, epoch): np.concatenate(schedule(group_N, 10, seed, epoch)).tolist()
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len({tuple(order) for order in orders.values()}) == 4
    assert np.concatenate(schedule(group_N, 10, 1, 1)).tolist() == orders[1, 1]


def test_a_long_group_is_cut_to_rows_drawn_anew() -> None:
    group_N = np.repeat([0, 1], [100, 3])
    first, second = (np.concatenate(schedule(group_N, 8, 0, epoch, most=6)) for epoch in (0, 1))
    for rows in (first, second):
        assert (group_N[rows] == 0).sum() == 6
        assert (group_N[rows] == 1).sum() == 3
        assert len(set(rows)) == 9
    assert set(first) != set(second)


@given(st.lists(st.integers(0, 50), max_size=40).map(np.array), st.integers(1, 9))
def test_pieces_for_scoring_hold_every_row_dearest_first(cost_N: np.ndarray, rows: int) -> None:
    found = list(sorted_chunks(cost_N, rows))
    order = np.concatenate(found) if found else np.zeros(0, np.int64)
    assert sorted(order) == list(range(len(cost_N)))
    assert all(len(piece) <= rows for piece in found)
    assert (np.diff(cost_N[order]) <= 0).all()


def test_a_batch_brings_truth_teacher_and_weights_along() -> None:
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    examples = Examples(
        feed=Numbers(values),
        target_N=np.array([0, 1, np.nan, 1], np.float32),
        group_N=np.array([0, 0, 1, 1]),
        teacher_N=np.array([5.0, 6, 7, 8]),
        features={"hidden": values * 2},
        weight_N=np.array([1, 2, 3, 4]),
    )
    batch = examples.batch(np.array([2, 0]))
    assert batch.inputs["x_BD"].tolist() == values[[2, 0]].tolist()
    assert torch.isnan(batch.target).tolist() == [True, False]
    assert batch.group.tolist() == [1, 0]
    assert batch.weight is not None
    assert batch.weight.tolist() == [3, 1]
    assert batch.teacher is not None
    assert batch.teacher.logits.tolist() == [7, 5]
    assert batch.teacher.features["hidden"].tolist() == (values[[2, 0]] * 2).tolist()
    with pytest.raises(AssertionError):
        Examples(feed=Numbers(values), target_N=np.zeros(3), group_N=np.arange(4))


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_predictions_are_in_the_order_of_the_rows(rows: int) -> None:
    feed, model = Numbers(np.random.default_rng(0).normal(size=(20, 6))), Net()
    model.train()
    found = predict(model, feed, rows=rows, taps=("hidden",))
    model.eval()
    with torch.inference_mode():
        expected = model(**feed.inputs(np.arange(20)))
    np.testing.assert_allclose(found.logits, expected.logits.numpy(), atol=1e-6)
    np.testing.assert_allclose(found.features["hidden"], expected.features["hidden"].numpy(), atol=1e-6)


def test_predictions_of_nothing_are_nothing() -> None:
    assert predict(Net(), Numbers(np.zeros((0, 6)))).logits.shape == (0,)


def _batch(teacher: bool = True) -> tuple[Signals, Batch]:
    torch.manual_seed(0)
    student = Signals(logits=torch.randn(6, requires_grad=True), features={"hidden": torch.randn(6, 4)})
    held = Signals(logits=torch.randn(6), features={"hidden": torch.randn(6, 3), "wide": torch.randn(6, 9)})
    group = torch.tensor([0, 0, 0, 1, 1, 1])
    return student, Batch(inputs={}, target=torch.rand(6), group=group, teacher=held if teacher else None)


def test_an_objective_is_the_weighted_sum_of_its_losses() -> None:
    from shopstill.losses.bce import bce
    from shopstill.losses.margin_mse import margin_mse

    student, batch = _batch()
    assert batch.teacher is not None
    terms = [Term(loss="bce", weight=0.5), Term(loss="margin_mse", weight=2.0, until=0.5, then=1.0)]
    hard, soft = bce(student.logits, batch.target), margin_mse(student.logits, batch.teacher.logits, batch.group)
    for done, factor in ((0.0, 2.0), (0.25, 1.5), (0.5, 1.0), (1.0, 1.0)):
        total, parts = Objective(terms)(student, batch, done)
        torch.testing.assert_close(total, 0.5 * hard + factor * soft)
        assert parts == {"bce": pytest.approx(hard.item()), "margin_mse": pytest.approx(soft.item())}


def test_an_objective_knows_what_it_needs() -> None:
    hard, soft = Objective([Term(loss="bce")]), Objective([Term(loss="bce"), Term(loss="margin_mse")])
    assert (hard.needs_teacher, hard.grouped) == (False, False)
    assert (soft.needs_teacher, soft.grouped) == (True, True)
    student, batch = _batch(teacher=False)
    with pytest.raises(ConfigError, match="margin_mse compares with a teacher"):
        soft(student, batch)


def test_features_of_another_width_go_through_a_projection() -> None:
    student, batch = _batch()
    assert batch.teacher is not None
    objective = Objective([Term(loss="hint", tap="hidden"), Term(loss="cosine", tap="hidden")])
    objective.build(student, batch.teacher)
    assert objective.projections["hidden"].weight.shape == (3, 4)
    total, parts = objective(student, batch)
    assert set(parts) == {"hint of hidden", "cosine of hidden"}
    total.backward()
    assert objective.projections["hidden"].weight.grad is not None


def test_a_tap_that_is_missing_or_unknown_is_named() -> None:
    student, batch = _batch()
    with pytest.raises(ConfigError, match="hint compares features; name which with 'tap'"):
        Objective([Term(loss="hint")])
    with pytest.raises(ConfigError, match="the student has no feature 'hiden': did you mean 'hidden'"):
        Objective([Term(loss="hint", tap="hiden")])(student, batch)
    with pytest.raises(ConfigError, match="the student has no feature 'wide'"):
        Objective([Term(loss="hint", tap="wide")])(student, batch)
    with pytest.raises(ConfigError, match="unknown loss 'bec'"):
        Objective([Term(loss="bec")])
