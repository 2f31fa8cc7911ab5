"""How sure a difference is: paired bootstrap, paired permutation test, Holm's correction, headroom recovered.

Shape legend: ``V`` units that count for a metric, ``R`` resamples, ``J`` moments.

Queries are the independent units, so whole queries are resampled, for means over queries and for corpus-level metrics
alike (cluster bootstrap). A seed fixes the resamples, and every model sees the same ones: differences and ratios of
models are taken resample by resample, which is what makes them paired.

Intervals are percentile intervals, since one set of resamples then serves values, differences and ratios, and an
interval of a value maps onto that of any monotone function of it. A percentile interval is too narrow for few units;
its tails are widened so that the interval of a mean matches Student's (Hesterberg, "What teachers should know about
the bootstrap", The American Statistician 69, 2015: the expanded percentile interval). BCa would add a jackknife per
statistic and mends skewness that is small at the sizes (≥ 30 units) where we make claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from shopstill.evaluate.judged import Floats
from shopstill.evaluate.statistic import Statistic

_BLOCK = 2_000_000
_USABLE = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its interval; bounds are None where the sample cannot give them."""

    value: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sampled:
    """A value, and the value in every resample; arithmetic is resample by resample.

    >>> a = Sampled(value=3.0, draw_R=np.array([2.0, 4.0]), units=40)
    >>> (a - a).draw_R
    array([0., 0.])
    """

    value: float
    draw_R: Floats
    units: int

    def __sub__(self, other: Sampled) -> Sampled:
        return Sampled(value=self.value - other.value, draw_R=self.draw_R - other.draw_R, units=self.units)

    def __truediv__(self, other: Sampled) -> Sampled:
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(np.divide(self.value, other.value))
            return Sampled(value=value, draw_R=self.draw_R / other.draw_R, units=self.units)

    def estimate(self, confidence: float = 0.95) -> Estimate:
        """The value with its expanded percentile interval.

        Resamples in which the metric is undefined are left out; above 5% of them, or for a single unit, there is no
        interval.
        """
        usable = self.draw_R[np.isfinite(self.draw_R)]
        if self.units < 2 or len(usable) < _USABLE * len(self.draw_R):
            return Estimate(value=self.value, low=None, high=None)
        wider = np.sqrt(self.units / (self.units - 1)) * t.ppf((1 - confidence) / 2, self.units - 1)
        tail = float(norm.cdf(wider))
        low, high = np.quantile(usable, [tail, 1 - tail])
        return Estimate(value=self.value, low=float(low), high=float(high))


def bootstrap(statistics: Mapping[str, Statistic], *, resamples: int = 2000, seed: int = 0) -> dict[str, Sampled]:
    """Resample units with replacement; every statistic sees the same resamples.

    Args:
        statistics: one metric of several models, on the same units.
        resamples: how many.
        seed: fixes them; they depend on nothing else but the number of units.

    >>> from shopstill.evaluate.judged import judged
    >>> from shopstill.evaluate.quality import parse_metric
    >>> from shopstill.evaluate.statistic import statistic
    >>> truth = judged([0, 1, 2], [1, 0, 1], [1, 0, 1], units=3)
    >>> right = statistic(parse_metric("accuracy"), truth, np.array([1.0, 0.0, 1.0]))
    >>> bootstrap({"fast": right}, resamples=100)["fast"].estimate()
    Estimate(value=1.0, low=1.0, high=1.0)
    """
    units = {len(s.unit_V) for s in statistics.values()}
    assert len(units) <= 1, f"statistics of one bootstrap count different units: {units}"
    draws: dict[str, list[Floats]] = {name: [] for name in statistics}
    for weight_BV in _weights(max(units, default=0), resamples, seed):
        for name, made in statistics.items():
            draws[name].append(made.resampled(weight_BV))
    return {
        name: Sampled(value=made.value, draw_R=np.concatenate(draws[name]), units=len(made.unit_V))
        for name, made in statistics.items()
    }


