"""Metrics as functions of how often each unit counts, so that a resample costs a product of matrices.

Shape legend: ``N`` judged rows, ``V`` units that count for a metric, ``B`` resamples, ``J`` moments, ``C`` classes.

A mean over units, RMSE, accuracy, macro-F1 and Pearson's correlation are functions of sums over units of a few
moments; a resample only changes the weights of that sum. Spearman's correlation also needs the ranks anew, but not a
new sort: within rows sorted once, ranks are running sums of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from shopstill.core.errors import DataError
from shopstill.evaluate.judged import Floats, Ints, Judged, sums
from shopstill.evaluate.quality import Metric, unit_values

Finish = Callable[[Floats], Floats]

_BINS = 15


@dataclass(frozen=True, kw_only=True, eq=False)
class Statistic:
    """One metric of one model, ready to be resampled by unit.

    Attributes:
        metric: which.
        moment_VJ: what each counted unit adds to the sums.
        finish: sums [..., J] → values [...].
        unit_V: number of each counted unit; the same for every model, since it follows from the truth alone.
        ranks: recomputes a rank statistic exactly from unit weights; None where the moments say all.
    """

    metric: Metric
    moment_VJ: Floats
    finish: Finish
    unit_V: Ints
    ranks: WeightedSpearman | None = None

    @cached_property
    def value(self) -> float:
        """The metric on the sample as it is."""
        return float(self.finish(self.moment_VJ.sum(axis=0)))

    def spread_over(self, units: int) -> Floats:
        """[U] the value per unit of a metric that is a mean of them; NaN where the unit is left out."""
        assert self.finish is _mean, f"{self.metric.name} has no value per unit"
        value_U = np.full(units, np.nan)
        value_U[self.unit_V] = _mean(self.moment_VJ)
        return value_U

    def resampled(self, weight_BV: Floats) -> Floats:
        """[B] the metric where unit v counts ``weight_BV[b, v]`` times."""
        return self.ranks(weight_BV) if self.ranks else self.finish(weight_BV @ self.moment_VJ)


def statistic(metric: Metric, truth: Judged, score_N: Floats, *, min_candidates: int = 1) -> Statistic:
    """A metric of one model's scores (or predictions), by unit.

    ``min_candidates`` holds for unit-level metrics; a corpus-level metric takes every row.

    Raises:
        DataError: no unit counts for this metric, or all grades are equal where it correlates with them.

    >>> from shopstill.evaluate.judged import judged
    >>> from shopstill.evaluate.quality import parse_metric
    >>> truth = judged([0, 0, 1, 1], [1, 0, 1, 0], [1, 0, 1, 0], units=2)
    >>> statistic(parse_metric("accuracy"), truth, np.array([1.0, 0.0, 0.0, 0.0])).value
    0.75
    """
    if metric.level == "unit":
        value_U = unit_values([metric.name], truth, score_N, min_candidates=min_candidates)[metric.name]
        unit_V = np.flatnonzero(~np.isnan(value_U))
        moment_VJ = np.stack([value_U[unit_V], np.ones(len(unit_V))], axis=1)
        made = Statistic(metric=metric, moment_VJ=moment_VJ, finish=_mean, unit_V=unit_V)
    else:
        made = _corpus(metric, truth, score_N)
    if not len(made.unit_V):
        raise DataError(f"metric {metric.name!r}: no unit counts; each has too few candidates or no relevant product")
    if np.isnan(made.value):
        raise DataError(f"metric {metric.name!r}: is undefined where all grades are equal")
    return made


def _corpus(metric: Metric, truth: Judged, score_N: Floats) -> Statistic:
    unit_V, of_N = np.unique(truth.unit_N, return_inverse=True)
    if metric.base == "ece":
        columns = _confidences(score_N[:, 0], score_N[:, 1] == truth.grade_N)
        moment_VJ = np.stack([sums(of_N, column, len(unit_V)) for column in columns], axis=1)
        return Statistic(metric=metric, moment_VJ=moment_VJ, finish=_calibration, unit_V=unit_V)
    grade_N, error_N = truth.grade_N, score_N - truth.grade_N
    ranks, finish = None, _mean
    if metric.base == "rmse":
        columns, finish = [error_N**2, np.ones_like(error_N)], _root_mean
    elif metric.base == "mae":
        columns = [np.abs(error_N), np.ones_like(error_N)]
    elif metric.base == "hierarchical_f1" and truth.paths:
        columns = _steps(truth.paths, score_N, grade_N)
    elif metric.base in ("accuracy", "hierarchical_f1"):
        columns = [(error_N == 0).astype(np.float64), np.ones_like(error_N)]
    elif metric.base == "macro_f1":
        columns, finish = _confusion(score_N, grade_N), _macro_f1
    elif metric.base == "pearson":
        columns, finish = _products(_standard(score_N), _standard(grade_N)), _correlation
    else:
        ranks = WeightedSpearman(score_N, grade_N, of_N)
        columns, finish = _products(_standard(rankdata(score_N)), _standard(rankdata(grade_N))), _correlation
    moment_VJ = np.stack([sums(of_N, column, len(unit_V)) for column in columns], axis=1)
    return Statistic(metric=metric, moment_VJ=moment_VJ, finish=finish, unit_V=unit_V, ranks=ranks)


class WeightedSpearman:
    """Spearman's correlation over all rows, where each row counts as often as its unit.

    The value equals that of the data with its units repeated: ranks are mean ranks, and ties are exact.
    """

    def __init__(self, score_N: Floats, grade_N: Floats, unit_N: Ints) -> None:
        self._order_N = np.argsort(score_N, kind="stable")
        self._unit_N = unit_N[self._order_N]
        self._score = _Runs(score_N[self._order_N])
        by_grade_N = np.argsort(grade_N[self._order_N], kind="stable")
        self._grade = _Runs(grade_N[self._order_N][by_grade_N])
        self._by_grade_N = by_grade_N
        self._back_N = np.empty_like(by_grade_N)
        self._back_N[by_grade_N] = np.arange(len(by_grade_N))

    def __call__(self, weight_BV: Floats) -> Floats:
        """[B] the correlation under each row of unit weights; 0 where the scores are all equal."""
        if self._score.all_equal:
            return np.zeros(len(weight_BV))
        return np.array([self._one(weight_V[self._unit_N]) for weight_V in weight_BV])

    def _one(self, weight_N: Floats) -> float:
        middle = weight_N.sum() / 2
        score_N = self._score.midranks(weight_N) - middle
        grade_N = (self._grade.midranks(weight_N[self._by_grade_N]) - middle)[self._back_N]
        weighted_N = weight_N * score_N
        across, score, grade = weighted_N @ grade_N, weighted_N @ score_N, (weight_N * grade_N) @ grade_N
        if grade <= 0:
            return float("nan")
        return float(across / np.sqrt(score * grade)) if score > 0 else 0.0


class _Runs:
    """Runs of equal values in a sorted array."""

    def __init__(self, value_N: Floats) -> None:
        last_N = np.r_[value_N[1:] != value_N[:-1], True]
        self._last = np.flatnonzero(last_N)
        self._run_N = np.cumsum(last_N) - last_N
        self._distinct = len(self._last) == len(value_N)
        self.all_equal = len(self._last) == 1

    def midranks(self, weight_N: Floats) -> Floats:
        """[N] the mean rank of each row less ½, where row i stands ``weight_N[i]`` times."""
        upto_N = np.cumsum(weight_N)
        if self._distinct:
            return upto_N - weight_N / 2
        upto = upto_N[self._last]
        before = np.concatenate([[0.0], upto[:-1]])
        return ((before + upto) / 2)[self._run_N]


def _mean(total: Floats) -> Floats:
    return _over(total[..., 0], total[..., 1])


def _root_mean(total: Floats) -> Floats:
    # Sums that should be 0 may come out a hair below it.
    return np.asarray(np.sqrt(np.maximum(_mean(total), 0)), dtype=np.float64)


def _over(part: Floats, whole: Floats) -> Floats:
    out = np.full_like(part, np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def _standard(value_N: Floats) -> Floats:
    """Centred and scaled, so that moments lose no digits and two models' moments can be exchanged."""
    spread = value_N.std()
    return (value_N - value_N.mean()) / (spread if spread > 0 else 1.0)


