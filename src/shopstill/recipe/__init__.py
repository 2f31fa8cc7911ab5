"""A recipe: one run, from the shop to the report, as plain values; it never names code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from shopstill.compress import PASSES
from shopstill.core.config import build, config, override, schema
from shopstill.core.errors import ConfigError, nearest
from shopstill.data.readers import READERS
from shopstill.data.simulate import Simulate
from shopstill.data.split import SplitConfig
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.latency import Timing
from shopstill.recipe.parts import (
    DEFAULT_TASK,
    NAME,
    SIMULATE,
    AnySource,
    AnyTask,
    Chain,
    CrossTeacher,
    EnsembleTeacher,
    ModelTeacher,
    ScoresTeacher,
    Source,
    Student,
    Teacher,
    Trained,
)
from shopstill.tasks import TASKS, measures_of
from shopstill.tasks.relevance import Relevance
from shopstill.teach.mine import Mine

__all__ = [
    "Chain",
    "CrossTeacher",
    "EnsembleTeacher",
    "ModelTeacher",
    "Recipe",
    "ScoresTeacher",
    "Source",
    "Student",
    "Teacher",
    "Trained",
    "read",
    "recipe_schema",
]


@config
class Recipe:
    """A whole run.

    Attributes:
        name: of the run: small letters, digits, ``-`` and ``_``.
        seed: of whatever training draws by chance.
        runs: the folder of all runs; this one lies in it under its name.
        shop: where the shop comes from: a ``reader`` by name with its options, or ``reader: simulate``.
        strict: stop at the first row that cannot be used. Without it such a row is set aside, told on the console and
            in the report, and written down in ``prepare/rejected.parquet`` with file, line, field, value and reason.
        split: how queries are parted.
        task: what is learnt: a name, or ``kind`` with its options.
        teacher: whom students learn from.
        mine: pairs that nobody judged, for the teacher to label.
        students: what is distilled, by name.
        baselines: models trained on the truth alone, beside which teacher and students are judged, by name: such as
            networks as large as the teacher that read a part of what it reads.
        compress: chains of passes over trained models, by name.
        judging: how models are judged.
        timing: how latency is measured; null for not at all.
    """

    name: str = Field(pattern=NAME)
    seed: int = Field(default=0, ge=0)
    runs: Path = Path("runs")
    shop: AnySource
    strict: bool = False
    split: SplitConfig = Field(default_factory=SplitConfig)
    task: AnyTask = Field(default_factory=Relevance)
    teacher: Teacher = Field(default_factory=CrossTeacher)
    mine: Mine = Field(default_factory=Mine)
    students: dict[Annotated[str, Field(pattern=NAME)], Student] = Field(min_length=1)
    baselines: dict[Annotated[str, Field(pattern=NAME)], ModelTeacher] = Field(default_factory=dict)
    compress: dict[Annotated[str, Field(pattern=NAME)], Chain] = Field(default_factory=dict)
    judging: Judging = Field(default_factory=Judging)
    timing: Timing | None = Field(default_factory=Timing)


def read(path: Path, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe file.

    ``${NAME}`` and ``${NAME:-otherwise}`` in a value stand for environment variables. Where ``judging`` names no
    metric, it is by those of the task.

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
    values = _expand(values)
    made = build(Recipe, values, str(path))
    if "metrics" in (values.get("judging") or {}):
        return made
    return replace(made, judging=replace(made.judging, metrics=measures_of(made.task).usual))


def _change(text: str) -> tuple[str, Any]:
    """Key and value of ``key=value``."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text!r}: write it as key=value, such as seed=1 or teacher.training.epochs=2")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as cause:
        raise ConfigError(f"--set {text!r}: the value is not YAML: {cause}") from None


def recipe_schema() -> dict[str, Any]:
    """The JSON schema of a recipe, for editors."""
    made = schema(Recipe)
    sources = {name: READERS.get(name) for name in READERS.names()} | {SIMULATE: Simulate}
    passes = {name: PASSES.get(name) for name in PASSES.names()}
    tasks = {name: TASKS.get(name) for name in TASKS.names()}
    made["properties"]["shop"] = {"oneOf": [_option(made, "reader", name, cls) for name, cls in sources.items()]}
    made["properties"]["task"] = {"oneOf": [_option(made, "kind", *task) for task in tasks.items()]}
    for option in made["properties"]["task"]["oneOf"]:
        if option["properties"]["kind"]["const"] == DEFAULT_TASK:
            option["required"].remove("kind")
    options = [_option(made, "kind", name, cls) for name, cls in passes.items()]
    chain = made["$defs"]["Chain"]["properties"]
    chain["passes"] = {**chain["passes"], "items": {"oneOf": [{"enum": list(passes)}, *options]}}
    return made


def _option(whole: dict[str, Any], key: str, name: str, cls: type) -> dict[str, Any]:
    """The schema of a configuration that ``key`` names; what it refers to goes into the whole."""
    own = schema(cls)
    whole.setdefault("$defs", {}).update(own.pop("$defs", {}))
    own["properties"] = {**own.get("properties", {}), key: {"const": name}}
    own["required"] = [key, *(k for k in own.get("required", []) if k != key)]
    return own


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
