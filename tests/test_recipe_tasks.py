"""What a recipe's task can learn, and what it says of what it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopstill.core.errors import ConfigError
from shopstill.pipeline import cross_validate
from shopstill.recipe import read
from shopstill.recipe.check import check

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (["students.small.model={kind: towers, query: {kind: static}, product: {kind: static}}"], "trains no 'towers'"),
        (["teacher={kind: cross}"], "teacher.model: sequential trains no 'cross'"),
        (
            ["students.small.twin=[{loss: bce}]"],
            r"students\.small\.twin: bce compares scores, but sequential has logits",
        ),
        (["teacher={kind: scores, path: scores.csv}"], "scores made elsewhere are of pairs"),
    ],
)
def test_a_task_names_what_it_cannot_learn(changes: list[str], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        check(read(ROOT / "recipes" / "sequential.yaml", changes))


@pytest.mark.parametrize(
    ("name", "usual"),
    [
        ("sequential", ("ndcg@10", "hr@10", "mrr")),
        ("categorise", ("accuracy", "macro_f1", "ece")),
        ("retrieval", ("ndcg@10", "recall@100", "mrr@10")),
        ("quickstart", ("ndcg@10", "spearman")),
    ],
)
def test_a_recipe_without_metrics_is_judged_by_those_of_its_task(name: str, usual: tuple[str, ...]) -> None:
    wanted = read(ROOT / "recipes" / f"{name}.yaml", ["judging={min_candidates: 3}"])
    assert (wanted.judging.metrics, wanted.judging.min_candidates) == (usual, 3)
    check(wanted)


@pytest.mark.parametrize(
    ("name", "metric", "fault"),
    [
        ("sequential", "spearman", r"sequential cannot measure spearman; use ndcg or .* or precision, such as ndcg@10"),
        ("sequential", "accuracy", "sequential cannot measure accuracy"),
        ("sequential", "query_spearman", "sequential cannot measure query_spearman"),
        ("categorise", "ndcg@10", "categorise cannot measure ndcg@10; use accuracy or macro_f1"),
        ("categorise", "rmse", "categorise cannot measure rmse"),
        ("retrieval", "spearman", "retrieval cannot measure spearman"),
        ("retrieval", "recall@500", "recall@500: retrieval ranks 100 at most; use recall@100 or less"),
        ("retrieval", "mrr", "mrr: retrieval ranks 100 at most; use mrr@100 or less"),
    ],
)
def test_a_metric_that_the_task_cannot_measure_is_refused(name: str, metric: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        check(read(ROOT / "recipes" / f"{name}.yaml", [f"judging.metrics=[{metric}]"]))


@pytest.mark.parametrize("name", ["sequential", "categorise"])
def test_folds_are_refused_where_a_task_has_none(name: str) -> None:
    wanted = read(ROOT / "recipes" / f"{name}.yaml", ["split.folds=3"])
    with pytest.raises(ConfigError, match=f"split.folds: {name} has no folds"):
        check(wanted)
    with pytest.raises(ConfigError, match=f"split.folds: {name} has no folds"):
        cross_validate(read(ROOT / "recipes" / f"{name}.yaml"), 2)


def test_features_that_the_teacher_does_not_have_are_refused() -> None:
    terms = "students.small.objective=[{loss: soft}, {loss: hint, tap: %s}]"
    check(read(ROOT / "recipes" / "sequential.yaml", [terms % "hidden"]))
    with pytest.raises(ConfigError, match=r"objective: tap 'nonsense': the teacher, a sasrec, .*; use hidden"):
        check(read(ROOT / "recipes" / "sequential.yaml", [terms % "nonsense"]))


def test_an_unknown_task_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"task 'sequental': did you mean 'sequential'"):
        read(ROOT / "recipes" / "sequential.yaml", ["task.kind=sequental"])
