"""How far confidence is from being right."""

from __future__ import annotations

import numpy as np
import pytest

from shopstill.core.errors import DataError
from shopstill.evaluate.compare import Judging, compare
from shopstill.evaluate.judged import Truth, judged
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.statistic import statistic

ECE = parse_metric("ece")


def test_it_is_the_weighted_distance_over_bins() -> None:
    truth = judged(range(4), [1] * 4, [0, 1, 2, 2], units=4)
    said = np.array([[0.9, 0], [0.9, 0], [0.5, 2], [0.5, 2]])
    assert statistic(ECE, truth, said).value == pytest.approx(0.5 * abs(0.5 - 0.9) + 0.5 * abs(1 - 0.5))


def test_a_resample_is_the_metric_of_the_repeated_rows() -> None:
    draw = np.random.default_rng(0)
    grade, said = draw.integers(3, size=40), np.stack([draw.random(40), draw.integers(3, size=40)], 1)
    weight = draw.integers(3, size=40)
    rows = np.repeat(np.arange(40), weight)
    again = statistic(ECE, judged(np.arange(len(rows)), np.ones(len(rows)), grade[rows], units=len(rows)), said[rows])
    whole = statistic(ECE, judged(np.arange(40), np.ones(40), grade, units=40), said)
    assert whole.resampled(weight[None].astype(float))[0] == pytest.approx(again.value)


def test_models_are_judged_by_confidence_and_class_together() -> None:
    truth = Truth(
        unit_ids=list("abcd"),
        queries=list("abcd"),
        unit_N=range(4),
        product_ids=list("abcd"),
        titles=list("abcd"),
        grade_N=[0, 1, 1, 1],
        gain_N=[1] * 4,
    )
    config = Judging(
        metrics=("accuracy", "ece"), resamples=100, slice_resamples=100, permutations=100, min_candidates=1
    )
    scores, classes = {"teacher": [0.8] * 4}, {"teacher": [0, 1, 1, 1]}
    found = compare(truth, scores, {"teacher": "teacher"}, config, classes)
    assert found.score("teacher", "ece").estimate.value == pytest.approx(0.2)  # type: ignore[union-attr]
    assert found.score("random", "ece").estimate.value == 0, "the commonest class, with the confidence that it has"


def test_what_is_no_confidence_is_refused() -> None:
    with pytest.raises(DataError, match="from 0 to 1"):
        statistic(ECE, judged([0], [1], [0], units=1), np.array([[1.5, 0]]))