def _weights(units: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Blocks [B, V] of how often each unit is drawn."""
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // max(units, 1))
    for start in range(0, resamples if units else 0, block):
        size = min(block, resamples - start)
        cell = rng.integers(0, units, (size, units)) + np.arange(size)[:, None] * units
        yield np.bincount(cell.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)


def permutation_test(first: Statistic, second: Statistic, *, permutations: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of the difference of two models, paired by unit.

    Under the null hypothesis the two models' outputs on a unit could as well be exchanged. Each permutation exchanges
    them on a random half of the units (for a mean over units: flips the sign of the unit's difference) and computes
    the difference again; p = (1 + #{|d| ≥ |observed|}) / (1 + permutations). With few units all 2^V exchanges are
    tried and p is exact. For correlations the exchanged values are the models' own ranks (Spearman) or standardised
    scores (Pearson) over the whole set, so that scales do not mix.

    Source: Edgington & Onghena, Randomization Tests, 4th ed. 2007; Smucker, Allan & Carterette, CIKM 2007.

    >>> from shopstill.evaluate.judged import judged
    >>> from shopstill.evaluate.quality import parse_metric
    >>> from shopstill.evaluate.statistic import statistic
    >>> truth, metric = judged([0, 1, 2], [1, 1, 1], [1, 1, 1], units=3), parse_metric("mae")
    >>> near, far = (statistic(metric, truth, np.array(p)) for p in ([1.0, 1.0, 1.0], [2.0, 2.0, 2.0]))
    >>> permutation_test(near, far)
    0.25
    """
    both_J = first.moment_VJ.sum(axis=0) + second.moment_VJ.sum(axis=0)
    apart_VJ = first.moment_VJ - second.moment_VJ

    def difference(sign_BV: Floats) -> Floats:
        shift = sign_BV @ apart_VJ
        return first.finish((both_J + shift) / 2) - first.finish((both_J - shift) / 2)

    units = len(apart_VJ)
    observed = abs(float(difference(np.ones((1, units)))[0]))
    # Sums in another order differ in their last digits; equal differences must count as equal.
    reached = observed - 1e-9 * max(observed, 1e-3)
    if 2**units <= permutations:
        return float(np.mean(np.abs(difference(_all_signs(units))) >= reached))
    beyond = sum(int((np.abs(difference(s)) >= reached).sum()) for s in _signs(units, permutations, seed))
    return (1 + beyond) / (1 + permutations)


def _all_signs(units: int) -> Floats:
    bits = (np.arange(2**units)[:, None] >> np.arange(units)) & 1
    return 1.0 - 2.0 * bits.astype(np.float64)


def _signs(units: int, permutations: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // units)
    for start in range(0, permutations, block):
        bits = rng.integers(0, 2, (min(block, permutations - start), units), dtype=np.int8)
        yield 1.0 - 2.0 * bits.astype(np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p-values that hold for all comparisons together.

    p̃₍ᵢ₎ = max over j ≤ i of min(1, (m − j + 1) · p₍ⱼ₎), for p sorted upwards and j from 1.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(len(p), 0, -1)))
    out = np.empty_like(p)
    out[order] = stepped
    return [float(v) for v in out]


def headroom(student: Sampled, teacher: Sampled, random: Sampled, confidence: float = 0.95) -> Estimate | None:
    """The part of the teacher's gain over no model that the student recovers.

    (student − random) / (teacher − random), resample by resample; for errors, where less is better, the same formula
    holds. None where the teacher itself is not shown to differ from random: there is no headroom to divide by.

    >>> at = lambda *v: Sampled(value=float(np.mean(v)), draw_R=np.array(v * 50), units=40)
    >>> round(headroom(at(0.7, 0.8), at(0.8, 0.9), at(0.3, 0.3)).value, 3)
    0.818
    """
    gain = teacher - random
    if not gain.estimate(confidence).excludes_zero:
        return None
    return ((student - random) / gain).estimate(confidence)


def kept(student: Sampled, teacher: Sampled, *, higher: bool, confidence: float = 0.95) -> Estimate | None:
    """The plain ratio: student / teacher, or teacher / student for errors, so that 1 is as good as the teacher.

    None where it would divide by zero.
    """
    part, whole = (student, teacher) if higher else (teacher, student)
    return (part / whole).estimate(confidence) if whole.value else None
