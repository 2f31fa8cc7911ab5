"""A recipe: one run, from the shop to the report, as plain values; it never names code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, PlainSerializer, PlainValidator

from shopstill.core.config import build, config, override, plain, schema
from shopstill.core.errors import ConfigError, nearest
from shopstill.data.readers import READERS, Reader
from shopstill.data.simulate import Simulate
from shopstill.data.split import SplitConfig
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.latency import Timing
from shopstill.evaluate.results import RANDOM
from shopstill.losses import LOSSES, check_options
from shopstill.models.build import Text
from shopstill.models.cross import Cross
from shopstill.models.joint import Joint
from shopstill.tasks._contest import BM25, TEACHER
from shopstill.tasks.relevance import Relevance
from shopstill.teach.mine import Mine
from shopstill.train.fit import Training
from shopstill.types import Term

SIMULATE = "simulate"
_NAME = r"^[a-z0-9][a-z0-9_-]*$"


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


@config
class CrossTeacher:
    """A cross-encoder, fine-tuned on the grades, or taken as it is where ``training`` is null."""

    kind: Literal["cross"] = "cross"
    model: Cross = Field(default_factory=Cross)
    objective: tuple[Term, ...] = Field(default=(Term(loss="bce"),), min_length=1)
    training: Training | None = Field(default_factory=Training)


@config
class EnsembleTeacher:
    """Several cross-encoders; the mean of their logits is the teacher's."""

    kind: Literal["ensemble"] = "ensemble"
    members: tuple[CrossTeacher, ...] = Field(min_length=2)


@config
class ScoresTeacher:
    """Scores made elsewhere: Parquet, JSONL or CSV with ``query_id, product_id, score``, or a TREC run."""

    kind: Literal["scores"] = "scores"
    path: Path


Teacher = Annotated[CrossTeacher | EnsembleTeacher | ScoresTeacher, Field(discriminator="kind")]


@config
class Student:
    """A student: its network, what it learns from the teacher, and what its twin learns from the grades alone."""

    model: Text
    objective: tuple[Term, ...] = Field(min_length=1)
    twin: tuple[Term, ...] = Field(default=(Term(loss="bce"),), min_length=1)
    training: Training = Field(default_factory=Training)


@config
class Recipe:
    """A whole run."""

    name: str = Field(pattern=_NAME)
    seed: int = Field(default=0, ge=0)
    runs: Path = Path("runs")
    shop: Annotated[Source, PlainValidator(_read_source), PlainSerializer(_write_source)]
    strict: bool = False
    split: SplitConfig = Field(default_factory=SplitConfig)
    task: Relevance = Field(default_factory=Relevance)
    teacher: Teacher = Field(default_factory=CrossTeacher)
    mine: Mine = Field(default_factory=Mine)
    students: dict[Annotated[str, Field(pattern=_NAME)], Student] = Field(min_length=1)
    judging: Judging = Field(default_factory=Judging)
    timing: Timing | None = Field(default_factory=Timing)


