"""Everything that a report tells of: the evaluation, times, sizes and lineage, and look-ups across them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shopstill.core.artifact import Artifact
from shopstill.core.hardware import machine
from shopstill.evaluate.latency import Cell, Latency, Ratio
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.results import Comparison, Evaluation
from shopstill.evaluate.size import Size
from shopstill.evaluate.steps import Step, front
from shopstill.evaluate.wording import Wording


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was found, of whatever was measured.

    Attributes:
        title: of the report, such as the recipe's name.
        evaluation: quality.
        latency: times; None where none were taken. A contender and a model of one name are one thing.
        sizes: model → size.
        lineage: the artifacts that led here, in the order they were made.
        made: when, as text.
        steps: what passes made of which model.
    """

    title: str
    evaluation: Evaluation
    latency: Latency | None = None
    sizes: Mapping[str, Size] = field(default_factory=dict)
    lineage: Sequence[Artifact] = ()
    made: str = ""
    steps: Sequence[Step] = ()

    @property
    def primary(self) -> str:
        """The metric that counts first."""
        return self.evaluation.metrics[0]

    @property
    def words(self) -> Wording:
        """What units and rows are called."""
        return Wording(**self.evaluation.config.get("words", {}))

    @property
    def teacher(self) -> str | None:
        """The teacher's name; None without one."""
        return next(iter(self.evaluation.named("teacher")), None)

    @property
    def students(self) -> tuple[str, ...]:
        """The students' names, the one that matters most first."""
        return self.evaluation.named("student")

    @property
    def told(self) -> tuple[str, ...]:
        """The students that are told of one by one: all; of many steps those that nothing beats, the smallest first."""
        if not self.steps:
            return self.students
        return tuple(sorted(set(self.front) & set(self.students), key=lambda model: self.sizes[model].bytes))

    @property
    def labelled(self) -> set[str]:
        """The models that charts name: all; of many steps what they began with, and those that nothing beats."""
        made = {step.name for step in self.steps} - set(self.told)
        return set(self.evaluation.roles) - made

    @property
    def machine(self) -> Mapping[str, object]:
        """The machine that times were taken on; this one, where none were."""
        return self.latency.machine if self.latency else machine()

    @property
    def place(self) -> tuple[int, int] | None:
        """(candidates, threads) that times are told for: the most candidates on the fewest threads."""
        if self.latency is None or not self.latency.cells:
            return None
        return max(c.candidates for c in self.latency.cells), min(c.threads for c in self.latency.cells)

    def cell(self, model: str) -> Cell | None:
        """A model's times at ``place``."""
        return self.latency.cell(model, *self.place) if self.latency and self.place else None

    def ratio(self, model: str) -> Ratio | None:
        """A model's ratio to the teacher's time at ``place``."""
        found = self.latency.ratio(model, *self.place) if self.latency and self.place else None
        return found if found and found.reference == self.teacher else None

    def twin(self, student: str) -> Comparison | None:
        """The student against its twin on the primary metric."""
        wanted = ("student-twin", student, self.primary)
        return next((c for c in self.evaluation.comparisons if (c.question, c.first, c.metric) == wanted), None)

    def higher(self, metric: str) -> bool:
        """Whether more is better."""
        return parse_metric(metric).higher

    @property
    def front(self) -> list[str]:
        """The models that nothing beats in quality, time and size at once, of those that have all three."""
        sign = 1 if self.higher(self.primary) else -1
        scores = {model: self.evaluation.score(model, self.primary) for model in self.sizes}
        quality = {model: sign * score.estimate.value for model, score in scores.items() if score}
        cells = {model: self.cell(model) for model in quality}
        return front(quality, {m: (cell.p50, float(self.sizes[m].bytes)) for m, cell in cells.items() if cell})
