"""A recipe: one run, from the shop to the report, as plain values; it never names code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
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
from shopstill.models.build import Text
from shopstill.models.cross import Cross
from shopstill.tasks.relevance import Relevance
from shopstill.teach.mine import Mine
from shopstill.train.fit import Training
from shopstill.types import Term

SIMULATE = "simulate"


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

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    seed: int = Field(default=0, ge=0)
    runs: Path = Path("runs")
    shop: Annotated[Source, PlainValidator(_read_source), PlainSerializer(_write_source)]
    strict: bool = False
    split: SplitConfig = Field(default_factory=SplitConfig)
    task: Relevance = Field(default_factory=Relevance)
    teacher: Teacher = Field(default_factory=CrossTeacher)
    mine: Mine = Field(default_factory=Mine)
    students: dict[str, Student] = Field(min_length=1)
    judging: Judging = Field(default_factory=Judging)
    timing: Timing = Field(default_factory=Timing)


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
    except FileNotFoundError:
        known = sorted(str(p) for p in Path(path).parent.glob("*.yaml")) if Path(path).parent.is_dir() else []
        raise ConfigError(f"{path}: no such recipe; {nearest(str(path), known)}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as cause:
        raise ConfigError(f"{path}: not YAML: {cause}") from None
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path}: holds {type(values).__name__} where a mapping is expected, such as 'name: my-run'")
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise ConfigError(f"--set {change!r}: write it as key=value, such as seed=1 or teacher.training.epochs=2")
        values = override(values, key, yaml.safe_load(text))
    return build(Recipe, _expand(values), str(path))


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