def read(path: Path, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe file.

    ``${NAME}`` and ``${NAME:-otherwise}`` in a value stand for environment variables.

    Args:
        path: YAML.
        changes: ``a.b.c=value`` each; the value is read as YAML.

    Raises:
        ConfigError: the file is not YAML, a key is unknown, or a value is not what it must be; all faults are named.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        known = sorted(str(p) for p in Path(path).parent.glob("*.yaml")) if Path(path).parent.is_dir() else []
        raise ConfigError(f"{path}: no such recipe; {nearest(str(path), known)}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as cause:
        raise ConfigError(f"{path}: not YAML: {cause}") from None
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path}: holds {type(values).__name__} where a mapping is expected, such as 'name: my-run'")
    for change in changes:
        values = override(values, *_change(change))
    return build(Recipe, _expand(values), str(path))


def _change(text: str) -> tuple[str, Any]:
    """Key and value of ``key=value``."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text!r}: write it as key=value, such as seed=1 or teacher.training.epochs=2")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as cause:
        raise ConfigError(f"--set {text!r}: the value is not YAML: {cause}") from None


def check(recipe: Recipe) -> None:
    """Find what reading the recipe cannot: faults between its parts, unknown losses, files that are not there.

    Raises:
        ConfigError: a loss or an option of it is unknown or out of bounds; a name is taken; a model needs what the
            teacher does not have; the file of scores is not there. All faults of the recipe itself are named.
        DataError: a source of the shop is not there.
    """
    faults = [*_name_faults(recipe), *_model_faults(recipe)]
    for place, terms, taught in _objectives(recipe):
        faults += [f"{place}: {fault}" for fault in _term_faults(terms, taught)]
    if faults:
        raise ConfigError("\n".join(faults))
    if isinstance(recipe.teacher, ScoresTeacher) and not recipe.teacher.path.is_file():
        raise ConfigError(f"teacher.path: {recipe.teacher.path} is no file; give the path of a file of scores")
    if not isinstance(recipe.shop.options, Simulate):
        recipe.shop.options.sources()


def _members(teacher: Teacher) -> dict[str, CrossTeacher]:
    """The cross-encoders of a teacher, by their place in the recipe."""
    if isinstance(teacher, EnsembleTeacher):
        return {f"teacher.members.{number}": member for number, member in enumerate(teacher.members)}
    return {"teacher": teacher} if isinstance(teacher, CrossTeacher) else {}


def _objectives(recipe: Recipe) -> Iterator[tuple[str, tuple[Term, ...], bool]]:
    """Every objective: its place, its terms, and whether a teacher's labels are there."""
    for place, member in _members(recipe.teacher).items():
        yield f"{place}.objective", member.objective, False
    for name, student in recipe.students.items():
        yield f"students.{name}.objective", student.objective, True
        yield f"students.{name}.twin", student.twin, False


def _term_faults(terms: tuple[Term, ...], taught: bool) -> Iterator[str]:
    for term in terms:
        try:
            check_options(term.loss, term.options)
        except ConfigError as cause:
            yield str(cause)
            continue
        spec = LOSSES.module(term.loss).SPEC
        if spec.against == "teacher" and not taught:
            yield f"{term.loss} compares with a teacher, but there is none here; use a loss of the target"
        elif spec.takes == "attention":
            yield f"{term.loss} compares attention, which the label store lacks; use a loss of features or scores"
        elif spec.takes == "features" and term.tap is None:
            yield f"{term.loss} compares features; name which with tap, such as tap: pooled"


def _name_faults(recipe: Recipe) -> Iterator[str]:
    for name in {TEACHER, BM25, RANDOM} & recipe.students.keys():
        yield f"students.{name}: the name {name!r} stands for another model in the report; give the student another"


def _model_faults(recipe: Recipe) -> Iterator[str]:
    untaught = {f"{place}.model": member.model for place, member in _members(recipe.teacher).items()}
    models = {f"students.{name}.model": student.model for name, student in recipe.students.items()}
    for place, model in [*untaught.items(), *models.items()]:
        if "teacher" in _starts(model) and (place in untaught or not untaught):
            yield f"{place}: start 'teacher', but there is no teacher with weights here; name a pretrained start"
        if isinstance(model, Cross) and model.outputs > 1:
            yield f"{place}.outputs: {model.outputs}, but relevance is one number; leave it out"


def _starts(model: Text) -> list[str | None]:
    if isinstance(model, Joint):
        return [*_starts(model.cross), *_starts(model.towers)]
    return [model.start] if isinstance(model, Cross) else [model.query.start, model.product.start]


def recipe_schema() -> dict[str, Any]:
    """The JSON schema of a recipe, for editors."""
    made = schema(Recipe)
    sources = {name: READERS.get(name) for name in READERS.names()} | {SIMULATE: Simulate}
    options = []
    for name, cls in sources.items():
        own = schema(cls)
        made.setdefault("$defs", {}).update(own.pop("$defs", {}))
        own["properties"] = {"reader": {"const": name}, **own.get("properties", {})}
        own["required"] = ["reader", *own.get("required", [])]
        options.append(own)
    made["properties"]["shop"] = {"oneOf": options}
    return made


def _expand(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _expand(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_expand(v) for v in value]
    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", _variable, value) if isinstance(value, str) else value


def _variable(found: re.Match[str]) -> str:
    value = os.environ.get(found[1], found[2])
    if value is None:
        raise ConfigError(f"{found[0]}: the environment has no {found[1]}; set it, or write ${{{found[1]}:-otherwise}}")
    return value
