"""The loop: it learns, repeats, goes on after a kill to the same result, and stops when there is nothing to gain."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from shopstill.train.checkpoint import BEST, STATE
from shopstill.train.fit import History, fit
from shopstill.train.objective import Objective
from shopstill.train.training import Training
from shopstill.types import Signals, Term

from .conftest import Net, Problem

Make = Callable[..., Problem]
QUICK = Training(epochs=3, batch_rows=8, learning_rate=1e-2)
BCE = [Term(loss="bce")]
UNEVEN = [7, 2, 5, 1, 8, 3, 3, 6, 2, 9, 4, 4, 1, 5]


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def _equal(one: nn.Module, other: nn.Module) -> bool:
    first, second = _weights(one), _weights(other)
    return all(torch.equal(first[name], second[name]) for name in first)


def _told(history: History) -> dict[str, object]:
    return {k: v for k, v in vars(history).items() if k != "seconds"}


def _fit(model: nn.Module, problem: Problem, folder: Path, training: Training = QUICK, **more: object) -> History:
    terms = more.pop("terms", BCE)
    given = {"judge": problem.judge, "seed": 1, **more}
    return fit(model, problem.examples, Objective(terms), training, folder=folder, **given)  # type: ignore[arg-type]


class Killed(Exception):
    """Stands for the end of the process."""


def _killed_after(model: Net, steps: int) -> Net:
    """The model, which from some step on raises when it is to learn."""
    forward, done = model.forward, [0]

    def count(x_BD: torch.Tensor) -> Signals:
        done[0] += model.training
        if done[0] > steps:
            raise Killed
        return forward(x_BD)

    model.forward = count  # type: ignore[method-assign]
    return model


def test_it_learns(problem: Make, tmp_path: Path) -> None:
    made, model = problem(), Net()
    model.eval()
    with torch.inference_mode():
        before = made.judge(model)["correlation"]
    history = _fit(model, made, tmp_path, replace(QUICK, epochs=15))
    assert before < 0.7
    assert history.best > 0.9
    assert history.checks[-1]["loss"] < history.checks[0]["loss"]
    assert not model.training


@pytest.mark.parametrize("sizes", [None, UNEVEN])
def test_a_seed_repeats_and_another_does_not(problem: Make, tmp_path: Path, sizes: list[int] | None) -> None:
    models = [Net(), Net(), Net()]
    told = [_fit(m, problem(sizes), tmp_path / str(n), seed=n // 2) for n, m in enumerate(models)]
    assert _equal(models[0], models[1])
    assert _told(told[0]) == _told(told[1])
    assert not _equal(models[0], models[2])


@pytest.mark.parametrize("minutes", [0.0, 100.0])
@pytest.mark.parametrize("sizes", [None, UNEVEN])
@pytest.mark.parametrize("portion", [1, 3])
def test_killed_anywhere_it_ends_the_same_bit_for_bit(
    problem: Make, tmp_path: Path, sizes: list[int] | None, portion: int, minutes: float
) -> None:
    made = problem(sizes)
    terms = [Term(loss="bce", until=0.7, then=0.2), Term(loss="margin_mse", weight=0.1)] if sizes else BCE
    training = replace(QUICK, accumulate=portion, checkpoint_minutes=minutes, decay="cosine", checks=2)
    whole = Net()
    told = _fit(whole, made, tmp_path / "whole", training, terms=terms)
    for folder, stops in (("often", [1, 2, 1, 3, 5, 2]), ("late", [told.step - 1])):
        kills = sum(_is_killed(made, tmp_path / folder, training, terms, steps) for steps in stops)
        assert kills
        # With a checkpoint there, it does not matter what the weights are at first.
        resumed = Net(seed=99 if (tmp_path / folder / STATE).exists() else 0)
        again = _fit(resumed, made, tmp_path / folder, training, terms=terms)
        assert _told(again) == _told(told)
        assert _equal(resumed, whole)


def _is_killed(made: Problem, folder: Path, training: Training, terms: list[Term], steps: int) -> bool:
    try:
        _fit(_killed_after(Net(), steps), made, folder, training, terms=terms)
    except Killed:
        return True
    return False


def test_every_row_of_every_epoch_is_learnt_once(problem: Make, tmp_path: Path) -> None:
    for sizes in (None, UNEVEN):
        made = problem(sizes)
        history = _fit(Net(), made, tmp_path / str(sizes), replace(QUICK, batch_rows=9, accumulate=2))
        assert history.rows == 3 * len(made.examples.feed)
        assert history.checks[-1]["step"] == history.step


def test_a_run_that_is_done_is_not_run_again(problem: Make, tmp_path: Path) -> None:
    first, second = Net(), Net(seed=5)
    told = _fit(first, problem(), tmp_path)
    again = _fit(_killed_after(second, 0), problem(), tmp_path)
    assert _told(again) == _told(told)
    assert _equal(first, second)


def _told_by(figures: list[float]) -> Callable[[nn.Module], dict[str, float]]:
    rest = iter(figures)
    return lambda model: {"figure": next(rest)}


@pytest.mark.parametrize(("told", "best"), [([0.1, 0.7, 0.3], 1), ([0.1, 0.7, 0.7], 2), ([0.7, 0.7, 0.3], 1)])
def test_the_best_weights_are_restored_of_equals_the_later(
    problem: Make, tmp_path: Path, told: list[float], best: int
) -> None:
    kept: list[dict[str, torch.Tensor]] = []
    figures = iter(told)

    def judge(model: nn.Module) -> dict[str, float]:
        kept.append(_weights(model))
        return {"figure": next(figures)}

    model = Net()
    history = _fit(model, problem(), tmp_path, judge=judge)
    assert (history.best, history.best_step) == (0.7, (best + 1) * history.step // 3)
    after = _weights(model)
    found = [all(torch.equal(after[name], weights[name]) for name in after) for weights in kept]
    assert found == [at == best for at in range(3)]


def test_patience_ends_it_and_a_resumed_run_stays_ended(problem: Make, tmp_path: Path) -> None:
    training = replace(QUICK, epochs=10, patience=2)
    history = _fit(Net(), problem(), tmp_path, training, judge=_told_by([0.5, 0.4, 0.5, 0.9, 0.9]))
    assert len(history.checks) == 3
    assert history.best == 0.5
    again = _fit(_killed_after(Net(), 0), problem(), tmp_path, training, judge=_told_by([1.0] * 10))
    assert _told(again) == _told(history)


def test_a_figure_that_is_not_a_number_does_not_lose_the_weights(problem: Make, tmp_path: Path) -> None:
    history = _fit(Net(), problem(), tmp_path / "all", judge=_told_by([math.nan] * 3))
    assert len(history.checks) == 3
    history = _fit(Net(), problem(), tmp_path / "first", judge=_told_by([math.nan, 0.2, 0.1]))
    assert history.best == 0.2


@pytest.mark.parametrize("checks", [1, 3, 1000])
def test_checks_come_as_often_as_asked(problem: Make, tmp_path: Path, checks: int) -> None:
    history = _fit(Net(), problem(), tmp_path, replace(QUICK, epochs=2, batch_rows=10, checks=checks))
    assert [check["step"] for check in history.checks][-1] == history.step == 12
    assert len(history.checks) == {1: 2, 3: 6, 1000: 12}[checks]


def test_a_loss_that_is_not_a_number_stops_it_and_leaves_the_checkpoint(problem: Make, tmp_path: Path) -> None:
    made = problem()
    _fit(Net(), made, tmp_path, replace(QUICK, epochs=1))
    before = (tmp_path / STATE).read_bytes()
    model = Net()
    with torch.no_grad():
        model.out.weight.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 1; lower learning_rate"):
        _fit(model, made, tmp_path / "nan")
    assert not (tmp_path / "nan" / STATE).exists()
    assert (tmp_path / STATE).read_bytes() == before


def test_checkpoints_hold_no_pickle(problem: Make, tmp_path: Path) -> None:
    _fit(Net(), problem(), tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([STATE, BEST])
    for name in (STATE, BEST):
        raw = (tmp_path / name).read_bytes()
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        assert all(set(entry) == {"dtype", "shape", "data_offsets"} for k, entry in header.items() if k[0] != "_")
    with safe_open(tmp_path / STATE, "pt") as file:
        assert History(**json.loads(file.metadata()["history"])).step == 24
        assert any(name.endswith("exp_avg") for name in file.keys())  # noqa: SIM118 - it is no mapping


def test_features_are_learnt_through_a_projection(problem: Make, tmp_path: Path) -> None:
    wide = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32)
    made = problem(features={"hidden": wide, "other": wide})
    terms = [Term(loss="score_mse"), Term(loss="hint", tap="hidden"), Term(loss="rkd_distance", tap="hidden")]
    objective = Objective(terms)
    training = replace(QUICK, epochs=10)
    history = fit(Net(), made.examples, objective, training, judge=made.judge, folder=tmp_path / "a", seed=1)
    assert history.checks[-1]["loss"] < 0.8 * history.checks[0]["loss"]
    assert set(objective.projections) == {"hidden"}
    assert objective.projections["hidden"].weight.shape == (5, 8)
    # The projection is part of the state: killed and resumed, it ends the same.
    training = replace(training, checkpoint_minutes=0)
    killed, resumed = Objective(terms), Objective(terms)
    given = {"judge": made.judge, "folder": tmp_path / "b", "seed": 1}
    with pytest.raises(Killed):
        fit(_killed_after(Net(), 20), made.examples, killed, training, **given)  # type: ignore[arg-type]
    fit(Net(seed=4), made.examples, resumed, training, **given)  # type: ignore[arg-type]
    assert torch.equal(objective.projections["hidden"].weight, resumed.projections["hidden"].weight)


def test_half_precision_and_whole_live_in_one_process(problem: Make, tmp_path: Path) -> None:
    terms = [Term(loss="score_mse"), Term(loss="hint", tap="hidden")]
    wide = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32)
    made = problem(features={"hidden": wide})
    for precision in ("bf16", "fp32", "auto"):
        model = Net()
        training = replace(QUICK, precision=precision, epochs=6)
        history = _fit(model, made, tmp_path / precision, training, terms=terms)
        assert history.best > 0.7, precision
        assert all(p.dtype == torch.float32 for p in model.parameters())
        out = model(**made.examples.feed.inputs(np.arange(3))).logits
        assert out.dtype == torch.float32, "the model stays as it was"
