"""The queries where a student and its teacher differ most, in words.

Shape legend: ``N`` judged rows (a query with a product), ``U`` units (queries).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shopstill.evaluate.judged import Floats, Truth
from shopstill.evaluate.results import Disagreement, Shown
from shopstill.evaluate.statistic import Statistic


def disagreements(
    truth: Truth,
    student: tuple[Statistic, Floats],
    teacher: tuple[Statistic, Floats],
    names: tuple[str, str],
    limits: tuple[int, int],
) -> Iterator[Disagreement]:
    """The units with the largest |student − teacher| on a unit-level metric, the largest first.

    Args:
        truth: the test set.
        student: the student's statistic and its [N] scores.
        teacher: the same of the teacher.
        names: the two models' names, student first.
        limits: how many units, and how many products of each ranking.
    """
    unit_N = np.asarray(truth.unit_N, dtype=np.int64)
    units, shown = limits
    student_U, teacher_U = (made.spread_over(len(truth.unit_ids)) for made, _ in (student, teacher))
    apart_U = np.nan_to_num(np.abs(student_U - teacher_U))
    for unit in np.argsort(-apart_U, kind="stable")[:units]:
        if apart_U[unit] == 0:
            return
        rows = np.flatnonzero(unit_N == unit)
        yield Disagreement(
            unit_id=truth.unit_ids[unit],
            query=truth.queries[unit],
            metric=student[0].metric.name,
            student=names[0],
            teacher=names[1],
            student_value=float(student_U[unit]),
            teacher_value=float(teacher_U[unit]),
            candidates=len(truth.among) or len(rows),
            student_top=_top(truth, rows, student[1], shown),
            teacher_top=_top(truth, rows, teacher[1], shown),
        )


def _top(truth: Truth, rows: np.ndarray, score_N: Floats, shown: int) -> tuple[Shown, ...]:
    grade_N = np.asarray(truth.grade_N, dtype=np.float64)
    if truth.among:
        return _first(truth, int(rows[0]), score_N[int(rows[0]), 2 : 2 + shown])
    best = rows[np.argsort(-score_N[rows], kind="stable")][:shown]
    return tuple(
        Shown(place=place, product_id=truth.product_ids[row], title=truth.titles[row], grade=float(grade_N[row]))
        for place, row in enumerate(best, start=1)
    )


def _first(truth: Truth, row: int, item_S: np.ndarray) -> tuple[Shown, ...]:
    """What a model ranks first of a whole catalogue; the row itself has its grade, all others have none."""
    own = truth.titles[row]
    named = [truth.among[int(item) - 1] for item in item_S]
    return tuple(
        Shown(place=place, product_id=title, title=title, grade=float(title == own))
        for place, title in enumerate(named, start=1)
    )
