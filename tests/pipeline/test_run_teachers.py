"""Teachers of every kind in a whole run: several, one taken as it is, and scores made elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from shopstill import pipeline
from shopstill.core import artifact
from shopstill.core.config import build
from shopstill.core.errors import DataError
from shopstill.data.shop import Shop
from shopstill.evaluate.results import load as load_evaluation
from shopstill.recipe import Recipe
from shopstill.teach import teacher as teachers

Values = Callable[..., dict[str, Any]]
MadeAnew = Callable[..., list[str]]


def test_several_teachers_are_one(tmp_path: Path, tiny_recipe: Values) -> None:
    values = tiny_recipe(tmp_path)
    member = {**values["teacher"], "training": {**values["teacher"]["training"], "epochs": 1}}
    made = pipeline.run(
        build(Recipe, {**values, "teacher": {"kind": "ensemble", "members": [member, member]}}), "label"
    )
    held = teachers.load(made[1].path)
    assert len(held.members) == 2
    table = pq.read_table(made[2].path / "pairs.parquet").slice(0, 20)
    shop = Shop(made[0].path / "shop")
    query = dict(zip(*(c.to_pylist() for c in shop.read("queries", ["query_id", "text"]).columns), strict=True))
    title = dict(zip(*(c.to_pylist() for c in shop.read("products", ["product_id", "title"]).columns), strict=True))
    queries = [query[q] for q in table.column("query_id").to_pylist()]
    products = [title[p] for p in table.column("product_id").to_pylist()]
    each = [replace(held, members=(member,)).answer(queries, products)[0] for member in held.members]
    np.testing.assert_allclose(table.column("logit").to_numpy(), np.mean(each, axis=0), atol=1e-5)
    assert np.abs(each[0] - each[1]).max() > 1e-4, "members of one recipe have seeds of their own"


def test_a_teacher_that_is_taken_as_it_is(tmp_path: Path, tiny_recipe: Values) -> None:
    teacher = {**tiny_recipe(tmp_path)["teacher"], "training": None}
    made = pipeline.run(build(Recipe, tiny_recipe(tmp_path, teacher=teacher)), "label")
    assert made[1].measurements["member 0"] == {}
    assert made[2].measurements["labelled"] > 0


def _scores(runs: Path, path: Path, keep: slice = slice(None), shift: float = 0.0) -> None:
    """Every judged pair's grade as a score made elsewhere."""
    rows = Shop(runs / "tiny" / "prepare" / "shop").read("judgments", ["query_id", "product_id", "grade"]).to_pylist()
    lines = [f"{row['query_id']},{row['product_id']},{row['grade'] + shift}" for row in rows[keep]]
    path.write_text("\n".join(["query_id,product_id,score", *lines]) + "\n", encoding="utf-8")


def test_scores_made_elsewhere_are_a_teacher(
    runs: Path, tiny_recipe: Values, tmp_path: Path, made_anew: MadeAnew, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "scores.csv"
    _scores(runs, path)
    fast = {"fast": tiny_recipe(runs)["students"]["fast"]}
    values = tiny_recipe(runs, teacher={"kind": "scores", "path": str(path)}, students=fast)
    assert made_anew(values) == ["teach", "label", "student/fast", "twin/fast", "evaluate", "report"]
    table = pq.read_table(runs / "tiny" / "label" / "pairs.parquet")
    assert table.column("logit").to_pylist() == table.column("grade").to_pylist(), "mined pairs have no score"
    found = load_evaluation(runs / "tiny" / "evaluate")
    score = found.score("teacher", "ndcg@10")
    assert score is not None
    assert score.estimate.value == pytest.approx(1.0)
    assert made_anew(values) == []
    _scores(runs, path, shift=1.0)
    assert made_anew(values, "teach") == ["teach"], "other scores in the same file went unnoticed"


def test_a_teacher_without_all_scores_is_not_judged(
    runs: Path, tiny_recipe: Values, tmp_path: Path, made_anew: MadeAnew, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "scores.csv"
    _scores(runs, path, keep=slice(0, None, 2))
    fast = {"fast": tiny_recipe(runs)["students"]["fast"]}
    made_anew(tiny_recipe(runs, teacher={"kind": "scores", "path": str(path)}, students=fast))
    assert any("the teacher is not judged" in message for message in caplog.messages)
    assert "teacher" not in load_evaluation(runs / "tiny" / "evaluate").roles


def test_scores_of_other_ids_are_refused_with_an_id_of_each_side(
    runs: Path, tiny_recipe: Values, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "scores.csv"
    fast = {"fast": tiny_recipe(runs)["students"]["fast"]}
    recipe = build(Recipe, tiny_recipe(runs, teacher={"kind": "scores", "path": str(path)}, students=fast))
    path.write_text("query_id,product_id,score\nred mug,sku 7,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"none of .* query_id 'red mug' and product_id 'sku 7', .*queries\.parquet"):
        pipeline.run(recipe, "label")
    _scores(runs, path, keep=slice(0, None, 9))
    caplog.clear()
    pipeline.run(recipe, "label")
    assert any(r.levelname == "WARNING" and "pairs have one" in r.message for r in caplog.records)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [("scores.csv", "query_id,score\n1,2\n", "product_id"), ("scores.xls", "", "cannot end in '.xls'")],
)
def test_a_file_that_holds_no_scores_is_refused_at_once(
    runs: Path, tiny_recipe: Values, tmp_path: Path, name: str, text: str, fault: str
) -> None:
    (tmp_path / name).write_text(text)
    fast = {"fast": tiny_recipe(runs)["students"]["fast"]}
    made = build(Recipe, tiny_recipe(runs, teacher={"kind": "scores", "path": str(tmp_path / name)}, students=fast))
    with pytest.raises(DataError, match=fault):
        pipeline.run(made)
    assert artifact.load(runs / "tiny" / "teach", verify=True).config["teacher"]["kind"] == "cross"


def test_only_errors_are_judged_where_only_errors_are_asked_for(runs: Path, tiny_recipe: Values) -> None:
    values = tiny_recipe(runs)
    values["judging"] = {**values["judging"], "metrics": ["rmse"]}
    made = pipeline.run(build(Recipe, {**values, "students": {"fast": values["students"]["fast"]}}), "evaluate")
    assert load_evaluation(made[-1].path).metrics == ("rmse",)
    teacher = artifact.load(runs / "tiny" / "teach").measurements["member 0"]
    assert np.isfinite(teacher["best"])
