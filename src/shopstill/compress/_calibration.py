"""What a pass may look at and learn from: training and validation rows, never test rows."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from shopstill.core.errors import ConfigError
from shopstill.models.families import Model
from shopstill.train.batches import Retold, Told, TrainingSet
from shopstill.train.fit import History, Judge, fit
from shopstill.train.objective import Objective
from shopstill.train.predict import predict
from shopstill.train.training import Training
from shopstill.types import Batch, Term

M = TypeVar("M", bound=Model)


def _none(wanted: Any, assistant: Path) -> Any:
    raise ConfigError(f"{wanted.kind}: no new model can be made here; give the calibration create")


def copied(model: M) -> M:
    """The same model with a network of its own, to be changed."""
    return replace(model, network=copy.deepcopy(model.network).eval())


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Rows, an objective and a judge, made for whichever model is asked about: passes may change its tokenizer.

    Attributes:
        examples: training rows as a model wants them, with the teacher's outputs: (model, how many) → as many, drawn by
            the seed; all where the number is None.
        objective: the terms that recovery brings down, and importance and sensitivity are measured by.
        judge: a model → figures on the validation part of the network it is given; the first is watched.
        texts: every text of the shop's catalogue and training queries.
        create: a new model as configured, which may start from the one in a folder.
        training: how recovery trains where a pass does not say.
        folder: where checkpoints are kept while something trains.
        seed: every random choice follows from it.
        notes: what passes found out, by their names, as plain JSON values: for the report.
    """

    examples: Callable[[Any, int | None], TrainingSet]
    objective: tuple[Term, ...]
    judge: Callable[[Any], Judge]
    texts: Callable[[], Iterable[str]]
    training: Training
    folder: Path
    create: Callable[[Any, Path], Any] = _none
    seed: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    def taught_by(self, teacher: Model) -> Calibration:
        """The same rows with another teacher's logits, and no features of it.

        Raises:
            ConfigError: the task's training sets cannot be told by another teacher.
        """

        def examples(model: Model, rows: int | None) -> TrainingSet:
            found = self.examples(model, rows)
            if isinstance(found, Retold):
                return found.told_by(teacher.network)
            theirs = self.examples(teacher, rows)
            if not (isinstance(found, Told) and isinstance(theirs, Told)):
                raise ConfigError(
                    f"distil: {type(found).__name__} keeps what its first teacher said; give it saying or told_by, or "
                    "leave the pass out"
                )
            return found.saying(predict(teacher.network, theirs.feed, what="asking the assistant").logits)

        return replace(self, examples=examples)

    def batches(self, model: Model, rows: int, batch_rows: int = 64) -> Iterator[Batch]:
        """Some training rows, drawn by the seed, in batches; what training changes of them follows from it, too."""
        examples = self.examples(model, rows)
        count = len(examples.group_N)
        for at in range(0, count, batch_rows):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed((self.seed * 1_000_003 + at) % 2**63)
                batch = examples.batch(np.arange(at, min(at + batch_rows, count)))
            yield batch

    def loss(self, model: Model, batch: Batch, objective: Objective | None = None) -> Tensor:
        """The objective on a batch, with its gradient; give the objective where it has projections of its own."""
        signals = model.network(**batch.inputs)
        return (objective or Objective(self.objective))(signals, batch)[0]

    def quality(self, model: Model) -> float:
        """The watched validation figure of a model; higher is better."""
        network: nn.Module = model.network.eval()
        with torch.inference_mode():
            return float(next(iter(self.judge(model)(network).values())))

    def train(self, model: Model, training: Training | None = None, rows: int | None = None) -> History:
        """Train a model, a copy, on the teacher's labels; it is left with its best weights by validation.

        Parts of it that are ``shopstill.train.fit.Annealed`` change as it goes.

        Args:
            model: a copy that may change.
            training: the schedule; None for the calibration's own.
            rows: how many training rows, drawn by the seed; None for all.
        """
        history = fit(
            model.network,
            self.examples(model, rows),
            Objective(self.objective),
            training or self.training,
            judge=self.judge(model),
            folder=self.folder,
            seed=self.seed,
        )
        # A pass may train again, another network: it must not go on from this one's checkpoint.
        shutil.rmtree(self.folder, ignore_errors=True)
        return history
