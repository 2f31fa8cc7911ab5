"""A problem small enough to be learnt in a second: scores of rows, in groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shopstill.train.batches import Examples
from shopstill.types import Signals

ROWS, WIDTH = 60, 6


class Numbers:
    """A feed of plain vectors."""

    def __init__(self, values_ND: np.ndarray) -> None:
        self.values = values_ND.astype(np.float32)
        self.cost_N = np.arange(len(values_ND))

    def __len__(self) -> int:
        return len(self.values)

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        return {"x_BD": torch.from_numpy(self.values[rows])}


class Net(nn.Module):
    """Two layers with dropout, and a batch norm where asked for: everything that has a state."""

    def __init__(self, dropout: float = 0.2, norm: bool = True, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(WIDTH, 8)
        self.norm = nn.BatchNorm1d(8) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(8, 1)

    def forward(self, x_BD: Tensor) -> Signals:
        hidden = torch.relu(self.norm(self.first(x_BD)))
        return Signals(logits=self.out(self.dropout(hidden)).squeeze(-1), features={"hidden": hidden})


@dataclass(frozen=True)
class Problem:
    """Examples, and the judge that validates."""

    examples: Examples
    judge: Callable[[nn.Module], dict[str, float]]


@pytest.fixture
def problem() -> Callable[..., Problem]:
    """Rows whose truth is a function of their values; ``sizes`` are those of the groups."""

    def make(sizes: list[int] | None = None, **more: Any) -> Problem:
        draw = np.random.default_rng(0)
        group_N = np.repeat(np.arange(len(sizes)), sizes) if sizes else np.arange(ROWS)
        values = draw.normal(size=(len(group_N), WIDTH))
        truth = 1 / (1 + np.exp(-2 * values[:, 0] + values[:, 1]))
        examples = Examples(
            feed=Numbers(values),
            target_N=truth.astype(np.float32),
            group_N=group_N,
            teacher_N=(2 * values[:, 0] - values[:, 1]).astype(np.float32),
            **more,
        )

        def judge(model: nn.Module) -> dict[str, float]:
            assert not model.training, "a model must be judged as it will be used"
            scores = model(**examples.feed.inputs(np.arange(len(group_N)))).logits.numpy()
            return {"correlation": float(np.corrcoef(scores, truth)[0, 1]), "mean": float(scores.mean())}

        return Problem(examples, judge)

    return make
