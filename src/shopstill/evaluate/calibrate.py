"""Grades from scores: the increasing curve, learned on validation data, that RMSE is measured behind.

A ranking score has no unit; its RMSE against grades means nothing. Every model, BM25 included, gets the same fair
chance: the best increasing step-wise curve from its scores to the grades, fitted on data that is neither trained nor
tested on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from shopstill.core.errors import DataError
from shopstill.evaluate.judged import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """An increasing, piecewise linear curve through knots; constant beyond the ends."""

    score_K: Floats
    grade_K: Floats

    def __call__(self, score_N: ArrayLike) -> Floats:
        """[N] the grade expected at each score."""
        return np.interp(np.asarray(score_N, dtype=np.float64), self.score_K, self.grade_K)


def fit_curve(score_N: ArrayLike, grade_N: ArrayLike, knots: int = 50) -> Curve:
    """Fit the increasing curve from scores to grades with the least squared error, through at most ``knots`` knots.

    Scores are put into bins of equal counts, whose means are then made increasing (isotonic regression, Barlow et al.
    1972); the bins keep the curve from following single rows.

    Raises:
        DataError: lengths differ, there is no row, or a value is not finite.

    >>> curve = fit_curve([0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 2.0, 3.0])
    >>> curve([-5.0, 1.5, 9.0])
    array([1., 2., 3.])
    """
    score, grade = np.asarray(score_N, dtype=np.float64), np.asarray(grade_N, dtype=np.float64)
    if score.shape != grade.shape or score.ndim != 1 or not score.size:
        raise DataError(f"calibration: scores {score.shape} and grades {grade.shape} must be equal and not empty")
    if not (np.isfinite(score).all() and np.isfinite(grade).all()):
        raise DataError("calibration: scores and grades must be finite numbers")
    _, of_N = np.unique(score, return_inverse=True)
    # Equal scores stay in one bin: a bin is where the middle of a value's rows falls.
    count_M = np.bincount(of_N)
    middle_M = (np.cumsum(count_M) - count_M / 2) / len(score)
    _, bin_N = np.unique(np.minimum((middle_M * knots).astype(np.int64), knots - 1)[of_N], return_inverse=True)
    weight_K = np.bincount(bin_N).astype(np.float64)
    mean_K = np.bincount(bin_N, weights=grade) / weight_K
    score_K = np.bincount(bin_N, weights=score) / weight_K
    return Curve(score_K=score_K, grade_K=isotonic_regression(mean_K, weights=weight_K).x)
