"""How a model learns: the schedule of a training, its optimiser, and the rates of each step."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from shopstill.core.config import config
from shopstill.train.objective import Objective


@config
class Training:
    """How long, how fast and in what portions a model learns.

    ``batch_rows`` rows go into a batch, in whole groups, ``group_rows`` of a group at most; ``accumulate`` batches make
    a step. ``checks`` is how often an epoch the validation data is judged; with ``patience`` set, training stops after
    as many checks without improvement. The best weights by validation are kept.
    """

    epochs: int = Field(default=3, ge=1)
    batch_rows: int = Field(default=64, ge=1)
    group_rows: int | None = Field(default=None, ge=2)
    accumulate: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    table_rate: float = Field(default=1.0, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.06, ge=0, lt=1)
    decay: Literal["linear", "cosine", "none"] = "linear"
    clip: float = Field(default=1.0, gt=0)
    checks: int = Field(default=1, ge=1)
    patience: int | None = Field(default=None, ge=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    checkpoint_minutes: float = Field(default=2.0, ge=0)


def optimiser_for(model: nn.Module, objective: Objective, training: Training) -> torch.optim.Optimizer:
    """AdamW; no decay on biases and norms; token tables learn at a rate of their own, or (rate 0) stay as they are."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    for module in model.modules():
        if isinstance(module, nn.Embedding) and training.table_rate == 0:
            module.weight.requires_grad_(False)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in (*model.parameters(), *objective.parameters()):
        if parameter.requires_grad:
            rate = training.table_rate if id(parameter) in tables else 1.0
            decay = training.weight_decay if parameter.dim() > 1 and id(parameter) not in tables else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    options = [{"params": ps, "weight_decay": decay, "factor": rate} for (rate, decay), ps in groups.items()]
    return torch.optim.AdamW(options, lr=training.learning_rate, fused=True)


def set_rates(optimiser: torch.optim.Optimizer, training: Training, step: int, total: int) -> None:
    """Give every group of parameters its rate at a step."""
    rate = training.learning_rate * rate_factor(training, step, total)
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]


def rate_factor(training: Training, step: int, total: int) -> float:
    """Warm-up in a straight line, then decay to zero.

    >>> rate_factor(Training(warmup=0.5), step=0, total=4)
    0.5
    """
    warm = max(1, round(training.warmup * total))
    if step < warm:
        return (step + 1) / warm
    left = (total - step) / max(1, total - warm)
    if training.decay == "cosine":
        return 0.5 * (1 - math.cos(math.pi * left))
    return left if training.decay == "linear" else 1.0
