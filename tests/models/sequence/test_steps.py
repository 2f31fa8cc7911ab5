"""What a batch of histories holds, and that networks learn from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.sequence.conftest import FAMILIES, ITEMS, LENGTHS, TABLES, Make
from tests.models.sequence.labelling import label

from shopstill.data.histories import Histories, leave_one_out
from shopstill.models.sequence import HistoryFeed, Labelling, Negatives, Steps
from shopstill.models.sequence.items import ABSENT
from shopstill.train.fit import fit
from shopstill.train.objective import Objective
from shopstill.train.predict import predict
from shopstill.train.training import Training
from shopstill.types import Term

ALL = np.array(LENGTHS)
HARD = Objective([Term(loss="cross_entropy")])
CAUSAL = sorted(set(FAMILIES) - {"bert4rec"})


def everything(steps: Steps) -> Any:
    torch.manual_seed(0)
    return steps.batch(np.arange(len(steps.group_N)))


def test_every_event_but_the_first_is_predicted_from_those_before(make: Make, histories: Histories) -> None:
    batch = everything(Steps(make(FAMILIES["sasrec"]), histories, ALL))
    asked = [
        (shopper, histories.history(shopper)[max(0, end - 1 - 10 + 1) : end + 1], histories.history(shopper)[end + 1])
        for shopper, length in enumerate(LENGTHS)
        for end in range(max(0, length - 1 - 10), length - 1)
    ]
    assert batch.group.tolist() == [shopper for shopper, _, _ in asked]
    assert (batch.target + 1).tolist() == [truth for _, _, truth in asked]
    held = batch.inputs["item_BT"][batch.inputs["row_P"], batch.inputs["place_P"]]
    assert held.tolist() == [seen[-1] for _, seen, _ in asked]


def test_a_row_of_one_history_gives_the_same_alone_and_in_a_batch(make: Make, histories: Histories) -> None:
    parts = leave_one_out(histories)
    for config in FAMILIES.values():
        network = make(config)
        feed = HistoryFeed.of(network, histories, parts.test.shopper_N, parts.test.upto_N)
        together = predict(network, feed, rows=4).logits
        for row in range(len(feed)):
            seen = histories.history(parts.test.shopper_N[row])[: parts.test.upto_N[row]]
            seen = torch.from_numpy(seen[-(10 - network.masks) :].astype(np.int64))[None]
            alone = network.scores(network.last(seen, torch.tensor([seen.shape[1]])))
            assert np.allclose(together[row], alone[0].detach().numpy(), atol=1e-5)


def test_all_items_as_negatives_are_the_full_softmax(make: Make, histories: Histories) -> None:
    network = make(FAMILIES["sasrec"])
    full = everything(Steps(network, histories, ALL))
    drawn = everything(Steps(network, histories, ALL, negatives=Negatives(count=ITEMS)))
    losses = [HARD(network(**batch.inputs), batch)[0] for batch in (full, drawn)]
    assert torch.allclose(*losses, atol=1e-5)


@pytest.mark.parametrize("drawn", ["uniform", "popular"])
def test_drawn_negatives_estimate_the_sum_over_the_catalogue(make: Make, histories: Histories, drawn: Any) -> None:
    network = make(FAMILIES["item_mean"])
    full = everything(Steps(network, histories, ALL))
    wanted = network(**full.inputs).logits.detach().exp().sum(1)
    steps = Steps(network, histories, ALL, negatives=Negatives(count=9, drawn=drawn))
    found = torch.stack(
        [network(**everything_anew(steps, seed).inputs).logits.detach().exp().sum(1) for seed in range(800)]
    )
    error = (found.mean(0) - wanted).abs() / (found.std(0) / len(found) ** 0.5).clamp(min=1e-6)
    assert float(error.max()) < 4.5


def everything_anew(steps: Steps, seed: int) -> Any:
    torch.manual_seed(seed)
    return steps.batch(np.arange(len(steps.group_N)))


def test_masks_stand_where_the_true_items_were_and_depend_on_the_seed(make: Make, histories: Histories) -> None:
    steps = Steps(make(FAMILIES["bert4rec"]), histories, ALL)
    batch, again = everything(steps), everything(steps)
    other = everything_anew(steps, 1)
    item, row, place = (batch.inputs[name] for name in ("item_BT", "row_P", "place_P"))
    assert torch.equal(item, again.inputs["item_BT"])
    assert not torch.equal(item, other.inputs["item_BT"])
    assert (item[row, place] == ITEMS + 1).all()
    assert set(row.tolist()) == set(range(len(item)))
    filled = item.clone()
    filled[row, place] = batch.target + 1
    for at, shopper in enumerate(steps.group_N):
        seen = histories.history(shopper)[-10:]
        assert filled[at, : len(seen)].tolist() == seen.tolist()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_labels_hold_the_teachers_best_and_its_logits(make: Make, histories: Histories, family: str) -> None:
    teacher = make(FAMILIES[family])
    labels = label([teacher], histories, ALL, Labelling(best=5, drawn=7), seed=0, seen=True)
    item, logit = np.asarray(labels.item_LC), np.asarray(labels.logit_LC)
    for event in np.flatnonzero(labels.row_E >= 0):
        shopper = np.searchsorted(histories.start_U, event, side="right") - 1
        # A history is read from where its window begins, as it is when a student learns; a mask has one of its own.
        begin = max(histories.start_U[shopper], (event - 9 if teacher.masks else histories.start_U[shopper + 1] - 11))
        seen = histories.item_E[begin:event].astype(np.int64)
        wanted = teacher.scores(teacher.last(torch.from_numpy(seen)[None], torch.tensor([len(seen)])))[0].detach()
        row = labels.row_E[event]
        assert np.allclose(logit[row], wanted[item[row] - 1].numpy(), atol=2e-2)
        assert np.allclose(labels.truth_L[row], wanted[histories.item_E[event] - 1].numpy(), atol=2e-2)
        assert set(item[row, :5]) == set((wanted.topk(5).indices + 1).tolist())
        assert not set(item[row, :5]) & set(item[row, 5:])
    assert (labels.row_E >= 0).sum() == sum(min(length - 1, 10) for length in LENGTHS)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("student", ["bert4rec", "sasrec"])
def test_another_teacher_is_asked_of_the_same_places_and_candidates(
    make: Make, histories: Histories, family: str, student: str
) -> None:
    first, second = make(FAMILIES["sasrec"]), make(replace(FAMILIES[family], width=12))
    labels = label([first], histories, ALL, Labelling(best=5, drawn=7), seed=0, seen=True, hidden=True)
    steps = Steps(make(FAMILIES[student]), histories, ALL, labels=labels)
    before, after = everything(steps), everything(steps.told_by(second.train()))
    assert all(torch.equal(after.inputs[name], value) for name, value in before.inputs.items())
    assert before.teacher.features, "the training set that was there has not changed"
    assert not after.teacher.features
    checked = 0
    for shopper, item, said in zip(after.group, after.inputs["candidate_PC"], after.teacher.logits, strict=True):
        seen = histories.history(int(shopper)).astype(np.int64)
        at = np.flatnonzero(seen == int(item[0]))
        if len(at) > 1:
            continue
        read = torch.from_numpy(seen[max(0, at[0] - 10 + second.masks) : at[0]])[None]
        logits = second.scores(second.last(read, torch.tensor([read.shape[1]])))[0].detach()
        wanted = (logits[item - 1] + after.inputs["shift_PC"]).masked_fill(item == 0, ABSENT)
        assert torch.allclose(said, wanted, atol=1e-4)
        checked += 1
    assert checked > 3


def test_items_of_the_history_are_not_labelled(make: Make, histories: Histories) -> None:
    teacher = make(FAMILIES["sasrec"])
    wanted = Labelling(best=ITEMS)
    labels, whole = (label([teacher], histories, ALL, wanted, seed=0, seen=seen) for seen in (False, True))
    for event in np.flatnonzero(labels.row_E >= 0):
        shopper = np.searchsorted(histories.start_U, event, side="right") - 1
        begin = max(histories.start_U[shopper], histories.start_U[shopper + 1] - 11)
        row, seen = labels.row_E[event], histories.item_E[begin:event]
        found = {item for item in np.asarray(labels.item_LC)[row].tolist() if item}
        assert found == set(range(1, ITEMS + 1)) - set(seen.tolist())
        order = [item for item in np.asarray(whole.item_LC)[row].tolist() if item in found]
        assert np.asarray(labels.item_LC)[row].tolist()[: len(order)] == order
    student = make(FAMILIES["gru4rec"])
    batch = everything(Steps(student, histories, ALL, labels=labels))
    soft, _ = Objective([Term(loss="soft"), Term(loss="relaxed_ranking")])(student(**batch.inputs), batch)
    assert bool(soft.isfinite())


def test_with_labels_of_all_items_soft_targets_are_exact(make: Make, histories: Histories) -> None:
    teacher, student = make(FAMILIES["sasrec"]), make(FAMILIES["gru4rec"])
    labels = label([teacher], histories, ALL, Labelling(best=ITEMS), seed=0, seen=True)
    batch = everything(Steps(student, histories, ALL, labels=labels))
    assert batch.teacher is not None
    plain = everything(Steps(student, histories, ALL)).inputs
    log_p, log_q = (network(**plain).logits.log_softmax(-1) for network in (teacher, student))
    expected = (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    soft, _ = Objective([Term(loss="soft")])(student(**batch.inputs), batch)
    assert torch.allclose(soft, expected, atol=1e-2)
    hard = [HARD(student(**given.inputs), given)[0] for given in (batch, everything(Steps(student, histories, ALL)))]
    assert torch.allclose(*hard, atol=1e-4)


def test_the_true_item_stands_once_among_the_candidates(make: Make, histories: Histories) -> None:
    teacher = make(FAMILIES["sasrec"])
    labels = label([teacher], histories, ALL, Labelling(best=10, drawn=8), seed=0, seen=True)
    batch = everything(Steps(teacher, histories, ALL, labels=labels))
    assert batch.teacher is not None
    item = batch.inputs["candidate_PC"]
    assert ((item == item[:, :1]).sum(1) == 1).all()
    assert (batch.teacher.logits[item == 0] == ABSENT).all()
    # The drawn ones stand for all that are not among the best, so the teacher agrees with itself.
    logits = teacher(**batch.inputs).logits
    assert torch.allclose(logits, batch.teacher.logits, atol=2e-2)


def test_labels_of_several_teachers_are_their_mean(make: Make, histories: Histories) -> None:
    one, two = make(FAMILIES["sasrec"]), make(FAMILIES["bert4rec"])
    both, first, second = (
        label(teachers, histories, ALL, Labelling(best=ITEMS), seed=0, seen=True)
        for teachers in ([one, two], [one], [two])
    )

    def spread(labels: Any) -> torch.Tensor:
        logit = torch.from_numpy(labels.logit_LC.astype(np.float32))
        return torch.zeros_like(logit).scatter(1, torch.from_numpy(labels.item_LC).long() - 1, logit)

    mean = (spread(first).log_softmax(-1) + spread(second).log_softmax(-1)) / 2
    assert torch.allclose(spread(both), mean, atol=3e-2)


LOSSES = [
    [Term(loss="soft"), Term(loss="cross_entropy", weight=0.5)],
    [Term(loss="ranking_distillation", options={"top": 5, "tail": 7}), Term(loss="cross_entropy")],
    [Term(loss="relaxed_ranking", options={"top": 5, "tail": 7})],
    [Term(loss="hint", tap="hidden"), Term(loss="cosine", tap="hidden"), Term(loss="soft")],
]


@pytest.mark.parametrize("terms", LOSSES, ids=lambda terms: terms[0].loss)
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_ten_steps_with_a_teacher_improve(
    make: Make, histories: Histories, tmp_path: Path, family: str, terms: list[Term]
) -> None:
    teacher, student = make(type(FAMILIES["sasrec"])(width=12, max_items=10)), make(FAMILIES[family])
    labels = label([teacher], histories, ALL, Labelling(best=5, drawn=7), seed=0, hidden=True)
    steps = Steps(student, histories, ALL, labels=labels)
    objective = Objective(terms)
    assert after(student, steps, objective, tmp_path) < 0


@pytest.mark.parametrize("table", sorted(TABLES))
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_ten_steps_without_one_improve(
    make: Make, histories: Histories, tmp_path: Path, family: str, table: str
) -> None:
    config = type(FAMILIES[family])(**{**vars(FAMILIES[family]), "table": TABLES[table], "dropout": 0.0})
    network = make(config)
    assert after(network, Steps(network, histories, ALL, negatives=Negatives(count=15)), HARD, tmp_path) < 0


def after(network: Any, steps: Steps, objective: Objective, folder: Path) -> float:
    """How much ten steps change the objective of a batch."""
    watched: list[float] = []

    def judge(model: Any) -> dict[str, float]:
        watched.append(float(objective(model(**batch.inputs), batch)[0]))
        return {"nothing": len(watched)}

    batch = everything(steps)
    training = Training(epochs=10, batch_rows=len(steps.group_N), learning_rate=0.02, precision="fp32")
    fit(network, steps, objective, training, judge=judge, folder=folder / "fit", seed=0)
    return watched[-1] - watched[0]
