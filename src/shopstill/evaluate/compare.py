"""Models side by side on one test set: values, paired differences, what was kept, slices, disagreements.

Shape legend: ``N`` judged rows (a query with a product), ``U`` units (queries).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator, Field

from shopstill.core.config import config, plain
from shopstill.core.errors import DataError
from shopstill.core.progress import progress
from shopstill.evaluate.classes import class_scores, mistakes
from shopstill.evaluate.disagree import disagreements
from shopstill.evaluate.judged import Judged, Truth, check_scores, judged
from shopstill.evaluate.lineup import Lineup, lineup, statistics_of
from shopstill.evaluate.quality import Metric, left_out, parse_metric
from shopstill.evaluate.results import (
    RANDOM,
    Comparison,
    Disagreement,
    Evaluation,
    Kept,
    Role,
    Score,
    SliceScore,
)
from shopstill.evaluate.significance import Estimate, Sampled, bootstrap, headroom, holm, kept, permutation_test
from shopstill.evaluate.slices import ordered
from shopstill.evaluate.statistic import Statistic
from shopstill.evaluate.units import per_unit


def _known(name: str) -> str:
    return parse_metric(name).name


@config
class Judging:
    """How models are judged."""

    metrics: tuple[Annotated[str, AfterValidator(_known)], ...] = Field(
        default=("ndcg@10", "spearman"), min_length=1, description="the primary first; else a recipe takes its task's"
    )
    min_candidates: int = Field(default=2, ge=1, description="queries with fewer rows have no value of their own")
    relevant_grade: float | None = Field(default=None, description="least relevant grade; null: any gain above 0")
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    resamples: int = Field(default=2000, ge=100, description="of the bootstrap")
    slice_resamples: int = Field(default=500, ge=100, description="of the bootstrap on each slice")
    permutations: int = Field(default=10_000, ge=100)
    small: int = Field(default=30, ge=2, description="slices with fewer queries are marked as too small for a claim")
    disagreements: int = Field(default=10, ge=0, description="queries shown where student and teacher differ most")
    shown: int = Field(default=3, ge=1, description="products shown from the top of each ranking")
    seed: int = Field(default=0, ge=0)


def compare(
    truth: Truth,
    scores: Mapping[str, ArrayLike],
    roles: Mapping[str, str],
    config: Judging,
    predictions: Mapping[str, ArrayLike] | None = None,
) -> Evaluation:
    """Judge models side by side on one test set.

    A row ``random`` is added: a constant score, which tie-averaged metrics turn into the exact mean of random
    rankings. For correlations it is 0; for errors it predicts the best constant of this very test set; for classes
    the commonest one. That favours it, so headroom errs on the careful side. A truth whose rows are not all that was
    ranked says itself what chance gives.

    Args:
        truth: the test set.
        scores: model → [N] ranking scores on any scale; students in the order they matter.
        roles: model → ``teacher``, ``student``, ``twin of STUDENT`` or ``baseline``.
        config: how to judge.
        predictions: model → [N] predicted grades or classes, for rmse, mae, accuracy and macro_f1; a model that is
            not in it has no such metric. None: the scores are the predictions.

    Raises:
        ConfigError: a role or metric is unknown, a model has no role, there are two teachers.
        DataError: lengths differ, or a score is NaN; the message names model and row.
    """
    metrics = [parse_metric(name) for name in dict.fromkeys(config.metrics)]
    rows = _judged(truth, config)
    models = lineup(rows, scores, roles, scores if predictions is None else predictions)
    statistics = {m.name: statistics_of(m, rows, models, config.min_candidates) for m in metrics}
    sampled: dict[str, dict[str, Sampled]] = {}
    slices: list[SliceScore] = []
    divisions = _divisions(truth, rows)
    with progress("judging", len(metrics) + len(divisions), "parts") as bar:
        for name, made in statistics.items():
            sampled[name] = bootstrap(made, resamples=config.resamples, seed=config.seed)
            bar.advance(1, name)
        for name, label_N in divisions.items():
            slices += _slices(name, label_N, rows, models, config)
            bar.advance(1, name)
    return Evaluation(
        config=plain(config) | {"words": asdict(truth.words)},
        roles=models.roles,
        units=rows.units,
        rows=len(rows.unit_N),
        left_out={m.name: left_out(m, rows, config.min_candidates) for m in metrics if m.level == "unit"},
        scores=tuple(_scores(sampled, config.confidence)),
        comparisons=_comparisons(statistics, sampled, models.roles, config),
        kept=tuple(_kept(metrics, sampled, models, config.confidence)),
        slices=tuple(slices),
        disagreements=tuple(
            mistakes(truth, models, config.disagreements)
            if truth.classes
            else _disagreements(truth, statistics, models, config)
        ),
        classes=tuple(class_scores(truth, models)),
        per_unit=per_unit(truth, rows, models, statistics),
    )


def _judged(truth: Truth, config: Judging) -> Judged:
    rows = judged(
        truth.unit_N,
        truth.gain_N,
        truth.grade_N,
        len(truth.unit_ids),
        config.relevant_grade,
        len(truth.among),
        truth.paths,
    )
    per_unit = {"queries": truth.queries, **{f"slices[{k!r}]": v for k, v in truth.slices.items()}}
    per_row = {"product_ids": truth.product_ids, "titles": truth.titles}
    per_row |= {f"row_slices[{k!r}]": v for k, v in truth.row_slices.items()}
    for fields, count in ((per_unit, rows.units), (per_row, len(rows.unit_N))):
        for name, values in fields.items():
            if len(values) != count:
                raise DataError(f"truth: {name} has {len(values)} entries where {count} are expected")
    if truth.chance is None:
        return rows
    return replace(rows, chance_N=check_scores("chance", truth.chance, len(rows.unit_N)))


def _scores(sampled: Mapping[str, Mapping[str, Sampled]], confidence: float) -> Iterator[Score]:
    for metric, models in sampled.items():
        for model, drawn in models.items():
            yield Score(model=model, metric=metric, estimate=drawn.estimate(confidence), units=drawn.units)


def _comparisons(
    statistics: Mapping[str, Mapping[str, Statistic]],
    sampled: Mapping[str, Mapping[str, Sampled]],
    roles: Mapping[str, Role],
    config: Judging,
) -> tuple[Comparison, ...]:
    asked = [
        (metric, question, first, second)
        for metric, made in statistics.items()
        for question, first, second in _questions(roles)
        if first in made and second in made
    ]
    p_values = [
        permutation_test(
            statistics[metric][first], statistics[metric][second], permutations=config.permutations, seed=config.seed
        )
        for metric, _, first, second in asked
    ]
    return tuple(
        Comparison(
            question=question,
            first=first,
            second=second,
            metric=metric,
            difference=(difference := (sampled[metric][first] - sampled[metric][second]).estimate(config.confidence)),
            p=p,
            p_corrected=corrected,
            verdict=_verdict(difference, corrected, parse_metric(metric).higher, 1 - config.confidence),
        )
        for (metric, question, first, second), p, corrected in zip(asked, p_values, holm(p_values), strict=True)
    )


def _questions(roles: Mapping[str, Role]) -> Iterator[tuple[str, str, str]]:
    """(question, first, second): each student against teacher, twins and baselines; the teacher against baselines."""
    by_kind = {kind: [n for n, r in roles.items() if r.kind == kind] for kind in ("teacher", "student", "baseline")}
    for student in by_kind["student"]:
        yield from (("student-teacher", student, teacher) for teacher in by_kind["teacher"])
        yield from (("student-twin", student, name) for name, role in roles.items() if role.of == student)
        yield from (("student-baseline", student, baseline) for baseline in by_kind["baseline"])
    for teacher in by_kind["teacher"]:
        yield from (("teacher-baseline", teacher, baseline) for baseline in by_kind["baseline"])


def _verdict(difference: Estimate, p: float, higher: bool, level: float) -> Literal["better", "worse", "not shown"]:
    """A difference is shown where its interval excludes zero and the corrected test agrees."""
    if not difference.excludes_zero or p > level:
        return "not shown"
    return "better" if (difference.value > 0) == higher else "worse"


def _kept(
    metrics: Sequence[Metric],
    sampled: Mapping[str, Mapping[str, Sampled]],
    models: Lineup,
    confidence: float,
) -> Iterator[Kept]:
    teacher = models.teacher
    for student in models.students:
        for metric in metrics:
            drawn = sampled[metric.name]
            if teacher is None or teacher not in drawn or student not in drawn:
                continue
            yield Kept(
                student=student,
                teacher=teacher,
                metric=metric.name,
                ratio=kept(drawn[student], drawn[teacher], higher=metric.higher, confidence=confidence),
                headroom=headroom(drawn[student], drawn[teacher], drawn[RANDOM], confidence),
            )


def _divisions(truth: Truth, rows: Judged) -> dict[str, NDArray[np.object_]]:
    """Name of each division → [N] label of each row."""
    by_unit = {name: np.asarray(label_U, dtype=object)[rows.unit_N] for name, label_U in truth.slices.items()}
    return by_unit | {name: np.asarray(label_N, dtype=object) for name, label_N in truth.row_slices.items()}


def _slices(
    slicing: str, label_N: NDArray[np.object_], rows: Judged, models: Lineup, config: Judging
) -> Iterator[SliceScore]:
    for label in ordered(label_N):
        part, said = rows.rows(label_N == label), models.rows(label_N == label)
        for name in dict.fromkeys(config.metrics):
            drawn = _drawn(parse_metric(name), part, said, config)
            yield from _slice((slicing, label, name), drawn, models.teacher, config)


def _drawn(metric: Metric, rows: Judged, models: Lineup, config: Judging) -> dict[str, Sampled]:
    try:
        made = statistics_of(metric, rows, models, config.min_candidates)
    except DataError:
        return {}  # no query of this slice counts for the metric
    return bootstrap(made, resamples=config.slice_resamples, seed=config.seed)


def _slice(
    where: tuple[str, str, str], drawn: Mapping[str, Sampled], teacher: str | None, config: Judging
) -> Iterator[SliceScore]:
    slicing, label, metric = where
    for model, value in drawn.items():
        beside = drawn.get(teacher) if teacher and teacher != model else None
        yield SliceScore(
            slicing=slicing,
            label=label,
            model=model,
            metric=metric,
            estimate=value.estimate(config.confidence),
            against_teacher=(value - beside).estimate(config.confidence) if beside else None,
            units=value.units,
            small=value.units < config.small,
        )


def _disagreements(
    truth: Truth, statistics: Mapping[str, Mapping[str, Statistic]], models: Lineup, config: Judging
) -> Iterator[Disagreement]:
    """On the first metric that has a value per unit; none without a teacher."""
    per_unit = next((made for name, made in statistics.items() if parse_metric(name).level == "unit"), None)
    teacher = models.teacher
    if per_unit is None or teacher is None:
        return
    for student in models.students:
        yield from disagreements(
            truth,
            (per_unit[student], models.scores[student]),
            (per_unit[teacher], models.scores[teacher]),
            (student, teacher),
            (config.disagreements, config.shown),
        )
