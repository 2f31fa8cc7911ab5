"""Whole runs of a small recipe: each stage once, what changed and what follows from it again, nothing else."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shopstill import pipeline
from shopstill.core import artifact
from shopstill.core.artifact import Artifact
from shopstill.core.config import build
from shopstill.core.errors import ConfigError, DataError
from shopstill.data.shop import Shop
from shopstill.evaluate.results import UNITS_FILE
from shopstill.evaluate.results import load as load_evaluation
from shopstill.models.build import load as load_model
from shopstill.recipe import Recipe
from shopstill.teach import teacher as teachers

Values = Callable[..., dict[str, Any]]
STAGES = ["prepare", "teach", "label", "student/fast", "twin/fast", "student/exact", "twin/exact", "evaluate", "report"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Values) -> Iterator[tuple[Path, list[Artifact]]]:
    """A run that is done."""
    runs = tmp_path_factory.mktemp("finished")
    yield runs, pipeline.run(build(Recipe, tiny_recipe(runs)))


@pytest.fixture
def runs(finished: tuple[Path, list[Artifact]], tmp_path: Path) -> Path:
    """A copy of it, to go on from."""
    return Path(shutil.copytree(finished[0], tmp_path / "runs"))


def _name(made: Artifact) -> str:
    return made.path.name if made.kind == made.path.name else f"{made.kind}/{made.path.name}"


def _made_anew(caplog: pytest.LogCaptureFixture, values: dict[str, Any], until: str = "report") -> list[str]:
    """Names of the stages that a run makes."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        pipeline.run(build(Recipe, values), until)
    return [m.removesuffix(": making it") for m in caplog.messages if m.endswith(": making it")]


def test_a_run_makes_every_stage(finished: tuple[Path, list[Artifact]]) -> None:
    runs, made = finished
    assert [_name(a) for a in made] == STAGES
    for one in made:
        assert artifact.load(one.path, verify=True).fingerprint == one.fingerprint
    found = load_evaluation(made[-2].path)
    assert {name: role.kind for name, role in found.roles.items()} == {
        "teacher": "teacher",
        "bm25": "baseline",
        "fast": "student",
        "fast (direct)": "twin",
        "exact": "student",
        "exact (direct)": "twin",
        "random": "random",
    }
    assert found.metrics == ("ndcg@10", "spearman", "rmse")
    assert "<html" in (made[-1].path / "report.html").read_text(encoding="utf-8")
    assert {file.suffix for file in runs.rglob("*") if file.is_file()} <= {
        *(".json", ".parquet", ".safetensors", ".arrow", ".html"),
    }
    assert not list((runs / "tiny" / ".work").iterdir()), "what was needed to go on is left behind"


def test_a_run_learns_from_the_labels(finished: tuple[Path, list[Artifact]]) -> None:
    _, made = finished
    labels = next(a for a in made if a.kind == "label")
    table = pq.read_table(labels.path / PAIRS)
    counts = labels.measurements
    assert table.num_rows == counts["labelled"] == counts["judged"] + counts["mined"]
    assert table.column("grade").null_count == counts["mined"] > 0
    assert np.isfinite(table.column("logit").to_numpy()).all()
    prepared = made[0].path
    split = pq.read_table(prepared / "split.parquet").to_pydict()
    side = dict(zip(split["query_id"], split["split"], strict=True))
    assert {side[query] for query in table.column("query_id").to_pylist()} == {"train"}, "labels of another split"


def test_a_second_run_does_nothing(runs: Path, tiny_recipe: Values, caplog: pytest.LogCaptureFixture) -> None:
    before = {file: (file.stat().st_mtime_ns, file.stat().st_ino) for file in runs.rglob("*")}
    assert _made_anew(caplog, tiny_recipe(runs)) == []
    assert {file: (file.stat().st_mtime_ns, file.stat().st_ino) for file in runs.rglob("*")} == before


