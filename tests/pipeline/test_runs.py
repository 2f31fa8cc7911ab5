"""Whole runs of a small recipe: each stage once, what changed and what follows from it again, nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
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
from shopstill.core.errors import ConfigError
from shopstill.evaluate.results import UNITS_FILE
from shopstill.evaluate.results import load as load_evaluation
from shopstill.models.build import load as load_model
from shopstill.pipeline import learn
from shopstill.recipe import Recipe
from shopstill.teach import teacher as teachers

Values = Callable[..., dict[str, Any]]
MadeAnew = Callable[..., list[str]]
Finished = tuple[Path, list[Artifact]]
STAGES = ["prepare", "teach", "label", "student/fast", "twin/fast", "student/exact", "twin/exact", "evaluate", "report"]


def _name(made: Artifact) -> str:
    return made.path.name if made.kind == made.path.name else f"{made.kind}/{made.path.name}"


def test_a_run_makes_every_stage(finished: Finished) -> None:
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


def test_a_run_learns_from_the_labels(finished: Finished) -> None:
    _, made = finished
    labels = next(a for a in made if a.kind == "label")
    table = pq.read_table(labels.path / "pairs.parquet")
    counts = labels.measurements
    assert table.num_rows == counts["labelled"] == counts["judged"] + counts["mined"]
    assert table.column("grade").null_count == counts["mined"] > 0
    assert np.isfinite(table.column("logit").to_numpy()).all()
    prepared = made[0].path
    split = pq.read_table(prepared / "split.parquet").to_pydict()
    side = dict(zip(split["query_id"], split["split"], strict=True))
    assert {side[query] for query in table.column("query_id").to_pylist()} == {"train"}, "labels of another split"


def test_a_second_run_does_nothing(
    runs: Path, tiny_recipe: Values, made_anew: MadeAnew, caplog: pytest.LogCaptureFixture
) -> None:
    before = {file: (file.stat().st_mtime_ns, file.stat().st_ino) for file in runs.rglob("*")}
    assert made_anew(tiny_recipe(runs)) == []
    assert {file: (file.stat().st_mtime_ns, file.stat().st_ino) for file in runs.rglob("*")} == before


def test_a_changed_student_alone_is_made_anew(
    runs: Path,
    tiny_recipe: Values,
    made_anew: MadeAnew,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = tiny_recipe(runs)
    values["students"]["exact"]["objective"] = [{"loss": "score_mse"}]
    monkeypatch.setattr(
        teachers.Teacher, "answer", lambda *given, **options: pytest.fail("the teacher was asked again")
    )
    assert made_anew(values) == ["student/exact", "twin/exact", "evaluate", "report"]


def test_judging_otherwise_trains_nothing(
    runs: Path, tiny_recipe: Values, made_anew: MadeAnew, caplog: pytest.LogCaptureFixture
) -> None:
    values = tiny_recipe(runs)
    values["timing"] = {**values["timing"], "min_rounds": 3}
    assert made_anew(values) == ["evaluate", "report"]


def test_a_new_student_is_made_beside_the_others(
    runs: Path, tiny_recipe: Values, made_anew: MadeAnew, caplog: pytest.LogCaptureFixture
) -> None:
    values = tiny_recipe(runs)
    values["students"]["other"] = {**values["students"]["fast"], "training": {"epochs": 1}}
    assert made_anew(values, "distil") == ["student/other", "twin/other"]


def test_a_baseline_of_the_recipe_is_trained_on_the_truth_and_judged_beside_the_others(
    runs: Path, tiny_recipe: Values, made_anew: MadeAnew
) -> None:
    fast = tiny_recipe(runs)["students"]["fast"]
    wanted = {"model": fast["model"], "objective": [{"loss": "bce"}], "training": fast["training"]}
    values = tiny_recipe(runs, baselines={"alone": wanted})
    assert made_anew(values, "evaluate") == ["baseline/alone", "evaluate"]
    found = load_evaluation(runs / "tiny" / "evaluate")
    assert found.roles["alone"].kind == "baseline"
    asked = {(c.question, c.first, c.second) for c in found.comparisons}
    assert {("teacher-baseline", "teacher", "alone"), ("student-baseline", "fast", "alone")} <= asked


def test_a_changed_teacher_makes_all_that_follows_anew(
    runs: Path, tiny_recipe: Values, made_anew: MadeAnew, caplog: pytest.LogCaptureFixture
) -> None:
    values = tiny_recipe(runs)
    values["teacher"]["training"] = {**values["teacher"]["training"], "learning_rate": 2e-3}
    assert made_anew(values) == STAGES[1:]
    labelled = int(next(m for m in caplog.messages if m.startswith("labels: ") and "new" in m).split()[1])
    assert labelled > 0
    # The first teacher's labels are still there.
    assert made_anew(tiny_recipe(runs), "label") == ["teach", "label"]
    assert any(m.startswith("labels: 0 new") for m in caplog.messages)


def test_a_teacher_that_comes_out_the_same_changes_nothing_after_it(
    runs: Path, tiny_recipe: Values, made_anew: MadeAnew, caplog: pytest.LogCaptureFixture
) -> None:
    values = tiny_recipe(runs)
    values["teacher"]["training"] = {**values["teacher"]["training"], "checkpoint_minutes": 50}
    assert made_anew(values) == ["teach"]


def test_more_pairs_are_labelled_alone(
    runs: Path, tiny_recipe: Values, made_anew: MadeAnew, caplog: pytest.LogCaptureFixture
) -> None:
    before = artifact.load(runs / "tiny" / "label").measurements["labelled"]
    values = tiny_recipe(runs, mine={"bm25": 6, "others": 1, "neighbours": 1, "random": 1})
    assert made_anew(values, "label") == ["label"]
    after = artifact.load(runs / "tiny" / "label").measurements["labelled"]
    told = next(m for m in caplog.messages if m.startswith("labels: ") and "new" in m).split()
    new, reused = int(told[1]), int(told[3])
    assert new + reused == after > before
    assert reused > 0.7 * before


def test_a_twin_sees_as_many_rows_as_its_student(finished: Finished) -> None:
    _, made = finished
    judged = next(a for a in made if a.kind == "label").measurements["judged"]
    rows = {_name(a): a.measurements["rows"] for a in made if a.kind in ("student", "twin")}
    for name in ("fast", "exact"):
        assert abs(rows[f"twin/{name}"] - rows[f"student/{name}"]) <= judged / 2


def test_an_exact_student_starts_from_the_teacher(finished: Finished) -> None:
    runs, _ = finished
    student = load_model(runs / "tiny" / "student" / "exact" / "model").network.state_dict()
    teacher = load_model(runs / "tiny" / "teach" / "members" / "0").network.state_dict()
    distance = float((student["encoder.layers.0.up.weight"] - teacher["encoder.layers.0.up.weight"]).abs().max())
    assert 0 < distance < 0.1


def test_stages_run_one_by_one_and_together_make_the_same(
    finished: Finished, tmp_path: Path, tiny_recipe: Values, made_anew: MadeAnew, caplog: pytest.LogCaptureFixture
) -> None:
    values = tiny_recipe(tmp_path)
    made = [made_anew(values, stage) for stage in pipeline.STAGES]
    assert made == [["prepare"], ["teach"], ["label"], STAGES[3:7], ["evaluate"], ["report"]]
    units = (tmp_path / "tiny" / "evaluate" / UNITS_FILE, finished[0] / "tiny" / "evaluate" / UNITS_FILE)
    assert pq.read_table(units[0]).equals(pq.read_table(units[1])), "a seed does not repeat"


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

    monkeypatch.setattr(learn, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(build(Recipe, values))
    for manifest in runs.rglob("artifact.json"):
        artifact.load(manifest.parent, verify=True)
    assert not list((runs / "tiny").rglob(".*.draft"))


def test_the_tables_of_a_label_artifact_have_a_fixed_schema(finished: Finished) -> None:
    labels = next(a for a in finished[1] if a.kind == "label")
    assert pq.read_schema(labels.path / "pairs.parquet").remove_metadata() == pa.schema(
        [
            ("query_id", pa.string()),
            ("product_id", pa.string()),
            ("grade", pa.float32()),
            ("gain", pa.float32()),
            ("logit", pa.float32()),
        ]
    )