def _products(x_N: Floats, y_N: Floats) -> list[Floats]:
    return [np.ones_like(x_N), x_N, y_N, x_N * x_N, y_N * y_N, x_N * y_N]


def _correlation(total: Floats) -> Floats:
    n, x, y, xx, yy, xy = np.moveaxis(total, -1, 0)
    spread_x, spread_y = n * xx - x * x, n * yy - y * y
    # What is left of a constant after rounding is no spread.
    flat = 1e-12 * n * n
    value = _over(n * xy - x * y, np.sqrt(np.maximum(spread_x, 0) * np.maximum(spread_y, 0)))
    return np.where(spread_y <= flat, np.nan, np.where(spread_x <= flat, 0.0, value))


def _confusion(predicted_N: Floats, class_N: Floats) -> list[Floats]:
    """Per class of the truth: right, predicted and true counts."""
    columns: list[Floats] = []
    for label in np.unique(class_N):
        said, true = predicted_N == label, class_N == label
        columns += [(said & true).astype(np.float64), said.astype(np.float64), true.astype(np.float64)]
    return columns


def _steps(paths: Sequence[Sequence[str]], predicted_N: Floats, class_N: Floats) -> list[Floats]:
    """Twice the steps that the predicted and the true path share from the root, and the steps of both together.

    Their sums' ratio is the hierarchical F-measure: each product counts with its category and all above it
    (Kiritchenko et al. 2006, "Learning and evaluation in the presence of class hierarchies"; Silla and Freitas 2011,
    doi:10.1007/s10618-010-0175-9).
    """
    number: dict[tuple[str, ...], int] = {}
    step_KD = np.full((len(paths), max(map(len, paths))), -1)
    for label, path in enumerate(paths):
        step_KD[label, : len(path)] = [
            number.setdefault((*path[:deep],), len(number)) for deep in range(1, len(path) + 1)
        ]
    said_ND, true_ND = step_KD[predicted_N.astype(np.int64)], step_KD[class_N.astype(np.int64)]
    shared_N = ((said_ND == true_ND) & (true_ND >= 0)).sum(axis=1)
    return [2.0 * shared_N, ((said_ND >= 0).sum(axis=1) + (true_ND >= 0).sum(axis=1)).astype(np.float64)]


