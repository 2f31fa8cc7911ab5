"""The parts of a recipe: where the shop comes from, its teacher, its students, and the chains of passes over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator

from shopstill.compress import PASSES, Pass
from shopstill.core.config import build, config, plain
from shopstill.core.errors import ConfigError, nearest
from shopstill.data.readers import READERS, Reader
from shopstill.data.simulate import Simulate
from shopstill.evaluate.quality import parse_metric
from shopstill.models.cross import Cross
from shopstill.models.families import AnyModel
from shopstill.tasks import TASKS, Task
from shopstill.train.training import Training
from shopstill.types import Term

SIMULATE, DEFAULT_TASK = "simulate", "relevance"
NAME = r"^[a-z0-9][a-z0-9_-]*$"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the shop comes from: a reader by name with its options, or ``simulate``."""

    reader: str
    options: Reader | Simulate


def _read_source(value: Any) -> Source:
    if isinstance(value, Source):
        return value
    names = [*READERS.names(), SIMULATE]
    if not isinstance(value, Mapping) or value.get("reader") not in names:
        given = value.get("reader") if isinstance(value, Mapping) else value
        raise ConfigError(f"reader {given!r}: {nearest(str(given), names)}")
    name = value["reader"]
    rest = {k: v for k, v in value.items() if k != "reader"}
    return Source(reader=name, options=build(Simulate if name == SIMULATE else READERS.get(name), rest, name))


def _write_source(value: Source) -> dict[str, Any]:
    return {"reader": value.reader, **plain(value.options)}


def _read_task(value: Any) -> Task:
    if not isinstance(value, Mapping):
        return value if hasattr(value, "open") else _read_task({"kind": value})
    kind = value.get("kind", DEFAULT_TASK)
    if kind not in TASKS.names():
        raise ConfigError(f"task {kind!r}: {nearest(str(kind), TASKS.names())}")
    return build(TASKS.get(str(kind)), value, str(kind))


AnyTask = Annotated[Any, PlainValidator(_read_task), PlainSerializer(plain)]
AnySource = Annotated[Source, PlainValidator(_read_source), PlainSerializer(_write_source)]


@config
class CrossTeacher:
    """A cross-encoder, fine-tuned on the grades, or taken as it is where ``training`` is null."""

    kind: Literal["cross"] = "cross"
    model: Cross = Field(default_factory=Cross)
    objective: tuple[Term, ...] = Field(default=(Term(loss="bce"),), min_length=1)
    training: Training | None = Field(default_factory=Training)


@config
class ModelTeacher:
    """A model of any family that the task can train; as it is where ``training`` is null."""

    kind: Literal["model"] = "model"
    model: AnyModel
    objective: tuple[Term, ...] = Field(default=(Term(loss="cross_entropy"),), min_length=1)
    training: Training | None = Field(default_factory=Training)


Trained = CrossTeacher | ModelTeacher
"""Teachers that are one model."""


@config
class EnsembleTeacher:
    """Several models, each a teacher of kind ``cross`` or ``model``; the mean of their logits is the teacher's."""

    kind: Literal["ensemble"] = "ensemble"
    members: tuple[Annotated[Trained, Field(discriminator="kind")], ...] = Field(min_length=2)


@config
class ScoresTeacher:
    """Scores made elsewhere, in a file: the teacher is not trained, and need not be there.

    ``path`` ends in ``.parquet``, ``.jsonl``, ``.csv`` or ``.tsv`` and has the columns ``query_id``, ``product_id`` and
    ``score``; or in ``.run``, ``.trec`` or ``.txt`` and is a TREC run. A score is a logit: any finite number, higher is
    better. Ids are the shop's own; where its queries have none, a column ``query`` with the text stands for
    ``query_id``. ``shopstill prepare`` writes a run's ids to ``prepare/shop/queries.parquet`` and ``products.parquet``.
    Pairs without a score teach nothing, mined ones too, and the teacher is judged only where each tested pair has one.
    """

    kind: Literal["scores"] = "scores"
    path: Path


Teacher = Annotated[CrossTeacher | ModelTeacher | EnsembleTeacher | ScoresTeacher, Field(discriminator="kind")]


def members(teacher: Teacher) -> dict[str, Trained]:
    """The models of a teacher, by their place in the recipe."""
    if isinstance(teacher, EnsembleTeacher):
        return {f"teacher.members.{number}": member for number, member in enumerate(teacher.members)}
    return {} if isinstance(teacher, ScoresTeacher) else {"teacher": teacher}


@config
class Student:
    """A student: its network, what it learns from the teacher, and what its twin learns from the truth alone.

    The twin's is ``bce`` where null, or ``cross_entropy`` for a task of classes.
    """

    model: AnyModel
    objective: tuple[Term, ...] = Field(min_length=1)
    twin: tuple[Term, ...] | None = Field(default=None, min_length=1)
    training: Training = Field(default_factory=Training)


def twin_of(student: Student, task: Task) -> tuple[Term, ...]:
    """What a student's twin learns from."""
    return student.twin or (Term(loss="bce" if task.takes == "scores" else "cross_entropy"),)


def imitation(task: Task) -> tuple[Term, ...]:
    """What a smaller teacher learns from the one it was."""
    return (Term(loss="soft_bce" if task.takes == "scores" else "soft"),)


def _read_pass(value: Any) -> Pass:
    if not isinstance(value, Mapping):
        return value if hasattr(value, "apply") else _read_pass({"kind": value})
    kind = value.get("kind")
    if kind not in PASSES.names():
        raise ConfigError(f"pass {kind!r}: {nearest(str(kind), PASSES.names())}")
    return build(PASSES.get(str(kind)), value, str(kind))


def _kept_by(metric: str | None) -> str | None:
    found = None if metric is None else parse_metric(metric)
    if found is not None and not found.higher:
        raise ConfigError(f"metric {metric!r}: is an error, of which no part is kept; use one of which more is better")
    return None if found is None else found.name


AnyPass = Annotated[Any, PlainValidator(_read_pass), PlainSerializer(plain)]


@config
class Chain:
    """Passes over a trained model, in order; each step is judged, and shipped as a bundle.

    ``of`` names the teacher, a student, or another chain that this one goes on from. Recovery learns from the teacher's
    labels by ``objective`` (a student's own where null). ``keep`` is the part of the origin's quality over random order
    that each step must keep, by the metric ``by`` on validation queries: a step that keeps less is refused, or made
    milder and at last left out (``on_loss: back_off``). Where null, ``by`` is ``spearman`` if the recipe judges by it,
    and else the first metric that the recipe judges by and of which more is better.
    """

    of: str
    passes: tuple[AnyPass, ...] = Field(min_length=1)
    objective: tuple[Term, ...] | None = Field(default=None, min_length=1)
    training: Training = Field(default_factory=lambda: Training(epochs=1, learning_rate=1e-4))
    keep: float | None = Field(default=None, gt=0, le=1)
    by: Annotated[str | None, AfterValidator(_kept_by)] = None
    on_loss: Literal["refuse", "back_off"] = "refuse"


def guard_of(chain: Chain, metrics: Sequence[str]) -> str:
    """The metric that a chain's guard reads, of a recipe that judges by some.

    >>> guard_of(Chain(of="fast", passes=("tables",)), ["ece", "accuracy", "macro_f1"])
    'accuracy'
    """
    better = [metric for metric in metrics if parse_metric(metric).higher]
    usual = "spearman" if "spearman" in better or not better else better[0]
    return chain.by or usual
