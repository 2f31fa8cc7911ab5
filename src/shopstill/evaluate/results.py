"""What judging found: plain frozen values that go to JSON and come back the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from shopstill.core.errors import ConfigError, DataError, nearest
from shopstill.evaluate.significance import Estimate

Kind = Literal["teacher", "student", "twin", "baseline", "random"]
RANDOM = "random"
JSON_FILE, UNITS_FILE = "evaluation.json", "units.parquet"

UNITS = pa.schema(
    [
        pa.field("unit_id", pa.string(), nullable=False, metadata={"meaning": "id of the query"}),
        pa.field("metric", pa.string(), nullable=False, metadata={"meaning": "such as ndcg@10"}),
        pa.field("model", pa.string(), nullable=False, metadata={"meaning": "name of the model"}),
        pa.field("value", pa.float64(), metadata={"meaning": "null where the unit is left out"}),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Role:
    """What a model is in the comparison; ``of`` names the student of a twin."""

    kind: Kind
    of: str | None = None


def parse_role(model: str, text: str) -> Role:
    """Read a role: teacher, student, "twin of STUDENT" or baseline.

    Raises:
        ConfigError: it is none of these.

    >>> parse_role("fast-direct", "twin of fast")
    Role(kind='twin', of='fast')
    """
    kind, _, rest = text.partition(" of ")
    if kind not in ("teacher", "student", "twin", "baseline") or (kind == "twin") != bool(rest):
        allowed = ("teacher", "student", "twin of STUDENT", "baseline")
        raise ConfigError(f"roles.{model}: unknown role {text!r}; {nearest(text, allowed)}")
    return Role(kind=kind, of=rest or None)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Score:
    """One metric of one model: its value with an interval, over so many units and rows."""

    model: str
    metric: str
    estimate: Estimate
    units: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The paired difference ``first − second`` of two models on one metric.

    Attributes:
        question: which kind of claim it settles: ``student-teacher``, ``student-twin``, ``student-baseline`` or
            ``teacher-baseline``.
        difference: first − second, with its paired bootstrap interval.
        p: two-sided p-value of the paired permutation test.
        p_corrected: the same after Holm's correction over all comparisons of the evaluation.
        verdict: whether the first is shown to be better, worse, or neither.
    """

    question: str
    first: str
    second: str
    metric: str
    difference: Estimate
    p: float
    p_corrected: float
    verdict: Literal["better", "worse", "not shown"]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a student keeps of its teacher on one metric.

    Attributes:
        ratio: student / teacher (teacher / student for errors); None where that divides by zero.
        headroom: (student − random) / (teacher − random); None where the teacher has no headroom to divide by.
    """

    student: str
    teacher: str
    metric: str
    ratio: Estimate | None
    headroom: Estimate | None


@dataclass(frozen=True, kw_only=True)
class SliceScore:
    """One metric of one model on a part of the test set.

    Attributes:
        slicing: what the set was divided by, such as ``query length``.
        label: which part.
        against_teacher: the paired difference from the teacher there; None for the teacher and without one.
        small: fewer units than it takes for a claim.
    """

    slicing: str
    label: str
    model: str
    metric: str
    estimate: Estimate
    against_teacher: Estimate | None
    units: int
    small: bool


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A product as a model ranks it: place from 1, id, title, and the truth's grade."""

    place: int
    product_id: str
    title: str
    grade: float


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """A query where a student and its teacher differ, with the top of each one's ranking."""

    unit_id: str
    query: str
    metric: str
    student: str
    teacher: str
    student_value: float
    teacher_value: float
    candidates: int
    student_top: tuple[Shown, ...]
    teacher_top: tuple[Shown, ...]
    picture: str | None = None
    truth: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """One class by one model.

    Attributes:
        support: how many of the test set are of it.
        precision: share of those that the model puts there that are right; None where it puts none there.
        recall: share of those that are of it that the model puts there.
        mistaken_for: the class that it is most often mistaken for, and how often; None where it never is.
    """

    label: str
    model: str
    support: int
    precision: float | None
    recall: float
    mistaken_for: tuple[str, int] | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Models judged side by side.

    Attributes:
        config: the resolved configuration of the judging.
        roles: model → its role, in the order they are shown.
        units: units of the test set.
        rows: judged rows of the test set.
        left_out: metric → reason → how many units it leaves out.
        scores: every metric of every model.
        comparisons: the paired differences.
        kept: what each student keeps, per metric.
        slices: metrics on parts of the test set.
        disagreements: where students and teacher differ most.
        classes: each class by each model, where there are any.
        per_unit: one row per unit, metric and model (schema ``UNITS``); goes to Parquet, not to JSON.
    """

    config: Mapping[str, Any]
    roles: Mapping[str, Role]
    units: int
    rows: int
    left_out: Mapping[str, Mapping[str, int]]
    scores: tuple[Score, ...]
    comparisons: tuple[Comparison, ...]
    kept: tuple[Kept, ...]
    slices: tuple[SliceScore, ...]
    disagreements: tuple[Disagreement, ...]
    classes: tuple[ClassScore, ...] = ()
    per_unit: pa.Table = field(default_factory=UNITS.empty_table, repr=False, compare=False)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, the primary one first."""
        return tuple(dict.fromkeys(score.metric for score in self.scores))

    def named(self, kind: Kind) -> tuple[str, ...]:
        """The models of one kind, in order."""
        return tuple(model for model, role in self.roles.items() if role.kind == kind)

    def score(self, model: str, metric: str) -> Score | None:
        """One metric of one model; None where the model has none."""
        return next((s for s in self.scores if (s.model, s.metric) == (model, metric)), None)

    def comparison(self, first: str, second: str, metric: str) -> Comparison | None:
        """The paired difference of two models on a metric, if it was taken."""
        wanted = (first, second, metric)
        return next((c for c in self.comparisons if (c.first, c.second, c.metric) == wanted), None)

    def kept_by(self, student: str, metric: str) -> Kept | None:
        """What a student keeps on a metric; None without a teacher."""
        return next((k for k in self.kept if (k.student, k.metric) == (student, metric)), None)

    def plain(self) -> dict[str, Any]:
        """Everything but ``per_unit`` as plain JSON values."""
        values: dict[str, Any] = TypeAdapter(dict[str, Any]).dump_python(
            {f.name: getattr(self, f.name) for f in fields(self) if f.name != "per_unit"}, mode="json"
        )
        return values

    def to_json(self) -> str:
        """Everything but ``per_unit`` as JSON text."""
        return json.dumps(self.plain(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, folder: Path) -> None:
        """Write ``evaluation.json`` and ``units.parquet`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / JSON_FILE).write_text(self.to_json(), encoding="utf-8")
        pq.write_table(self.per_unit, folder / UNITS_FILE, compression="zstd")


def from_json(text: str, source: str = "evaluation") -> Evaluation:
    """The evaluation that ``Evaluation.to_json`` wrote, with an empty ``per_unit``.

    Raises:
        DataError: the text is not JSON, or a field is missing or of the wrong type.
    """
    hints = get_type_hints(Evaluation)
    try:
        values = json.loads(text)
        return Evaluation(
            **{
                f.name: TypeAdapter(hints[f.name]).validate_python(values[f.name])
                for f in fields(Evaluation)
                if f.name != "per_unit" and (f.name in values or f.default is MISSING)
            }
        )
    except (json.JSONDecodeError, KeyError, TypeError, ValidationError) as cause:
        raise DataError(f"{source}: not an evaluation ({type(cause).__name__}: {cause}); run evaluate again") from None


def load(folder: Path) -> Evaluation:
    """The evaluation that ``Evaluation.save`` wrote.

    Raises:
        DataError: a file is missing or is not what it must be.
    """
    try:
        stated = from_json((folder / JSON_FILE).read_text(encoding="utf-8"), str(folder / JSON_FILE))
        per_unit = pq.read_table(folder / UNITS_FILE, schema=UNITS)
    except FileNotFoundError as cause:
        raise DataError(f"{folder}: no evaluation here ({cause.filename} is missing); run evaluate") from None
    values = {f.name: getattr(stated, f.name) for f in fields(stated)}
    return Evaluation(**{**values, "per_unit": per_unit})
