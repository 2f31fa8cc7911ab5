"""Scores kept with their truth: the same after a round trip, pooled without mixing the folds' scales."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from shopstill.core.errors import DataError
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.judged import Truth
from shopstill.evaluate.scored import SCORES_FILE, Scored, load, pooled

QUICK = Judging(metrics=("ndcg@10", "spearman", "rmse"), resamples=100, slice_resamples=100, permutations=100)


def _fold(seed: int, scale: float = 1.0, queries: int = 12, each: int = 5) -> Scored:
    random = np.random.default_rng(seed)
    unit = np.repeat(np.arange(queries), each)
    grade = random.integers(0, 4, len(unit)).astype(np.float64)
    truth = Truth(
        unit_ids=[f"{seed}-{n}" for n in range(queries)],
        queries=[f"query {n}" for n in range(queries)],
        unit_N=unit,
        product_ids=[f"p{n}" for n in range(len(unit))],
        titles=["title"] * len(unit),
        grade_N=grade,
        gain_N=grade,
        slices={"length": ["short", "long"] * (queries // 2)},
        row_slices={"product": ["seen", "unseen"] * (len(unit) // 2)},
    )
    good, bad = grade + random.normal(0, 0.5, len(unit)), grade + random.normal(0, 3, len(unit))
    return Scored(
        truth=truth,
        roles={"teacher": "teacher", "fast": "student", "fast (direct)": "twin of fast"},
        scores={"teacher": good * scale, "fast": bad * scale, "fast (direct)": bad * scale},
        predictions={"teacher": good, "fast": bad, "fast (direct)": bad},
    )


def test_scores_come_back_from_disk_with_their_truth(tmp_path: Path) -> None:
    fold = _fold(1)
    fold.save(tmp_path)
    again = load(tmp_path, fold.truth, fold.roles)
    assert list(again.scores) == list(fold.scores)
    for name in fold.scores:
        assert np.array_equal(again.scores[name], fold.scores[name])
        assert np.array_equal(again.predictions[name], fold.predictions[name])
    table = pq.read_table(tmp_path / SCORES_FILE)
    assert table.column("grade").to_pylist() == list(fold.truth.grade_N)
    assert table.column("unit_id")[5].as_py() == "1-1"


def test_scores_of_other_pairs_are_refused(tmp_path: Path) -> None:
    fold = _fold(1)
    fold.save(tmp_path)
    other = replace(fold.truth, product_ids=list(reversed(fold.truth.product_ids)))
    with pytest.raises(DataError, match="not those of the test part"):
        load(tmp_path, other, fold.roles)


def test_a_fold_on_another_scale_changes_nothing() -> None:
    same = pooled([_fold(1), _fold(2)]).judge(QUICK)
    other = pooled([_fold(1), _fold(2, scale=1000.0)]).judge(QUICK)
    assert same.units == 24
    assert same.scores == other.scores
    loose = pooled([_fold(1)]).judge(QUICK)
    alone = _fold(1).judge(QUICK)
    assert [s.estimate.value for s in loose.scores] == pytest.approx([s.estimate.value for s in alone.scores])


def test_pooled_divisions_are_those_that_all_folds_have() -> None:
    first, second = _fold(1), _fold(2)
    bare = replace(second, truth=replace(second.truth, slices={}))
    truth = pooled([first, bare]).truth
    assert truth.slices == {}
    assert len(truth.row_slices["product"]) == 120
    assert np.asarray(truth.unit_N).max() == 23
