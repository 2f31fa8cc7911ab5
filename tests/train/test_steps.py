"""The steps of the loop: how large they are, and of which rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from shopstill.train import training as training_module
from shopstill.train.batches import Examples
from shopstill.train.fit import fit
from shopstill.train.objective import Objective
from shopstill.train.training import Training, rate_factor
from shopstill.types import Signals, Term

from .conftest import Net, Problem

Make = Callable[..., Problem]
QUICK = Training(epochs=3, batch_rows=8, learning_rate=1e-2)


def _fit(model: nn.Module, problem: Problem, folder: Path, training: Training) -> int:
    """Steps that were done."""
    objective = Objective([Term(loss="bce")])
    return fit(model, problem.examples, objective, training, judge=problem.judge, folder=folder, seed=1).step


def test_accumulated_batches_equal_a_bigger_one(problem: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No dropout and no norm, which see a batch at a time; the gradients themselves are compared as well."""
    models, sizes = {}, {}
    step = torch.optim.AdamW.step
    for rows, portion in ((12, 1), (4, 3)):
        model, seen = Net(dropout=0, norm=False), []

        def noted(self: torch.optim.AdamW, *given: object, model: Net = model, seen: list[float] = seen) -> object:
            seen.append(math.sqrt(sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None)))
            return step(self, *given)

        monkeypatch.setattr(torch.optim.AdamW, "step", noted)
        training = replace(QUICK, batch_rows=rows, accumulate=portion, clip=1e3)
        assert _fit(model, problem(), tmp_path / str(rows), training) == 15
        models[rows], sizes[rows] = model.state_dict(), seen
    assert len(sizes[4]) == 15
    assert sizes[4] == pytest.approx(sizes[12], rel=1e-3)
    for name, value in models[12].items():
        torch.testing.assert_close(models[4][name], value, atol=1e-5, rtol=1e-4)


def test_token_tables_learn_at_their_own_rate(tmp_path: Path) -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.table, self.out = nn.Embedding(10, 4), nn.Linear(4, 1)

        def forward(self, ids_B: torch.Tensor) -> Signals:
            return Signals(logits=self.out(self.table(ids_B)).squeeze(-1))

    class Ids:
        cost_N = np.arange(10)

        def __len__(self) -> int:
            return 10

        def inputs(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
            return {"ids_B": torch.from_numpy(rows)}

    examples = Examples(feed=Ids(), target_N=np.linspace(0, 1, 10, dtype=np.float32), group_N=np.arange(10))
    moved = {}
    for rate in (0.0, 0.1, 1.0):
        model = Table()
        before = model.table.weight.detach().clone()
        training = replace(QUICK, epochs=1, batch_rows=10, table_rate=rate, warmup=0, decay="none", weight_decay=0)
        made = Problem(examples, lambda model: {"figure": 1.0})
        _fit(model, made, tmp_path / str(rate), training)
        moved[rate] = float((model.table.weight.detach() - before).abs().max())
    assert moved[0.0] == 0
    assert moved[0.1] == pytest.approx(moved[1.0] / 10, rel=1e-3)
    assert moved[1.0] == pytest.approx(QUICK.learning_rate, rel=1e-2)


@pytest.mark.parametrize("decay", ["linear", "cosine", "none"])
@pytest.mark.parametrize("total", [1, 2, 10, 100])
def test_the_rate_rises_to_one_and_decays_to_nearly_nothing(decay: str, total: int) -> None:
    training = Training(warmup=0.2, decay=decay)  # type: ignore[arg-type]
    rates = [rate_factor(training, step, total) for step in range(total)]
    warm = max(1, round(0.2 * total))
    assert rates[:warm] == [(step + 1) / warm for step in range(warm)]
    assert all(0 < rate <= 1 for rate in rates)
    rest = rates[warm:]
    assert rest == sorted(rest, reverse=True)
    if rest:
        assert rest[0] == 1
        assert rest[-1] <= 1 / len(rest) + 1e-9 or decay == "none"
    if decay == "none":
        assert set(rest) <= {1.0}


def test_rates_never_leave_their_range_where_epochs_differ_in_length(problem: Make, tmp_path: Path) -> None:
    seen: list[float] = []
    original = training_module.rate_factor
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_module, "rate_factor", lambda *given: seen.append(original(*given)) or seen[-1])
        done = _fit(Net(), problem([7, 2, 5, 1, 8, 3, 3, 6, 2, 9, 4, 4, 1, 5]), tmp_path, replace(QUICK, epochs=8))
    assert len(seen) == done
    assert min(seen) > 0
    assert seen[-1] == min(seen[3:])
