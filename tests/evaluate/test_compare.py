"""Models side by side: what is asked, what is said, and what survives a trip to disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from shopstill.core.errors import ConfigError, DataError
from shopstill.evaluate.calibrate import fit_curve
from shopstill.evaluate.compare import Judging, compare
from shopstill.evaluate.findings import Findings
from shopstill.evaluate.judged import Truth
from shopstill.evaluate.results import Evaluation, from_json, load

QUICK = Judging(metrics=("ndcg@10",), resamples=100, slice_resamples=100, permutations=200, min_candidates=5)


@pytest.fixture(scope="module")
def evaluation(findings: Findings) -> Evaluation:
    return findings.evaluation


def test_it_comes_back_from_disk_the_same(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.save(tmp_path)
    back = load(tmp_path)
    assert back == evaluation
    assert back.per_unit.equals(evaluation.per_unit)
    json.loads(evaluation.to_json())
    with pytest.raises(DataError, match="not an evaluation"):
        from_json("{}")
    with pytest.raises(DataError, match="no evaluation here"):
        load(tmp_path / "nowhere")


def test_per_unit_values_average_to_the_score(evaluation: Evaluation) -> None:
    rows = evaluation.per_unit.filter(pc.field("model") == "fast")
    assert set(rows["metric"].to_pylist()) == {"ndcg@10"}
    score = evaluation.score("fast", "ndcg@10")
    assert score is not None
    assert pc.mean(rows["value"]).as_py() == pytest.approx(score.estimate.value)
    assert len(rows) == evaluation.units


def test_every_question_is_asked_once_per_metric(evaluation: Evaluation) -> None:
    asked = [(c.question, c.first, c.second) for c in evaluation.comparisons if c.metric == "spearman"]
    assert sorted(asked) == sorted(
        [
            ("student-teacher", "fast", "teacher"),
            ("student-twin", "fast", "fast-direct"),
            ("student-baseline", "fast", "bm25"),
            ("student-teacher", "exact", "teacher"),
            ("student-twin", "exact", "exact-direct"),
            ("student-baseline", "exact", "bm25"),
            ("teacher-baseline", "teacher", "bm25"),
        ]
    )
    assert all(c.p_corrected >= c.p for c in evaluation.comparisons)


def test_verdicts_follow_interval_and_test(evaluation: Evaluation) -> None:
    gained = evaluation.comparison("fast", "fast-direct", "ndcg@10")
    assert gained is not None
    assert gained.verdict == "better"
    less_error = evaluation.comparison("fast", "fast-direct", "rmse")
    assert less_error is not None
    assert less_error.difference.value < 0
    assert less_error.verdict == "better"
    for c in evaluation.comparisons:
        assert (c.verdict == "not shown") == (not c.difference.excludes_zero or c.p_corrected > 0.05)


def test_nothing_is_worth_what_it_must_be(evaluation: Evaluation, truth: Truth) -> None:
    random = {s.metric: s.estimate for s in evaluation.scores if s.model == "random"}
    assert random["spearman"].value == 0
    assert random["rmse"].value == pytest.approx(np.std(truth.grade_N))
    kept = evaluation.kept_by("fast", "spearman")
    assert kept is not None
    assert kept.headroom == kept.ratio  # random is 0 there, so both say the same
    for metric in evaluation.metrics:
        best, own = (evaluation.kept_by(s, metric) for s in ("exact", "fast"))
        assert best.headroom.value > own.headroom.value


def test_slices_are_paired_marked_and_ordered(evaluation: Evaluation) -> None:
    lengths = [s.label for s in evaluation.slices if s.slicing == "query length" and s.model == "fast"]
    assert lengths[:1] == ["1 word"]
    assert lengths == sorted(lengths, key=lambda label: int(label[0]))
    spring = [s for s in evaluation.slices if s.label == "spring"]
    assert spring
    assert all(s.small and s.units == 12 for s in spring)
    assert not any(s.label == "" for s in evaluation.slices)
    assert all((s.against_teacher is None) == (s.model == "teacher") for s in evaluation.slices)
    seen = next(s for s in evaluation.slices if s.label == "unseen product" and s.metric == "ndcg@10")
    assert seen.units < evaluation.units  # queries with too few unseen products are left out there


def test_disagreements_are_the_largest_and_in_words(evaluation: Evaluation) -> None:
    told = [d for d in evaluation.disagreements if d.student == "fast"]
    apart = [abs(d.student_value - d.teacher_value) for d in told]
    assert apart == sorted(apart, reverse=True)
    value = {(r["model"], r["unit_id"]): r["value"] for r in evaluation.per_unit.to_pylist()}
    largest = max(abs(value["fast", u] - value["teacher", u]) for (m, u) in value if m == "fast")
    assert apart[0] == pytest.approx(largest)
    assert [s.place for s in told[0].student_top] == [1, 2, 3]
    assert all(s.title for s in told[0].teacher_top)


def test_twice_the_same_is_the_same(truth: Truth, scores: dict[str, np.ndarray]) -> None:
    pair = {name: scores[name] for name in ("teacher", "fast")}
    roles = {"teacher": "teacher", "fast": "student"}
    assert compare(truth, pair, roles, QUICK) == compare(truth, pair, roles, QUICK)


def test_without_a_teacher_there_is_still_an_evaluation(truth: Truth, scores: dict[str, np.ndarray]) -> None:
    alone = compare(truth, {"fast": scores["fast"]}, {"fast": "student"}, QUICK)
    assert alone.kept == ()
    assert alone.disagreements == ()
    assert alone.score("fast", "ndcg@10") is not None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s, r: (s, {**r, "fast": "studnt"}), "did you mean 'student'"),
        (lambda s, r: (s, {k: v for k, v in r.items() if k != "bm25"}), "'bm25': has no role"),
        (lambda s, r: (s, {**r, "bm52": "baseline"}), "'bm52': has no scores"),
        (lambda s, r: (s, {**r, "bm25": "teacher"}), "2 teachers"),
        (lambda s, r: (s, {**r, "bm25": "twin of fats"}), "did you mean 'fast'"),
        (lambda s, r: ({**s, "random": s["bm25"]}, {**r, "random": "baseline"}), "computed"),
        (lambda s, r: ({**s, "fast": np.where(np.arange(len(s["fast"])) == 7, np.nan, s["fast"])}, r), "'fast': row 7"),
        (lambda s, r: ({**s, "fast": s["fast"][1:]}, r), "model 'fast': scores have shape"),
    ],
)
def test_what_does_not_fit_is_refused(
    truth: Truth, scores: dict[str, np.ndarray], roles: dict[str, str], change: Callable, says: str
) -> None:
    changed, said = change({name: scores[name] for name in roles}, roles)
    with pytest.raises((ConfigError, DataError), match=says):
        compare(truth, changed, said, QUICK)


def test_labels_of_another_length_are_refused(truth: Truth, scores: dict[str, np.ndarray]) -> None:
    short = replace(truth, slices={"language": ["en"]})
    with pytest.raises(DataError, match=r"slices\['language'\] has 1 entries where 400"):
        compare(short, {"fast": scores["fast"]}, {"fast": "student"}, QUICK)


def test_models_without_predictions_have_no_error(truth: Truth, scores: dict[str, np.ndarray]) -> None:
    judging = Judging(metrics=("rmse",), resamples=100, slice_resamples=100, permutations=100)
    pair, roles = {n: scores[n] for n in ("teacher", "bm25")}, {"teacher": "teacher", "bm25": "baseline"}
    told = compare(truth, pair, roles, judging, predictions={"teacher": pair["teacher"]})
    assert {s.model for s in told.scores} == {"teacher", "random"}
    with pytest.raises(ConfigError, match="no model has any"):
        compare(truth, pair, roles, judging, predictions={})


def test_a_curve_gives_scores_the_scale_of_grades() -> None:
    rng = np.random.default_rng(0)
    grade_N = rng.integers(1, 4, 3000).astype(float)
    score_N = np.exp(grade_N + 0.3 * rng.normal(size=3000))
    curve = fit_curve(score_N[:2000], grade_N[:2000])
    error = np.sqrt(np.mean((curve(score_N[2000:]) - grade_N[2000:]) ** 2))
    assert error < 0.35
    assert (np.diff(curve(np.linspace(0, 60, 500))) >= 0).all()
    assert fit_curve([5.0, 5.0], [1.0, 2.0])([0.0, 9.0]).tolist() == [1.5, 1.5]
    with pytest.raises(DataError, match="finite"):
        fit_curve([np.nan], [1.0])


def test_a_slice_of_equal_grades_is_passed_over(truth: Truth, scores: dict[str, np.ndarray]) -> None:
    grades = [f"grade {g:.2f}" for g in np.asarray(truth.grade_N)]
    judging = replace(QUICK, metrics=("spearman", "query_spearman"))
    told = compare(replace(truth, row_slices={"grade": grades}), {"fast": scores["fast"]}, {"fast": "student"}, judging)
    assert "grade" not in {s.slicing for s in told.slices}
    json.loads(told.to_json())


def test_an_unknown_metric_is_told_where_the_recipe_is_read() -> None:
    from shopstill.core.config import build

    with pytest.raises(ConfigError, match="did you mean 'ndcg'"):
        build(Judging, {"metrics": ["ndgc@10"]})


def test_a_truth_may_say_what_chance_gives(truth: Truth, scores: dict[str, np.ndarray], roles: dict[str, str]) -> None:
    asked = Judging(metrics=("ndcg@10", "spearman"), resamples=100, slice_resamples=100, permutations=100)
    rows = len(np.asarray(truth.unit_N))
    worst = -np.asarray(truth.grade_N)
    usual, told = (compare(t, scores, roles, asked) for t in (truth, replace(truth, chance=worst)))
    value = [found.score("random", "ndcg@10").estimate.value for found in (usual, told)]  # type: ignore[union-attr]
    assert value[1] < value[0]
    with pytest.raises(DataError, match=f"model 'chance': scores have shape .*{rows - 1}"):
        compare(replace(truth, chance=worst[1:]), scores, roles, asked)
