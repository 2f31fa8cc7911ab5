"""What a task is: a configuration that opens a prepared shop, and the course of learning and judging over it.

The pipeline knows no task: it calls what stands here, in the order of the stages. Shapes: ``N`` questions of a part (a
pair, a shopper's history, a picture), ``K`` outputs.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from shopstill.core.errors import ConfigError
from shopstill.data.shop import Shop
from shopstill.data.split import SplitConfig
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.costs import Costs
from shopstill.evaluate.judged import Truth
from shopstill.evaluate.latency import Timing
from shopstill.evaluate.quality import METRICS
from shopstill.export.bundle import About
from shopstill.models.families import Model
from shopstill.teach.mine import Mine
from shopstill.train.batches import TrainingSet
from shopstill.train.fit import Judge
from shopstill.train.objective import Objective

Part = Literal["train", "valid", "test"]
Form = Literal["onnx", "hf", "executorch"]
"""``onnx``: a bundle; the others are folders for other libraries."""

TEACHER = "teacher"
BASELINES = ("bm25", "popularity", "item_knn", "markov", "commonest")
"""Names that the report keeps for what needs no training."""

_LEFT_OUT = "left_out"

M = TypeVar("M", bound=Model)


PLACED = ("ndcg", "ndcg_exp", "mrr", "map", "recall", "hr", "precision")
"""Metrics, without their cutoff, of where in a ranking something stands."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What a task can be judged by.

    Attributes:
        usual: the metrics where a recipe names none, the primary one first.
        known: names of all that it can measure, without their cutoff.
        depth: where its rankings end, so that metrics need a cutoff that is no deeper; None where they do not end.
        folds: whether the test sets of several folds are judged as one.
    """

    usual: tuple[str, ...] = ("ndcg@10", "spearman")
    known: tuple[str, ...] = METRICS
    depth: int | None = None
    folds: bool = True


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Where a teacher and what it said are found.

    Attributes:
        teacher: the folder of the teacher's artifact.
        store: the folder of all label stores.
        folder: the folder of the artifact that says what it was asked.
    """

    teacher: Path
    store: Path
    folder: Path


class Course(ABC, Generic[M]):
    """A task over one prepared shop."""

    # Learning

    @abstractmethod
    def create(self, wanted: Any, members: Sequence[Path], seed: int, *, taught: bool = True) -> M:
        """A model as configured, with its starting weights.

        Args:
            wanted: the configuration.
            members: model folders of the teacher, none where it has no weights here; the first is what a configuration
                that starts from the teacher copies.
            seed: of the random weights.
            taught: whether it may begin with what the teacher learnt where its configuration does not say so; a twin
                may not.
        """

    @abstractmethod
    def direct(self, model: M, objective: Objective) -> TrainingSet:
        """The training questions with their truth, for a teacher or a twin."""

    @abstractmethod
    def taught(self, model: M, objective: Objective, labels: Labels, rows: int | None = None) -> TrainingSet:
        """What the teacher was asked, with its answers; ``rows`` of them, drawn by chance, or all."""

    @abstractmethod
    def validation(self, model: M, judging: Judging) -> Judge:
        """Figures on the validation part; the first is watched, and higher is better."""

    # The teacher

    @abstractmethod
    def label(self, labels: Labels, mine: Mine, taps: Sequence[str], seed: int) -> Mapping[str, int]:
        """Ask the teacher all that students learn from, and write what was asked into ``labels.folder``.

        Returns:
            counts, for the artifact's measurements.
        """

    @abstractmethod
    def teachers(self, part: Part, labels: Labels) -> np.ndarray:
        """The teacher's outputs of a part; NaN where it has none."""

    # Judging

    @abstractmethod
    def outputs(self, part: Part, model: M, what: str = "") -> np.ndarray:
        """What a model says of every question of a part, as ``truth`` has them: what is judged."""

    @abstractmethod
    def truth(self, part: Part) -> Truth:
        """The truth of a part, with the slices that it falls into."""

    def baselines(self) -> Mapping[str, Mapping[Part, np.ndarray]]:
        """What needs no training, by a name of ``BASELINES``: outputs of the validation and the test part."""
        return {}

    def judged(self, outputs: Mapping[Part, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Scores of the test part, and the grades or classes that they stand for, from a model's outputs.

        The validation part's may be learnt from.
        """
        return outputs["test"], outputs["test"]

    # Costs

    def costs(self, folders: Mapping[str, Sequence[Path]], timing: Timing) -> Costs:
        """What an answer costs of models by name, each given by its folders: one, or several of an ensemble."""
        raise ConfigError("timing: this task has no measure of what an answer costs; set timing: null")

    # Shipping

    def ship(self, model: M, folder: Path, about: About, form: Form = "onnx") -> Path:
        """Write a model as a bundle, which appears only where it answers as the model does; or in another form.

        Raises:
            ConfigError: such a model has no such form.
        """
        raise ConfigError(f"form {form!r}: models of this task have none; they are trained and judged alone")

    def served(self, part: Part, bundle: Path) -> np.ndarray:
        """The outputs of a part from a bundle, as it is served; needed where ``ship`` writes one."""
        raise NotImplementedError

    def served_costs(self, bundles: Mapping[str, Path], models: Mapping[str, Path], timing: Timing) -> Costs:
        """What an answer of bundles costs; ``models`` are the folders that operations are counted from."""
        raise NotImplementedError

    def texts(self) -> Iterable[str]:
        """Every text that a smaller vocabulary must be able to say."""
        return ()


class Task(Protocol):
    """The configuration of a task: a frozen dataclass with its file's name as ``kind``.

    It may have ``measures``, which says what it can be judged by, and ``faults``, which says what beside it in a recipe
    does not go with it; ``measures_of`` and ``faults_of`` tell these of any task.
    """

    kind: Any

    @property
    def prepared(self) -> Mapping[str, Any]:
        """What of the configuration the split depends on, as plain values; another value, another prepared shop."""
        ...

    @property
    def models(self) -> tuple[str, ...]:
        """Kinds of model that it can train."""
        ...

    @property
    def takes(self) -> Literal["scores", "logits"]:
        """What its losses compare: one number a question, or one for each class or candidate."""
        ...

    def split(self, shop: Shop, settings: SplitConfig) -> pa.Table:
        """Which part each unit belongs to: a table that is kept beside the shop; ``stating`` what it leaves out."""
        ...

    def open(self, shop: Shop, split: pa.Table, settings: SplitConfig, seed: int) -> Course[Any]:
        """The course over a prepared shop."""
        ...


def measures_of(task: Task) -> Measures:
    """What a task can be judged by: all metrics and folds, where it does not say."""
    found: Measures = getattr(task, "measures", Measures())
    return found


def faults_of(task: Task, models: Mapping[str, Any], split: SplitConfig) -> list[str]:
    """What does not go with a task, where it says so, each with its place in the recipe.

    Args:
        task: the task.
        models: configurations of all models that it is to train, by their place.
        split: how its units are to be parted.
    """
    found = getattr(task, "faults", None)
    return [] if found is None else list(found(models, split))


def stating(split: pa.Table, left_out: Mapping[str, int]) -> pa.Table:
    """A split that says how many units it leaves out, and why, for the report."""
    return split.replace_schema_metadata({_LEFT_OUT: json.dumps(dict(left_out))})


def left_out_of(split: pa.Table) -> dict[str, int]:
    """How many units a split says that it leaves out, by why."""
    stated = (split.schema.metadata or {}).get(_LEFT_OUT.encode())
    return {} if stated is None else json.loads(stated)
