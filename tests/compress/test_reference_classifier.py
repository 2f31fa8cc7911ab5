"""The field's small example: a wide classifier taught to a narrow one, then pruned and quantized.

Teacher of two hidden layers of 100, student of 10 hidden units, a tenth of its weights pruned, int8: the literature
that starts from this example loses five points of accuracy a step. All steps together must lose one point at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shopstill.compress import PASSES
from shopstill.compress._calibration import Calibration
from shopstill.train.batches import Examples
from shopstill.train.fit import Judge, fit
from shopstill.train.objective import Objective
from shopstill.train.predict import predict
from shopstill.train.training import Training
from shopstill.types import Signals, Term

FIELDS, ROWS, TEST = 12, 6000, 4000


class Classifier(nn.Module):
    """Fully connected layers with one logit."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        sizes = (FIELDS, *widths)
        hidden = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
        self.body = nn.Sequential(*hidden, nn.Linear(sizes[-1], 1))

    def forward(self, x_BF: Tensor) -> Signals:
        return Signals(logits=self.body(x_BF).squeeze(-1))


@dataclass(frozen=True, kw_only=True)
class Model:
    network: Classifier


class Table:
    """Rows of numbers as a feed."""

    def __init__(self, x_NF: np.ndarray) -> None:
        self._x = torch.from_numpy(x_NF)
        self.cost_N = np.ones(len(x_NF))

    def __len__(self) -> int:
        return len(self._x)

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        return {"x_BF": self._x[rows]}


def _will_buy(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sessions and whether they end in a purchase: interactions of a few columns, with some chance."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, FIELDS)).astype(np.float32)
    wish = 1.5 * x[:, 0] + x[:, 1] * x[:, 2] - np.abs(x[:, 3]) + 1.2 * (x[:, 4] > 0) * x[:, 5] + 0.5
    return x, (wish + 0.3 * draw.logistic(size=rows) > 0).astype(np.float32)


def _examples(x: np.ndarray, y: np.ndarray, teacher: np.ndarray | None, rows: int | None = None) -> Examples:
    cut = slice(rows)
    return Examples(
        feed=Table(x[cut]),
        target_N=y[cut],
        group_N=np.arange(len(x[cut])),
        teacher_N=None if teacher is None else teacher[cut],
    )


def _accuracy(network: nn.Module, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean((predict(network, Table(x)).logits > 0) == (y > 0.5)))


@pytest.mark.slow
def test_pruned_and_quantized_student_stays_within_a_point_of_its_teacher(tmp_path: Path) -> None:
    x, y = _will_buy(ROWS, 0)
    valid, test = _will_buy(2000, 1), _will_buy(TEST, 2)

    def judge(_: object) -> Judge:
        return lambda network: {"accuracy": _accuracy(network, *valid)}

    torch.manual_seed(0)
    teacher, student = Classifier(100, 100), Model(network=Classifier(10))
    training = Training(epochs=40, batch_rows=64, learning_rate=5e-3, checkpoint_minutes=10)
    bce = Objective((Term(loss="bce"),))
    fit(teacher, _examples(x, y, None), bce, training, judge=judge(None), folder=tmp_path / "teacher", seed=0)
    taught = predict(teacher, Table(x)).logits
    calibration = Calibration(
        examples=lambda _, rows: _examples(x, y, taught, rows),
        objective=(Term(loss="soft_bce"),),
        judge=judge,
        texts=list,
        training=training,
        folder=tmp_path / "work",
    )
    calibration.train(student)
    at = student
    for kind, options in (("weights", {"sparsity": 0.1}), ("recover", {}), ("int8_static", {})):
        at = PASSES.get(kind)(**options).apply(at, calibration)
    first, last = (_accuracy(network, *test) for network in (teacher, at.network))
    direct = _accuracy(student.network, *test)
    assert first > 0.85, "the teacher itself has not learnt"
    assert first - last <= 0.01, f"teacher {first:.3f}, student {direct:.3f}, pruned and quantized {last:.3f}"
