"""Classes one by one: how well each model tells them, and which products it puts into the wrong one.

Shape legend: ``N`` judged rows, ``K`` classes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shopstill.evaluate.judged import Truth
from shopstill.evaluate.lineup import Lineup
from shopstill.evaluate.results import ClassScore, Disagreement, Shown


def class_scores(truth: Truth, models: Lineup) -> Iterator[ClassScore]:
    """Every class of the test set by every model, the most frequent class first."""
    true_N = np.asarray(truth.grade_N).astype(np.int64)
    for label in np.argsort(-np.bincount(true_N, minlength=len(truth.classes)), kind="stable") if truth.classes else ():
        own_N = true_N == label
        if not own_N.any():
            return
        for model, said_N in models.predictions.items():
            right, put = int((own_N & (said_N == label)).sum()), int((said_N == label).sum())
            wrong = np.bincount(said_N[own_N & (said_N != label)].astype(np.int64), minlength=len(truth.classes))
            most = int(wrong.argmax())
            yield ClassScore(
                label=truth.classes[label],
                model=model,
                support=int(own_N.sum()),
                precision=right / put if put else None,
                recall=right / int(own_N.sum()),
                mistaken_for=(truth.classes[most], int(wrong[most])) if wrong.any() else None,
            )


def mistakes(truth: Truth, models: Lineup, most: int) -> Iterator[Disagreement]:
    """Products that a student puts into a wrong class: first those that its teacher puts into the right one, the
    student's surest first."""
    teacher, true_N = models.teacher, np.asarray(truth.grade_N)
    if teacher is None:
        return
    for student in models.students:
        said_N, taught_N = models.predictions[student], models.predictions[teacher]
        wrong = np.flatnonzero(said_N != true_N)
        order = np.lexsort((-models.scores[student][wrong], taught_N[wrong] != true_N[wrong]))
        for row in wrong[order][:most]:
            yield Disagreement(
                unit_id=truth.unit_ids[row],
                query=truth.queries[row],
                metric="accuracy",
                student=student,
                teacher=teacher,
                student_value=0.0,
                teacher_value=float(taught_N[row] == true_N[row]),
                candidates=len(truth.classes),
                student_top=_said(truth, int(row), int(said_N[row])),
                teacher_top=_said(truth, int(row), int(taught_N[row])),
                picture=truth.picture(int(row)),
                truth=truth.classes[int(true_N[row])],
            )


def _said(truth: Truth, row: int, label: int) -> tuple[Shown, ...]:
    name = truth.classes[label]
    right = float(label == int(np.asarray(truth.grade_N)[row]))
    return (Shown(place=1, product_id=name, title=name, grade=right),)