def test_a_changed_student_alone_is_made_anew(
    runs: Path, tiny_recipe: Values, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = tiny_recipe(runs)
    values["students"]["exact"]["objective"] = [{"loss": "score_mse"}]
    monkeypatch.setattr(teachers.Teacher, "score", lambda *given: pytest.fail("the teacher was asked again"))
    assert _made_anew(caplog, values) == ["student/exact", "twin/exact", "evaluate", "report"]


def test_judging_otherwise_trains_nothing(runs: Path, tiny_recipe: Values, caplog: pytest.LogCaptureFixture) -> None:
    values = tiny_recipe(runs)
    values["timing"]["min_rounds"] = 3
    assert _made_anew(caplog, values) == ["evaluate", "report"]


def test_a_new_student_is_made_beside_the_others(
    runs: Path, tiny_recipe: Values, caplog: pytest.LogCaptureFixture
) -> None:
    values = tiny_recipe(runs)
    values["students"]["other"] = {**values["students"]["fast"], "training": {"epochs": 1}}
    assert _made_anew(caplog, values, "distil") == ["student/other", "twin/other"]


def test_a_changed_teacher_makes_all_that_follows_anew(
    runs: Path, tiny_recipe: Values, caplog: pytest.LogCaptureFixture
) -> None:
    values = tiny_recipe(runs)
    values["teacher"]["training"] = {**values["teacher"]["training"], "learning_rate": 2e-3}
    assert _made_anew(caplog, values) == STAGES[1:]
    labelled = int(next(m for m in caplog.messages if m.startswith("labels: ") and "new" in m).split()[1])
    assert labelled > 0
    # The first teacher's labels are still there.
    assert _made_anew(caplog, tiny_recipe(runs), "label") == ["teach", "label"]
    assert any(m.startswith("labels: 0 new") for m in caplog.messages)


def test_a_teacher_that_comes_out_the_same_changes_nothing_after_it(
    runs: Path, tiny_recipe: Values, caplog: pytest.LogCaptureFixture
) -> None:
    values = tiny_recipe(runs)
    values["teacher"]["training"] = {**values["teacher"]["training"], "checkpoint_minutes": 50}
    assert _made_anew(caplog, values) == ["teach"]


def test_more_pairs_are_labelled_alone(runs: Path, tiny_recipe: Values, caplog: pytest.LogCaptureFixture) -> None:
    before = artifact.load(runs / "tiny" / "label").measurements["labelled"]
    values = tiny_recipe(runs, mine={"bm25": 6, "others": 1, "neighbours": 1, "random": 1})
    assert _made_anew(caplog, values, "label") == ["label"]
    after = artifact.load(runs / "tiny" / "label").measurements["labelled"]
    told = next(m for m in caplog.messages if m.startswith("labels: ") and "new" in m).split()
    new, reused = int(told[1]), int(told[3])
    assert new + reused == after > before
    assert reused > 0.7 * before


def test_a_twin_sees_as_many_rows_as_its_student(finished: tuple[Path, list[Artifact]]) -> None:
    _, made = finished
    judged = next(a for a in made if a.kind == "label").measurements["judged"]
    rows = {_name(a): a.measurements["rows"] for a in made if a.kind in ("student", "twin")}
    for name in ("fast", "exact"):
        assert abs(rows[f"twin/{name}"] - rows[f"student/{name}"]) <= judged / 2


def test_an_exact_student_starts_from_the_teacher(finished: tuple[Path, list[Artifact]]) -> None:
    runs, _ = finished
    student = load_model(runs / "tiny" / "student" / "exact" / "model").network.state_dict()
    teacher = load_model(runs / "tiny" / "teach" / "members" / "0").network.state_dict()
    distance = float((student["encoder.layers.0.up.weight"] - teacher["encoder.layers.0.up.weight"]).abs().max())
    assert 0 < distance < 0.1


def test_stages_run_one_by_one_and_together_make_the_same(
    finished: tuple[Path, list[Artifact]], tmp_path: Path, tiny_recipe: Values, caplog: pytest.LogCaptureFixture
) -> None:
    values = tiny_recipe(tmp_path)
    made = [_made_anew(caplog, values, stage) for stage in pipeline.STAGES]
    assert made == [["prepare"], ["teach"], ["label"], STAGES[3:7], ["evaluate"], ["report"]]
    units = (tmp_path / "tiny" / "evaluate" / UNITS_FILE, finished[0] / "tiny" / "evaluate" / UNITS_FILE)
    assert pq.read_table(units[0]).equals(pq.read_table(units[1])), "a seed does not repeat"


def test_several_teachers_are_one(tmp_path: Path, tiny_recipe: Values) -> None:
    values = tiny_recipe(tmp_path)
    member = {**values["teacher"], "training": {**values["teacher"]["training"], "epochs": 1}}
    made = pipeline.run(build(Recipe, {**values, "teacher": {"kind": "ensemble", "members": [member, member]}}), "label")
    held = teachers.load(made[1].path)
    assert len(held.members) == 2
    table = pq.read_table(made[2].path / PAIRS).slice(0, 20)
    shop = Shop(made[0].path / "shop")
    query = dict(zip(*(c.to_pylist() for c in shop.read("queries", ["query_id", "text"]).columns), strict=True))
    title = dict(zip(*(c.to_pylist() for c in shop.read("products", ["product_id", "title"]).columns), strict=True))
    queries = [query[q] for q in table.column("query_id").to_pylist()]
    products = [title[p] for p in table.column("product_id").to_pylist()]
    each = [replace(held, members=(member,)).answer(queries, products) for member in held.members]
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
    runs: Path, tiny_recipe: Values, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "scores.csv"
    _scores(runs, path)
    fast = {"fast": tiny_recipe(runs)["students"]["fast"]}
    values = tiny_recipe(runs, teacher={"kind": "scores", "path": str(path)}, students=fast)
    assert _made_anew(caplog, values) == ["teach", "label", "student/fast", "twin/fast", "evaluate", "report"]
    table = pq.read_table(runs / "tiny" / "label" / PAIRS)
    assert table.column("logit").to_pylist() == table.column("grade").to_pylist(), "mined pairs have no score"
    found = load_evaluation(runs / "tiny" / "evaluate")
    score = found.score("teacher", "ndcg@10")
    assert score is not None
    assert score.estimate.value == pytest.approx(1.0)
    assert _made_anew(caplog, values) == []
    _scores(runs, path, shift=1.0)
    assert _made_anew(caplog, values, "teach") == ["teach"], "other scores in the same file went unnoticed"


def test_a_teacher_without_all_scores_is_not_judged(
    runs: Path, tiny_recipe: Values, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "scores.csv"
    _scores(runs, path, keep=slice(0, None, 2))
    fast = {"fast": tiny_recipe(runs)["students"]["fast"]}
    _made_anew(caplog, tiny_recipe(runs, teacher={"kind": "scores", "path": str(path)}, students=fast))
    assert any("the teacher is not judged" in message for message in caplog.messages)
    assert "teacher" not in load_evaluation(runs / "tiny" / "evaluate").roles


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


def test_a_faulty_recipe_makes_nothing(tmp_path: Path, tiny_recipe: Values) -> None:
    values = tiny_recipe(tmp_path)
    values["students"]["fast"]["objective"] = [{"loss": "soft", "options": {"temperature": 0}}]
    with pytest.raises(ConfigError, match="temperature"):
        pipeline.run(build(Recipe, values))
    with pytest.raises(ConfigError, match="unknown stage 'teech': did you mean 'teach'"):
        pipeline.run(build(Recipe, tiny_recipe(tmp_path)), "teech")
    assert os.listdir(tmp_path) == []


def test_an_interrupted_stage_leaves_what_was_made(runs: Path, tiny_recipe: Values, monkeypatch: Any) -> None:
    values = tiny_recipe(runs)
    values["seed"] = 4

    def interrupted(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(build(Recipe, values))
    for manifest in runs.rglob("artifact.json"):
        artifact.load(manifest.parent, verify=True)
    assert not [p for p in (runs / "tiny").rglob(".*.draft")]


def test_the_tables_of_a_label_artifact_have_a_fixed_schema(finished: tuple[Path, list[Artifact]]) -> None:
    labels = next(a for a in finished[1] if a.kind == "label")
    assert pq.read_schema(labels.path / PAIRS).remove_metadata() == pa.schema(
        [
            ("query_id", pa.string()),
            ("product_id", pa.string()),
            ("grade", pa.float32()),
            ("gain", pa.float32()),
            ("logit", pa.float32()),
        ]
    )