def _confidences(confidence_N: Floats, right_N: NDArray[np.bool_]) -> list[Floats]:
    """Of each bin of confidence how far being right is from it, and how many there are in all.

    Raises:
        DataError: a confidence is not from 0 to 1.
    """
    if ((confidence_N < 0) | (confidence_N > 1)).any():
        raise DataError("ece: scores must be the confidence in the predicted class, from 0 to 1")
    bin_N = np.minimum((confidence_N * _BINS).astype(np.int64), _BINS - 1)
    apart_N = right_N - confidence_N
    return [*(apart_N * (bin_N == number) for number in range(_BINS)), np.ones_like(confidence_N)]


def _calibration(total: Floats) -> Floats:
    """Σ_b |Σ_{n in b} (right − confidence)| / N (Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599), 15 bins."""
    return _over(np.abs(total[..., :_BINS]).sum(axis=-1), total[..., _BINS])


def _macro_f1(total: Floats) -> Floats:
    """Mean over the classes that occur in the truth of 2·right / (predicted + true)."""
    right, said, true = (total[..., k::3] for k in range(3))
    f1 = np.where(true > 0, 2 * right / np.maximum(said + true, 1e-300), 0.0)
    return _over(f1.sum(axis=-1), (true > 0).sum(axis=-1).astype(np.float64))
