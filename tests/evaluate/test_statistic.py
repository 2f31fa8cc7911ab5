"""A metric under unit weights equals the metric of the data with its units repeated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from shopstill.core.errors import DataError
from shopstill.evaluate.judged import judged
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.statistic import statistic

UNITS, ROWS = 25, 300


def _data(ties: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(int(ties))
    unit_N = np.concatenate([np.arange(UNITS), rng.integers(0, UNITS, ROWS - UNITS)])
    grade_N = rng.integers(0, 4, ROWS).astype(float)
    score_N = grade_N + rng.normal(size=ROWS)
    return unit_N, grade_N, np.round(score_N) if ties else score_N


def _truths() -> dict[str, object]:
    return {
        "spearman": lambda s, g: spearmanr(s, g)[0],
        "pearson": lambda s, g: pearsonr(s, g)[0],
        "rmse": lambda s, g: np.sqrt(np.mean((s - g) ** 2)),
        "mae": lambda s, g: np.mean(np.abs(s - g)),
        "accuracy": lambda s, g: np.mean(s == g),
    }


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", list(_truths()))
def test_resamples_are_exact(name: str, ties: bool) -> None:
    unit_N, grade_N, score_N = _data(ties)
    of = _truths()[name]
    made = statistic(parse_metric(name), judged(unit_N, np.abs(grade_N), grade_N, UNITS), score_N)
    assert made.value == pytest.approx(of(score_N, grade_N))
    weight_BV = np.random.default_rng(2).multinomial(UNITS, np.full(UNITS, 1 / UNITS), size=5)
    for weight_V, value in zip(weight_BV, made.resampled(weight_BV.astype(float)), strict=True):
        times_N = weight_V[unit_N]
        assert value == pytest.approx(of(np.repeat(score_N, times_N), np.repeat(grade_N, times_N)))


def test_macro_f1_agrees_with_scikit_learn() -> None:
    f1_score = pytest.importorskip("sklearn.metrics").f1_score
    unit_N, grade_N, score_N = _data(ties=True)
    made = statistic(parse_metric("macro_f1"), judged(unit_N, grade_N, grade_N, UNITS), score_N)
    theirs = f1_score(grade_N, score_N, labels=np.unique(grade_N), average="macro", zero_division=0)
    assert made.value == pytest.approx(theirs)


PATHS = [("Home", "Kitchen", "Mugs"), ("Home", "Kitchen", "Pans"), ("Home", "Lamps"), ("Pets",)]


def test_hierarchical_f1_counts_the_steps_that_are_right() -> None:
    truth = judged([0, 1, 2], [1, 1, 1], [0, 0, 3], 3, paths=PATHS)
    made = statistic(parse_metric("hierarchical_f1"), truth, np.array([1.0, 2.0, 3.0]))
    assert made.value == pytest.approx(2 * (2 + 1 + 1) / (6 + 5 + 2))


def test_hierarchical_f1_is_that_of_sets_of_steps_under_every_resample() -> None:
    unit_N, grade_N, score_N = _data(ties=True)
    score_N = np.clip(score_N, 0, 3)
    made = statistic(parse_metric("hierarchical_f1"), judged(unit_N, grade_N, grade_N, UNITS, paths=PATHS), score_N)
    steps = [{path[:deep] for deep in range(1, len(path) + 1)} for path in PATHS]
    weight_BV = np.random.default_rng(2).multinomial(UNITS, np.full(UNITS, 1 / UNITS), size=5)
    for weight_V, value in zip(weight_BV, made.resampled(weight_BV.astype(float)), strict=True):
        rows = np.repeat(np.arange(ROWS), weight_V[unit_N])
        pairs = [(steps[int(score_N[row])], steps[int(grade_N[row])]) for row in rows]
        both = sum(len(said & true) for said, true in pairs)
        assert value == pytest.approx(2 * both / sum(len(said) + len(true) for said, true in pairs))


def test_hierarchical_f1_of_classes_without_a_tree_is_their_accuracy() -> None:
    unit_N, grade_N, score_N = _data(ties=True)
    truth = judged(unit_N, grade_N, grade_N, UNITS)
    flat, accuracy = (statistic(parse_metric(name), truth, score_N).value for name in ("hierarchical_f1", "accuracy"))
    assert flat == accuracy


@pytest.mark.parametrize("name", ["spearman", "pearson"])
def test_a_constant_ranks_nothing(name: str) -> None:
    unit_N, grade_N, _ = _data(ties=True)
    made = statistic(parse_metric(name), judged(unit_N, grade_N, grade_N, UNITS), np.full(ROWS, 0.1))
    assert made.value == 0
    assert made.resampled(np.ones((1, UNITS)))[0] == 0


def test_a_metric_without_units_is_an_error() -> None:
    with pytest.raises(DataError, match="no unit counts"):
        statistic(parse_metric("ndcg@10"), judged([0], [1.0], [1], 1), np.zeros(1), min_candidates=2)


def test_equal_grades_correlate_with_nothing() -> None:
    truth = judged([0, 1], [1.0, 1.0], [2.0, 2.0], 2)
    with pytest.raises(DataError, match="all grades are equal"):
        statistic(parse_metric("spearman"), truth, np.array([1.0, 2.0]))
