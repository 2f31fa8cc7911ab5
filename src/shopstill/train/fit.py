"""The loop that trains every model: teacher, student, twin, and recovery after compression differ in their terms only.

Devices are Accelerate's work. A step depends on the weights, the optimiser and its own number alone (its random numbers
are seeded by that number), so a run that was killed goes on from its checkpoint to the same result.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from shopstill.core.errors import require
from shopstill.core.progress import Progress, progress
from shopstill.train import checkpoint
from shopstill.train.batches import TrainingSet, schedule
from shopstill.train.objective import Objective
from shopstill.train.training import Training, optimiser_for, set_rates
from shopstill.types import Batch, Signals

log = logging.getLogger(__name__)


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


@runtime_checkable
class Annealed(Protocol):
    """A part of the model that changes of itself as training goes on, such as a mask that closes step by step."""

    settled: bool
    """Whether it has come to its end; weights of before are not chosen by validation."""

    def before_step(self, done: float) -> None:
        """Take the form it has when a share ``done`` of the training lies behind."""
        ...


def fit(
    model: nn.Module,
    examples: TrainingSet,
    objective: Objective,
    training: Training,
    *,
    judge: Judge,
    folder: Path,
    seed: int,
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

    Raises:
        FloatingPointError: the loss is not finite.
    """
    run = _Run(model, examples, objective, training, folder, seed)
    history = checkpoint.resume(folder, run.model, run.objective, run.optimiser) or History()
    with progress(f"training {folder.parent.name}/{folder.name}", run.plan.rows) as bar:
        if history.step:
            log.info("%s: goes on at step %d of %d", folder, history.step, run.plan.total)
            bar.resume(history.rows)
        run.go(history, judge, bar)
    checkpoint.restore_best(folder, model)
    return history


