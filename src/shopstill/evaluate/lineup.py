"""The models that are judged together: roles and outputs, checked, and the random baseline beside them.

Shape legend: ``N`` judged rows (a query with a product).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from shopstill.core.errors import ConfigError, nearest
from shopstill.evaluate.judged import Bools, Floats, Judged, check_scores
from shopstill.evaluate.quality import OF_CLASSES, Metric
from shopstill.evaluate.results import RANDOM, Role, parse_role
from shopstill.evaluate.statistic import Statistic, statistic


@dataclass(frozen=True, kw_only=True, eq=False)
class Lineup:
    """Models with their roles, and what each says of every row."""

    roles: Mapping[str, Role]
    scores: Mapping[str, Floats]
    predictions: Mapping[str, Floats]

    @property
    def teacher(self) -> str | None:
        """The teacher's name; None without one."""
        return next((name for name, role in self.roles.items() if role.kind == "teacher"), None)

    @property
    def students(self) -> list[str]:
        """The students' names, in order."""
        return [name for name, role in self.roles.items() if role.kind == "student"]

    def rows(self, keep_N: Bools) -> Lineup:
        """The same models on some of the rows."""
        return Lineup(
            roles=self.roles,
            scores={name: score_N[keep_N] for name, score_N in self.scores.items()},
            predictions={name: value_N[keep_N] for name, value_N in self.predictions.items()},
        )


def lineup(
    rows: Judged, scores: Mapping[str, ArrayLike], roles: Mapping[str, str], predictions: Mapping[str, ArrayLike]
) -> Lineup:
    """Check models, roles and outputs against each other.

    Raises:
        ConfigError: a model has no role or no scores, a role is unknown, there are two teachers, a twin has no student.
        DataError: not one score per row, or one is NaN.
    """
    parsed, count = _roles(scores, roles), len(rows.unit_N)
    for name in predictions:
        if name not in scores:
            raise ConfigError(f"predictions.{name}: no such model; {nearest(name, scores)}")
    return Lineup(
        roles={**parsed, RANDOM: Role(kind="random")},
        scores={name: check_scores(name, score, count, among=rows.among) for name, score in scores.items()},
        predictions={name: check_scores(name, value, count, among=rows.among) for name, value in predictions.items()},
    )


def _roles(scores: Mapping[str, ArrayLike], roles: Mapping[str, str]) -> dict[str, Role]:
    if RANDOM in scores:
        raise ConfigError(f"model {RANDOM!r}: this name stands for the random baseline, which is computed; rename it")
    for name in [*scores, *roles]:
        if name not in roles or name not in scores:
            missing, known = ("role", roles) if name not in roles else ("scores", scores)
            raise ConfigError(f"model {name!r}: has no {missing}; {nearest(name, known)}")
    parsed = {name: parse_role(name, roles[name]) for name in scores}
    teachers = [name for name, role in parsed.items() if role.kind == "teacher"]
    if len(teachers) > 1:
        raise ConfigError(f"roles: {len(teachers)} teachers ({', '.join(teachers)}); one is judged at a time")
    students = [name for name, role in parsed.items() if role.kind == "student"]
    for name, role in parsed.items():
        if role.kind == "twin" and role.of not in students:
            raise ConfigError(f"roles.{name}: {role.of!r} is no student; {nearest(str(role.of), students)}")
    return parsed


def statistics_of(metric: Metric, rows: Judged, models: Lineup, min_candidates: int) -> dict[str, Statistic]:
    """Every model's statistic on a metric, and that of no model at all under ``random``.

    Raises:
        ConfigError: no model has the predictions that the metric reads.
        DataError: a prediction is infinite, or no unit counts.
    """
    said = models.scores
    if rows.among:
        if metric.level != "unit":
            raise ConfigError(f"metric {metric.name!r}: reads scores, and what is ranked among all has places alone")
        no_order = np.tile([0.0, rows.among - 1.0], (len(rows.unit_N), 1))
        return {name: statistic(metric, rows, place_N) for name, place_N in {**said, RANDOM: no_order}.items()}
    if metric.on != "scores":
        said = {name: check_scores(name, v, len(v), finite=True) for name, v in models.predictions.items()}
        if not said:
            raise ConfigError(f"metric {metric.name!r}: reads predictions, and no model has any")
    constant_N = np.full(len(rows.unit_N), _constant(metric, rows.grade_N))
    if metric.on == "scores" and rows.chance_N is not None:
        constant_N = rows.chance_N
    if metric.on == "both":
        said = {name: np.stack([models.scores[name], classes], 1) for name, classes in said.items()}
        share = float(np.mean(rows.grade_N == constant_N))
        constant_N = np.stack([np.full(len(constant_N), share), constant_N], 1)
    return {
        name: statistic(metric, rows, output_N, min_candidates=min_candidates)
        for name, output_N in {**said, RANDOM: constant_N}.items()
    }


def _constant(metric: Metric, grade_N: Floats) -> float:
    if metric.base in OF_CLASSES:
        grades, counts = np.unique(grade_N, return_counts=True)
        return float(grades[np.argmax(counts)])
    return float(np.median(grade_N) if metric.base == "mae" else np.mean(grade_N))
