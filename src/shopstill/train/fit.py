"""The loop that trains every model: teacher, student, twin, and recovery after compression differ in their terms only.

Devices, precision and processes are Accelerate's work. A step depends on the weights, the optimiser and its own number
alone (its random numbers are seeded by that number), so a run that was killed goes on from its checkpoint to the same result.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from shopstill.core.config import config
from shopstill.core.progress import Progress, progress
from shopstill.train import checkpoint
from shopstill.train.batches import Examples, schedule
from shopstill.train.objective import Objective
from shopstill.types import Batch, Signals

log = logging.getLogger(__name__)


@config
class Training:
    """How long, how fast and in what portions a model learns.

    ``batch_rows`` rows go into a step, in whole groups, ``group_rows`` of a group at most. ``checks`` is how often an epoch the
    validation data is judged; with ``patience`` set, training stops after as many checks without improvement. The best
    weights by validation are kept.
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


@dataclass
class History:
    """What happened: one entry a check, and where the best one was.

    Attributes:
        checks: step, loss and validation figures of each check.
        best: the best value of the watched figure.
        best_step: the step it was reached at.
        step: optimiser steps done.
        stale: checks since the best.
        rows: rows learnt from, and the seconds it took: throughput.
    """

    checks: list[dict[str, float]] = field(default_factory=list)
    best: float = -math.inf
    best_step: int = 0
    step: int = 0
    stale: int = 0
    rows: int = 0
    seconds: float = 0.0


Judge = Callable[[nn.Module], Mapping[str, float]]
"""Validation: model → figures, the first of which is watched; higher is better."""


def fit(
    model: nn.Module, examples: Examples, objective: Objective, training: Training, *, judge: Judge, folder: Path, seed: int
) -> History:
    """Train a model in place and leave it with its best weights by validation.

    Args:
        model: called with a batch's inputs; returns ``Signals``.
        examples: the training set.
        objective: the weighted terms to bring down.
        training: the schedule.
        judge: figures on validation data; the first is watched.
        folder: where checkpoints are kept while it runs; an interrupted run goes on from there.
        seed: every random choice follows from it.

    Returns:
        the history.
    """
    run = _Run(model, examples, objective, training, folder, seed)
    history = checkpoint.resume(folder, run.model, run.objective, run.optimiser) or History()
    with progress(f"training {folder.parent.name}/{folder.name}", run.total * training.batch_rows) as bar:
        if history.step:
            log.info("%s: goes on at step %d of %d", folder, history.step, run.total)
            bar.resume(history.rows)
        run.go(history, judge, bar)
    checkpoint.restore_best(folder, model)
    return history


class _Run:
    """The state of one training run."""

    def __init__(
        self, model: nn.Module, examples: Examples, objective: Objective, training: Training, folder: Path, seed: int
    ) -> None:
        from accelerate import Accelerator

        self.examples, self.training, self.folder, self.seed = examples, training, folder, seed
        self.accelerator = Accelerator(
            mixed_precision=_precision(training.precision), gradient_accumulation_steps=training.accumulate
        )
        self.plan = [self._epoch(0)]
        per_epoch = math.ceil(len(self.plan[0]) / training.accumulate)
        self.total = per_epoch * training.epochs
        self.check_every = max(1, per_epoch // training.checks)
        self._build_projections(model, objective)
        optimiser = _optimiser(model, objective, training)
        self.model, self.objective, self.optimiser = self.accelerator.prepare(model, objective, optimiser)

    def go(self, history: History, judge: Judge, bar: Progress) -> None:
        """All epochs that remain."""
        saver = checkpoint.Saver(self.folder, self.training.checkpoint_minutes)
        per_epoch = self.total // self.training.epochs
        before = history.seconds
        for epoch in range(history.step // per_epoch, self.training.epochs):
            batches = self._epoch(epoch)
            first = (history.step - epoch * per_epoch) * self.training.accumulate
            for at in range(first, len(batches), self.training.accumulate):
                loss, rows = self._step(batches[at : at + self.training.accumulate], history.step)
                history.step += 1
                history.rows += rows
                bar.advance(rows, f"loss {loss:.4f}")
                history.seconds = before + bar.seconds
                if history.step % self.check_every == 0 or history.step == self.total:
                    self._check(history, judge, loss)
                    saver.save(self.model, self.objective, self.optimiser, history, force=True)
                    if self.training.patience and history.stale >= self.training.patience:
                        log.info("%s: stops, %d checks without improvement", self.folder, history.stale)
                        return
                else:
                    saver.save(self.model, self.objective, self.optimiser, history)

    def _epoch(self, epoch: int) -> list[np.ndarray]:
        group_rows = self.training.group_rows
        return schedule(self.examples.group_N, self.training.batch_rows, self.seed, epoch, group_rows)

    def _step(self, batches: list[np.ndarray], step: int) -> tuple[float, int]:
        torch.manual_seed(self.seed * 1_000_003 + step)
        self.model.train()
        _set_rates(self.optimiser, self.training, step, self.total)
        total = 0.0
        for rows in batches:
            batch = _to(self.examples.batch(rows), self.accelerator.device)
            with self.accelerator.autocast():
                signals = self.model(**batch.inputs)
            loss, _ = self.objective(signals, batch, step / self.total)
            self.accelerator.backward(loss / len(batches))
            total += float(loss.detach()) / len(batches)
        if not math.isfinite(total):
            raise FloatingPointError(
                f"{self.folder}: the loss is {total} at step {step + 1}; lower learning_rate or check the labels"
            )
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.training.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return total, sum(len(rows) for rows in batches)

    def _check(self, history: History, judge: Judge, loss: float) -> None:
        model = self.accelerator.unwrap_model(self.model)
        model.eval()
        with torch.inference_mode():
            figures = dict(judge(model))
        watched = next(iter(figures.values()))
        history.checks.append({"step": history.step, "loss": loss, **figures})
        shown = ", ".join(f"{k} {v:.4f}" for k, v in figures.items())
        log.info("%s: step %d of %d, loss %.4f, validation %s", self.folder, history.step, self.total, loss, shown)
        if watched > history.best:
            history.best, history.best_step, history.stale = watched, history.step, 0
            checkpoint.keep_best(self.folder, model)
        else:
            history.stale += 1

    def _build_projections(self, model: nn.Module, objective: Objective) -> None:
        batch = self.examples.batch(self.plan[0][0][:2])
        if batch.teacher is not None and batch.teacher.features:
            torch.manual_seed(self.seed)
            model.eval()
            with torch.no_grad():
                objective.build(model(**batch.inputs), batch.teacher)


def _optimiser(model: nn.Module, objective: Objective, training: Training) -> torch.optim.Optimizer:
    """AdamW; no decay on biases and norms; token tables may learn at a rate of their own, or (rate 0) stay as they are."""
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


def _set_rates(optimiser: torch.optim.Optimizer, training: Training, step: int, total: int) -> None:
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


def _to(batch: Batch, device: torch.device) -> Batch:
    """A batch on a device."""
    if device.type == "cpu":
        return batch
    move = lambda signals: {k: v.to(device) for k, v in signals.items()}  # noqa: E731
    teacher = batch.teacher and Signals(
        logits=batch.teacher.logits.to(device), features=move(batch.teacher.features)
    )
    return Batch(
        inputs=move(batch.inputs),
        target=batch.target.to(device),
        group=batch.group.to(device),
        weight=None if batch.weight is None else batch.weight.to(device),
        teacher=teacher,
    )


def _precision(wanted: str) -> str:
    if wanted == "auto":
        return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"
    return "no" if wanted == "fp32" else wanted
