"""What cannot be created is found before anything is trained, and nothing is created where all is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shopstill import pipeline
from shopstill.core.config import build
from shopstill.core.errors import ConfigError
from shopstill.models import families
from shopstill.models.joint import Joint
from shopstill.models.sequence import SASRec
from shopstill.models.sequence.config import CodedItems
from shopstill.models.towers import Static, Towers
from shopstill.pipeline import learn
from shopstill.recipe import Recipe, read

ROOT = Path(__file__).resolve().parents[2]
Values = Callable[..., dict[str, Any]]
MadeAnew = Callable[..., list[str]]
_WRONG = {"layers": [0, 9]}
_SAYS = r"layers: 9 is not a layer of the source, which has 0 to 2"


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained."""
    monkeypatch.setattr(learn, "fit", lambda *given, **more: pytest.fail("something is trained"))


def _student(values: dict[str, Any], **changes: Any) -> dict[str, Any]:
    exact = values["students"]["exact"]
    return {**exact, "model": {**exact["model"], **changes}}


@pytest.mark.usefixtures("untrained")
def test_all_models_that_cannot_be_created_are_named_before_anything_is_trained(
    tmp_path: Path, tiny_recipe: Values
) -> None:
    values = tiny_recipe(tmp_path, timing=None)
    again = {"kind": "distil", "model": {**values["teacher"]["model"], **_WRONG}}
    values["students"] |= {"deep": _student(values, **_WRONG), "long": _student(values, max_tokens=65)}
    values["baselines"] = {"alone": {"model": values["students"]["fast"]["model"], "objective": [{"loss": "bce"}]}}
    values["compress"] = {
        "early": {"of": "fast", "passes": ["vocabulary", again]},
        "shallow": {"of": "exact", "passes": [{**again, "model": {**again["model"], "start": "teacher"}}]},
        "unknown": {"of": "early", "passes": [{**again, "model": {**again["model"], "start": "teacher"}}]},
    }
    with pytest.raises(ConfigError) as found:
        pipeline.run(build(Recipe, values))
    assert str(found.value).splitlines() == [
        "students.deep.model: layers: 9 is not a layer of the source, which has 0 to 2",
        "students.long.model: max_tokens: 65 is more than the start's 64 positions; use at most 64",
        "compress.early.passes.1.model: layers: 9 is not a layer of the source, which has 0 to 2",
        # The student that it starts from has one layer.
        "compress.shallow.passes.0.model: layers: 9 is not a layer of the source, which has 0 to 0",
    ]
    assert not list((tmp_path / "tiny" / ".work").iterdir()), "a rehearsal leaves nothing behind"


@pytest.mark.usefixtures("untrained")
def test_a_member_of_a_teacher_and_a_baseline_are_named_too(tmp_path: Path, tiny_recipe: Values) -> None:
    values = tiny_recipe(tmp_path)
    wrong = {**values["teacher"], "model": {**values["teacher"]["model"], **_WRONG}}
    values["teacher"] = {"kind": "ensemble", "members": [tiny_recipe(tmp_path)["teacher"], wrong]}
    values["baselines"] = {"alone": {"model": wrong["model"], "objective": [{"loss": "bce"}]}}
    with pytest.raises(ConfigError) as found:
        pipeline.run(build(Recipe, values), "teach")
    told = [line.split(": ")[0] for line in str(found.value).splitlines()]
    assert told == ["teacher.members.1.model", "baselines.alone.model"]


_PICTURES = [
    "shop={reader: simulate, products: 250, queries: 20, events: 0, images: true, image_size: 48}",
    "task.pictures={height: 16, width: 16}",
    "teacher.model={kind: small_cnn, channels: [16, 32]}",
    "split={valid: 0.3, test: 0.3}",
    "compress={}",
]


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ("{kind: small_cnn, channels: [8, 16], start: teacher}", "its picture network has other parts or sizes"),
        ("{kind: text_encoder, start: teacher}", "it has no transformer that reads texts"),
        ("{kind: bag, start: teacher}", "it has no transformer that reads texts"),
        ("{kind: mobilenet, start: splade-tiny}", "a mobilenet starts from 'teacher', a model's folder, or null"),
    ],
)
def test_a_student_that_does_not_fit_its_start_is_named(tmp_path: Path, model: str, fault: str) -> None:
    pytest.importorskip("PIL", reason="Pillow draws and reads the pictures")
    changes = [*_PICTURES, f"students.picture.model={model}", f"runs={tmp_path}"]
    with pytest.raises(ConfigError, match=rf"^students\.picture\.model: start '.*': {fault}"):
        pipeline.run(read(ROOT / "recipes" / "categorise.yaml", changes))


def test_only_what_is_asked_for_and_not_made_is_created(
    runs: Path, tiny_recipe: Values, made_anew: MadeAnew, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, created = tiny_recipe(runs), []
    monkeypatch.setattr(families, "quick", lambda wanted: created.append(wanted) or wanted)
    wrong = {**values, "students": {**values["students"], "deep": _student(values, **_WRONG)}}
    assert made_anew(values) == made_anew(wrong, "teach") == made_anew(wrong, "label") == []
    assert created == []
    with pytest.raises(ConfigError, match=rf"^students\.deep\.model: {_SAYS}$"):
        made_anew({**wrong, "students": {"deep": wrong["students"]["deep"], **values["students"]}})
    assert len(created) == 1, "the teacher and the students that are there are created again"


def test_what_a_chain_distils_is_tried_before_its_first_pass(
    runs: Path, tiny_recipe: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = {"kind": "distil", "model": {**tiny_recipe(runs)["teacher"]["model"], **_WRONG}}
    values = tiny_recipe(runs, compress={"small": {"of": "fast", "passes": ["vocabulary", again]}})
    monkeypatch.setattr(pipeline, "chains", lambda *given: pytest.fail("a pass is made"))
    pipeline.run(build(Recipe, values))
    with pytest.raises(ConfigError, match=rf"^compress\.small\.passes\.1\.model: {_SAYS}$"):
        pipeline.compress(build(Recipe, values))
    assert not (runs / "tiny" / "compress").exists()


def test_what_takes_long_to_begin_with_is_left_out() -> None:
    wanted = Towers(query=Static(vectors="output"), product=Static(vectors="output"), shared=True, head="interaction")
    assert families.quick(wanted) == Towers(shared=True)
    assert families.quick(Joint(towers=wanted)) == Joint(towers=Towers(shared=True))
    coded = SASRec(width=16, table=CodedItems())
    assert families.quick(coded).table.kind == "hashed"
    assert families.quick(SASRec(width=16)) == SASRec(width=16)
