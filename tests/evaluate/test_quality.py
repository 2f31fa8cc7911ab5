"""Metrics per query agree with the field's libraries, and ties with brute force over every order."""

from __future__ import annotations

import itertools
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopstill.core.errors import ConfigError, DataError
from shopstill.evaluate.judged import Judged, judged
from shopstill.evaluate.quality import left_out, parse_metric, unit_values

TIED = ["ndcg@3", "ndcg", "ndcg_exp@2", "mrr", "mrr@2", "map", "map@3", "recall@2", "precision@2"]


def _some(units: int = 60, seed: int = 0, rows: int = 800) -> tuple[Judged, np.ndarray]:
    rng = np.random.default_rng(seed)
    unit_N, gain_N = rng.integers(0, units, rows), rng.integers(0, 4, rows).astype(float)
    return judged(unit_N, gain_N, gain_N, units), rng.permutation(rows).astype(float)


def test_agrees_with_ir_measures() -> None:
    ir = pytest.importorskip("ir_measures")
    truth, score_N = _some()
    qrels = [ir.Qrel(str(u), str(i), int(g)) for i, (u, g) in enumerate(zip(truth.unit_N, truth.gain_N, strict=True))]
    run = [ir.ScoredDoc(str(u), str(i), s) for i, (u, s) in enumerate(zip(truth.unit_N, score_N, strict=True))]
    pairs = {
        "ndcg@10": ir.nDCG @ 10,
        "ndcg": ir.nDCG,
        "ndcg_exp@5": ir.nDCG(dcg="exp-log2") @ 5,
        "mrr@10": ir.RR @ 10,
        "map": ir.AP,
        "map@5": ir.AP @ 5,
        "recall@5": ir.R @ 5,
        "precision@5": ir.P @ 5,
    }
    ours = unit_values(pairs, truth, score_N)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = {(m.measure, m.query_id): m.value for m in ir.iter_calc(list(pairs.values()), qrels, run)}
    for name, measure in pairs.items():
        for unit in np.flatnonzero(~np.isnan(ours[name])):
            # gdeval, behind the exponential one, writes five decimals.
            close = 1e-5 if name == "ndcg_exp@5" else 1e-9
            assert ours[name][unit] == pytest.approx(theirs[measure, str(unit)], abs=close), (name, unit)


def test_tied_ndcg_with_fractional_gains_agrees_with_scikit_learn() -> None:
    ndcg_score = pytest.importorskip("sklearn.metrics").ndcg_score
    rng = np.random.default_rng(3)
    gain_UK, score_UK = rng.integers(0, 7, (50, 9)) / 3, rng.integers(0, 4, (50, 9)).astype(float)
    truth = judged(np.repeat(np.arange(50), 9), gain_UK.ravel(), gain_UK.ravel(), 50)
    ours = unit_values(["ndcg@5"], truth, score_UK.ravel())["ndcg@5"]
    theirs = [ndcg_score([g], [s], k=5) for g, s in zip(gain_UK, score_UK, strict=True)]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=5))
def test_ties_are_the_mean_over_every_order(rows: list[tuple[int, int]]) -> None:
    gain_N, score_N = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    truth = judged(np.zeros(len(rows), dtype=int), gain_N, gain_N, 1)
    tied = unit_values(TIED, truth, score_N)
    # A tiny distinct addition to each score makes every order of the tied rows once.
    every = [
        unit_values(TIED, truth, score_N + 1e-3 * np.array(order)) for order in itertools.permutations(range(len(rows)))
    ]
    for name in TIED:
        np.testing.assert_allclose(tied[name], np.mean([e[name] for e in every], axis=0), atol=1e-9, err_msg=name)


def test_order_of_rows_says_nothing() -> None:
    truth, _ = _some()
    score_N = np.random.default_rng(1).integers(0, 3, 800).astype(float)
    order = np.argsort(-truth.gain_N)
    sorted_truth = judged(truth.unit_N[order], truth.gain_N[order], truth.gain_N[order], truth.units)
    names = [*TIED, "query_spearman"]
    before, after = unit_values(names, truth, score_N), unit_values(names, sorted_truth, score_N[order])
    for name in names:
        np.testing.assert_allclose(before[name], after[name], atol=1e-12)


def test_a_constant_score_is_a_random_ranking() -> None:
    truth, _ = _some()
    rng = np.random.default_rng(5)
    constant = np.nanmean(unit_values(["ndcg@5"], truth, np.zeros(800))["ndcg@5"])
    drawn = [np.nanmean(unit_values(["ndcg@5"], truth, rng.random(800))["ndcg@5"]) for _ in range(300)]
    assert constant == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(300))


def test_spearman_within_queries_agrees_with_scipy() -> None:
    from scipy.stats import spearmanr

    truth, _ = _some()
    score_N = np.random.default_rng(1).integers(0, 5, 800).astype(float)
    ours = unit_values(["query_spearman"], truth, score_N)["query_spearman"]
    for unit in range(truth.units):
        rows = truth.unit_N == unit
        assert ours[unit] == pytest.approx(spearmanr(score_N[rows], truth.grade_N[rows])[0])


def test_units_are_left_out_by_a_stated_rule_and_counted() -> None:
    truth = judged([0, 0, 0, 1, 1, 1, 2], [1.0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 1], units=4)
    value_U = unit_values(["ndcg@10"], truth, np.arange(7.0), min_candidates=2)["ndcg@10"]
    assert np.isnan(value_U).tolist() == [False, True, True, True]
    counts = left_out(parse_metric("ndcg@10"), truth, 2)
    assert counts == {"fewer than 2 candidates": 2, "no product with a gain": 1}


def test_infinite_scores_rank_and_nan_is_refused() -> None:
    truth = judged([0, 0], [1.0, 0.0], [1, 0], units=1)
    assert unit_values(["mrr"], truth, [-np.inf, 0.0])["mrr"][0] == 0.5
    with pytest.raises(DataError, match=r"model 'fast': row 1: score is nan"):
        unit_values(["mrr"], truth, [0.0, np.nan], model="fast")
    with pytest.raises(DataError, match="2 rows"):
        unit_values(["mrr"], truth, [0.0])


@pytest.mark.parametrize(
    ("unit", "gain", "says"),
    [
        ([0, 5], [0, 1], "row 1: unit is 5"),
        ([0, 0], [0, -1], "row 1: gain"),
        ([0], [np.nan], "gain"),
        ([], [], "empty"),
    ],
)
def test_a_wrong_truth_is_refused(unit: list[int], gain: list[float], says: str) -> None:
    with pytest.raises(DataError, match=says):
        judged(unit, gain, np.zeros(len(gain)), units=2)


@pytest.mark.parametrize(
    ("name", "says"),
    [("ndgc@10", "did you mean 'ndcg'"), ("recall", "cutoff"), ("ndcg@0", "0"), ("rmse@5", "no cutoff")],
)
def test_a_wrong_name_teaches(name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_metric(name)


def test_hundred_thousand_rows_take_well_under_a_second() -> None:
    truth, score_N = _some(units=10_000, rows=100_000)
    begin = time.process_time()
    unit_values(["ndcg@10", "mrr@10", "map", "recall@10"], truth, score_N)
    assert time.process_time() - begin < 1  # 0.1 s on a quiet core
