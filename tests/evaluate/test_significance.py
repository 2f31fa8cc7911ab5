"""Intervals cover, tests hold their level, corrections and ratios are exact."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from shopstill.evaluate.judged import judged
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.significance import Sampled, bootstrap, headroom, holm, kept, permutation_test
from shopstill.evaluate.statistic import Statistic, statistic


def _mean(value_V: np.ndarray, name: str = "mae") -> Statistic:
    """A statistic whose value per unit is given: one row a unit, absolute error."""
    units = np.arange(len(value_V))
    zeros = np.zeros(len(value_V))
    return statistic(parse_metric(name), judged(units, zeros, zeros, len(units)), value_V)


@pytest.mark.parametrize("units", [8, 40])
def test_intervals_cover_the_truth_as_often_as_they_say(units: int) -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(1000):
        made = _mean(np.abs(rng.normal(3, 0.5, units)))
        found = bootstrap({"m": made}, resamples=400, seed=trial)["m"].estimate()
        hits += found.low <= 3 <= found.high
    assert 0.925 <= hits / 1000 <= 0.97  # 0.89 for 8 units without the wider tails


def test_resamples_are_paired_and_repeat_under_a_seed() -> None:
    rng = np.random.default_rng(1)
    value_V = rng.random(200)
    drawn = bootstrap({"a": _mean(value_V), "b": _mean(value_V + 0.1)}, resamples=300, seed=5)
    np.testing.assert_allclose((drawn["b"] - drawn["a"]).draw_R, 0.1)
    again = bootstrap({"a": _mean(value_V)}, resamples=300, seed=5)["a"]
    np.testing.assert_array_equal(drawn["a"].draw_R, again.draw_R)
    assert not np.array_equal(again.draw_R, bootstrap({"a": _mean(value_V)}, resamples=300, seed=6)["a"].draw_R)


def test_queries_not_rows_are_resampled() -> None:
    """Rows of a query that err alike say less than as many queries: the interval must know."""
    rng = np.random.default_rng(2)
    error_U = np.abs(rng.normal(1, 0.3, 30))
    unit_N = np.repeat(np.arange(30), 50)
    zeros = np.zeros(1500)
    by_query = statistic(parse_metric("mae"), judged(unit_N, zeros, zeros, 30), error_U[unit_N])
    clustered = bootstrap({"m": by_query}, resamples=500)["m"].estimate()
    naive = bootstrap({"m": _mean(error_U[unit_N])}, resamples=500)["m"].estimate()
    assert clustered.high - clustered.low > 4 * (naive.high - naive.low)


def test_one_unit_gives_no_interval() -> None:
    found = bootstrap({"m": _mean(np.array([2.0]))}, resamples=100)["m"].estimate()
    assert (found.value, found.low, found.high) == (2.0, None, None)
    assert not found.excludes_zero


@pytest.mark.parametrize("units", [6, 60])
def test_permutation_test_agrees_with_scipy(units: int) -> None:
    rng = np.random.default_rng(units)
    first, second = rng.random(units), rng.random(units) + 0.15
    ours = permutation_test(_mean(first), _mean(second), permutations=5000)
    theirs = scipy.stats.permutation_test(
        (first, second),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=5000,
        random_state=0,
    ).pvalue
    assert ours == pytest.approx(theirs, abs=1e-12 if units == 6 else 0.02)


@pytest.mark.parametrize("name", ["spearman", "rmse"])
def test_the_test_holds_its_level_and_has_power(name: str) -> None:
    rng = np.random.default_rng(3)
    unit_N = np.repeat(np.arange(40), 6)
    metric, alike, apart = parse_metric(name), [], []
    for trial in range(120):
        grade_N = rng.normal(size=240)
        truth = judged(unit_N, np.zeros(240), grade_N, 40)
        a, b, c = (statistic(metric, truth, grade_N + s * rng.normal(size=240)) for s in (1.0, 1.0, 2.0))
        alike.append(permutation_test(a, b, permutations=400, seed=trial))
        apart.append(permutation_test(a, c, permutations=400, seed=trial))
    assert np.mean(np.array(alike) <= 0.05) <= 0.11
    assert np.mean(np.array(apart) <= 0.05) >= 0.95


def test_equal_models_are_not_told_apart() -> None:
    value_V = np.random.default_rng(4).random(100)
    assert permutation_test(_mean(value_V), _mean(value_V)) == 1.0


def test_holm() -> None:
    assert holm([]) == []
    assert holm([0.02, 0.5, 0.6]) == pytest.approx([0.06, 1.0, 1.0])
    p_values = list(np.random.default_rng(0).random(20) ** 3)
    adjusted = holm(p_values)
    order = np.argsort(p_values)
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))


def test_headroom_and_ratio() -> None:
    rng = np.random.default_rng(5)
    noise_R = rng.normal(0, 0.01, 2000)

    def at(value: float) -> Sampled:
        return Sampled(value=value, draw_R=value + noise_R, units=400)

    share = headroom(at(0.92), at(0.93), at(0.90))
    assert share is not None
    assert share.value == pytest.approx(2 / 3)
    # The noise is common to all three, so the paired share does not vary.
    assert share.high - share.low == pytest.approx(0, abs=1e-9)
    assert headroom(at(0.92), at(0.90), at(0.90)) is None
    ratio = kept(at(0.5), at(0.4), higher=False)
    assert ratio is not None
    assert ratio.value == pytest.approx(0.8)
    assert kept(at(0.5), at(0.0), higher=True) is None


def test_headroom_of_an_error_is_the_part_of_it_removed() -> None:
    flat = np.zeros(100)
    at = [Sampled(value=v, draw_R=flat + v, units=50) for v in (0.46, 0.45, 0.55)]
    share = headroom(*at)
    assert share is not None
    assert share.value == pytest.approx(0.9)