class _Plan:
    """Which rows each step takes. Epochs differ in length where groups do, so all of them are measured ahead."""

    def __init__(self, examples: TrainingSet, training: Training, seed: int) -> None:
        self._examples, self._training, self._seed = examples, training, seed
        self.rows, lengths = 0, []
        for epoch in range(training.epochs):
            batches = self._epoch(epoch)
            self.rows += sum(map(len, batches))
            lengths.append(math.ceil(len(batches) / training.accumulate))
            if not epoch:
                self.first = batches[0]
        self._ends = list(accumulate(lengths))
        self.total = self._ends[-1]
        self.check_every = max(1, lengths[0] // training.checks)

    def after(self, done: int) -> Iterator[list[np.ndarray]]:
        """The batches of each step that comes after the first ``done``."""
        portion = self._training.accumulate
        for epoch, end in enumerate(self._ends):
            if done < end:
                batches = self._epoch(epoch)
                start = end - math.ceil(len(batches) / portion)
                yield from (batches[at * portion : (at + 1) * portion] for at in range(done - start, end - start))
                done = end

    def _epoch(self, epoch: int) -> list[np.ndarray]:
        training = self._training
        return schedule(self._examples.group_N, training.batch_rows, self._seed, epoch, training.group_rows)


class _Run:
    """The state of one training run."""

    def __init__(
        self, model: nn.Module, examples: TrainingSet, objective: Objective, training: Training, folder: Path, seed: int
    ) -> None:
        self.examples, self.training, self.folder, self.seed = examples, training, folder, seed
        # Precision is not left to Accelerate: it has one for the whole process, and wraps the model for good.
        self.accelerator = require("accelerate", "train").Accelerator(mixed_precision="no")
        self.half = _half(training.precision)
        self.plan = _Plan(examples, training, seed)
        self.annealed = [m for m in model.modules() if isinstance(m, Annealed)]
        self._build_projections(model, objective)
        optimiser = optimiser_for(model, objective, training)
        self.model, self.objective, self.optimiser = self.accelerator.prepare(model, objective, optimiser)

    def go(self, history: History, judge: Judge, bar: Progress) -> None:
        """All steps that remain."""
        saver = checkpoint.Saver(self.folder, self.training.checkpoint_minutes)
        patience, before = self.training.patience or math.inf, history.seconds
        for batches in self.plan.after(history.step):
            if history.stale >= patience:
                log.info("%s: stops, %d checks without improvement", self.folder, history.stale)
                return
            loss, rows = self._step(batches, history.step)
            history.step += 1
            history.rows += rows
            bar.advance(rows, f"loss {loss:.4f}")
            history.seconds = before + bar.seconds
            checked = history.step % self.plan.check_every == 0 or history.step == self.plan.total
            if checked:
                self._check(history, judge, loss)
            saver.save(self.model, self.objective, self.optimiser, history, force=checked)

    def _step(self, batches: list[np.ndarray], step: int) -> tuple[float, int]:
        torch.manual_seed((self.seed * 1_000_003 + step) % 2**63)
        self.model.train()
        for part in self.annealed:
            part.before_step(step / self.plan.total)
        set_rates(self.optimiser, self.training, step, self.plan.total)
        total, device = 0.0, self.accelerator.device
        for rows in batches:
            batch = _to(self.examples.batch(rows), device)
            with torch.autocast(device.type, torch.bfloat16, enabled=self.half):
                signals = self.model(**batch.inputs)
            loss, _ = self.objective(_float(signals) if self.half else signals, batch, step / self.plan.total)
            self.accelerator.backward(loss / len(batches))
            total += float(loss.detach()) / len(batches)
        if not math.isfinite(total):
            raise FloatingPointError(
                f"{self.folder}: the loss is {total} at step {step + 1}; lower learning_rate or check the labels"
            )
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.training.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return total, sum(map(len, batches))

    def _check(self, history: History, judge: Judge, loss: float) -> None:
        model = self.accelerator.unwrap_model(self.model)
        model.eval()
        with torch.inference_mode():
            figures = dict(judge(model))
        watched = next(iter(figures.values()))
        history.checks.append({"step": history.step, "loss": loss, **figures})
        shown = ", ".join(f"{k} {v:.4f}" for k, v in figures.items())
        log.info("%s: step %d of %d, loss %.4f, validation %s", self.folder, history.step, self.plan.total, loss, shown)
        if not all(part.settled for part in self.annealed) and history.step < self.plan.total:
            return
        # The first check's weights are kept whatever it found, so that there are some.
        better = watched > history.best or not history.best_step
        # Of equals the later ones have learnt longer: where all is right from the first check on, they are surer of it.
        if better or watched == history.best:
            history.best = watched if math.isfinite(watched) else -math.inf
            history.best_step = history.step
            checkpoint.keep_best(self.folder, model)
        history.stale = 0 if better else history.stale + 1

    def _build_projections(self, model: nn.Module, objective: Objective) -> None:
        batch = self.examples.batch(self.plan.first[:2])
        if batch.teacher is not None and batch.teacher.features:
            torch.manual_seed(self.seed)
            model.eval()
            with torch.no_grad():
                objective.build(model(**batch.inputs), batch.teacher)


def _to(batch: Batch, device: torch.device) -> Batch:
    """A batch on a device."""
    if device.type == "cpu":
        return batch
    teacher = batch.teacher and Signals(
        logits=batch.teacher.logits.to(device), features=_moved(batch.teacher.features, device)
    )
    return Batch(
        inputs=_moved(batch.inputs, device),
        target=batch.target.to(device),
        group=batch.group.to(device),
        weight=None if batch.weight is None else batch.weight.to(device),
        teacher=teacher,
        own=None if batch.own is None else batch.own.to(device),
    )


def _moved(tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: value.to(device) for name, value in tensors.items()}


def _float(signals: Signals) -> Signals:
    return Signals(logits=signals.logits.float(), features={k: v.float() for k, v in signals.features.items()})


def _half(wanted: str) -> bool:
    """Whether a forward pass runs in bfloat16."""
    return wanted == "bf16" or (wanted == "auto" and torch.cuda.is_available() and torch.cuda.is_bf16_supported())
