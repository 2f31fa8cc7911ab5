"""The task of categories: what is read of a product, what the teacher is asked, and how classes are judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from shopstill.core.errors import ConfigError, DataError
from shopstill.data.classes import ClassConfig
from shopstill.data.images import ImageForm
from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, simulate
from shopstill.data.split import SplitConfig
from shopstill.evaluate.compare import Judging, compare
from shopstill.evaluate.latency import Timing
from shopstill.export.bundle import About
from shopstill.models import families
from shopstill.models.label import Bag
from shopstill.models.vision import SmallCNN
from shopstill.pipeline.lineup import Lineup
from shopstill.serve.bundle.load import load_label
from shopstill.tasks import TEACHER, Labels, _answers
from shopstill.tasks.categorise import Categorise, CategoriseCourse
from shopstill.teach.mine import Mine
from shopstill.train.fit import fit
from shopstill.train.objective import Objective
from shopstill.train.training import Training
from shopstill.types import Term

pytest.importorskip("PIL", reason="Pillow draws and reads the pictures")

HARD, SOFT = Objective([Term(loss="cross_entropy")]), Objective([Term(loss="soft")])
JUDGING = Judging(
    metrics=("accuracy", "macro_f1", "ece"), min_candidates=1, resamples=100, slice_resamples=100, permutations=100
)
TIMING = Timing(candidates=(1, 3), threads=(1,), seconds=0.01, min_rounds=2, warmups=1, turn_ms=1, memory=False)
BAG = Bag(start=None, tokens=False, buckets=500, width=16)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("prepared") / "shop"
    simulate(Simulate(products=300, queries=10, judged_per_query=2, events=0, seed=3, images=True), folder)
    return Shop(folder)


@pytest.fixture(scope="module")
def course(shop: Shop) -> CategoriseCourse:
    return _course(shop)


def _course(shop: Shop, **changes: object) -> CategoriseCourse:
    wanted = {"classes": ClassConfig(level=0), "pictures": ImageForm(height=32, width=32), **changes}
    task, settings = Categorise(**wanted), SplitConfig(valid=0.2, test=0.3)  # type: ignore[arg-type]
    return task.open(shop, task.split(shop, settings), settings, 0)


@pytest.fixture
def taught(course: CategoriseCourse, tmp_path: Path) -> Labels:
    """A teacher of titles, and where its labels are."""
    model = course.create(BAG, (), 0)
    training = Training(epochs=30, batch_rows=32, learning_rate=5e-2)
    judge = course.validation(model, JUDGING)
    fit(model.network, course.direct(model, HARD), HARD, training, judge=judge, folder=tmp_path / "fit", seed=0)
    families.save(model, tmp_path / "teacher" / "members" / "0")
    (tmp_path / "asked").mkdir()
    return Labels(teacher=tmp_path / "teacher", store=tmp_path / "labels", folder=tmp_path / "asked")


def test_every_product_is_of_one_part_and_parts_share_no_product(course: CategoriseCourse) -> None:
    rows = [set(course.questions(part).row_N.tolist()) for part in ("train", "valid", "test")]  # type: ignore[arg-type]
    assert sum(map(len, rows)) == len(set().union(*rows)) == len(course.rows)


def test_questions_are_known_by_text_and_pixels(course: CategoriseCourse) -> None:
    contents = list(course.questions("train").contents())
    assert len(set(contents)) == len(contents), "no two products of this shop look and read the same"


def test_a_teacher_learns_and_its_classes_are_told_one_by_one(course: CategoriseCourse, taught: Labels) -> None:
    found = Lineup(course, taught).scored().judge(JUDGING)
    value = {name: found.score(name, "accuracy").estimate.value for name in found.roles}  # type: ignore[union-attr]
    assert value[TEACHER] > value["random"] + 0.2
    assert {c.label for c in found.classes} <= set(course.rows.classes)
    assert sum(c.support for c in found.classes) == found.units
    right = sum(c.support * c.recall for c in found.classes)
    assert right / found.units == pytest.approx(value[TEACHER])


def test_whole_paths_are_judged_by_the_steps_that_are_right(shop: Shop) -> None:
    course = _course(shop, classes=ClassConfig(level=None, least=5))
    truth = course.truth("test")
    assert {len(path) for path in truth.paths} == {3}
    leaf_N = np.asarray(truth.grade_N)
    first = {name: [path[0] for path in truth.paths].index(name) for name in {path[0] for path in truth.paths}}
    # Another category below the same root is wrong, and not as wrong as one below another.
    near_N = np.array([first[truth.paths[label][0]] for label in leaf_N])
    far_N = np.array([next(label for name, label in first.items() if name != truth.paths[own][0]) for own in leaf_N])
    said = {"right": leaf_N, "near": near_N, "far": far_N}
    config = Judging(metrics=("accuracy", "hierarchical_f1"), min_candidates=1, resamples=100, permutations=100)
    sure = dict.fromkeys(said, np.ones(len(leaf_N)))
    found = compare(truth, sure, dict.fromkeys(said, "baseline"), config, said)
    value = {name: found.score(name, "hierarchical_f1").estimate.value for name in said}  # type: ignore[union-attr]
    assert value["right"] == 1
    assert 1 > value["near"] > found.score("near", "accuracy").estimate.value  # type: ignore[union-attr]
    assert value["near"] > value["far"] == 0
    kept = found.per_unit.filter(pc.equal(found.per_unit["model"], "near"))
    assert kept["unit_id"].to_pylist() == truth.unit_ids
    assert set(kept["metric"].to_pylist()) == {"accuracy"}
    assert kept["value"].to_pylist() == (near_N == leaf_N).tolist()


def test_a_student_of_pictures_learns_from_a_teacher_of_titles(
    course: CategoriseCourse, taught: Labels, tmp_path: Path
) -> None:
    counts = course.label(taught, Mine(), ("pooled",), 0)
    assert counts["questions"] == len(course.questions("train"))
    objective = Objective([Term(loss="soft"), Term(loss="hint", tap="pooled", weight=0.1)])
    model = course.create(SmallCNN(channels=(8, 16, 16)), (), 0)
    lesson, judge = course.taught(model, objective, taught), course.validation(model, JUDGING)
    batch = lesson.batch(np.arange(4))
    assert batch.inputs["image_BHWC"].shape == (4, 32, 32, 3)
    assert batch.teacher is not None
    assert batch.teacher.logits.shape == (4, course.width)
    training = Training(epochs=30, batch_rows=32, learning_rate=1e-2)
    fit(model.network, lesson, objective, training, judge=judge, folder=tmp_path / "student", seed=0)
    families.save(model, tmp_path / "picture")
    lineup = Lineup(course, taught)
    lineup.add("picture", families.load(tmp_path / "picture"), "student")
    found = lineup.scored().judge(JUDGING)
    value = {name: found.score(name, "accuracy").estimate.value for name in found.roles}  # type: ignore[union-attr]
    assert value["picture"] > value["random"]
    wrong = found.disagreements[0]
    assert wrong.truth in course.rows.classes
    assert (wrong.picture or "").startswith("data:image/png;base64,")
    assert wrong.student_top[0].grade == 0.0


def test_a_split_without_validation_products_is_refused(shop: Shop) -> None:
    task = Categorise(classes=ClassConfig(level=0), pictures=None)
    with pytest.raises(DataError, match=r"no product to choose the epoch by; give split\.valid"):
        task.split(shop, SplitConfig(valid=0))


def test_rare_classes_count_more_where_that_is_asked(shop: Shop) -> None:
    asked = _course(shop, balance="inverse").questions("train")
    assert asked.weight_N is not None
    assert asked.weight_N.mean() == pytest.approx(1)
    counts = np.bincount(asked.target_N)
    assert asked.weight_N[asked.target_N == counts.argmin()].max() == asked.weight_N.max()


def test_a_shop_without_pictures_is_read_by_its_texts(tmp_path: Path) -> None:
    simulate(Simulate(products=120, queries=10, judged_per_query=2, events=0, seed=3), tmp_path / "shop")
    course = _course(Shop(tmp_path / "shop"))
    assert course.images is None
    with pytest.raises(
        ConfigError, match="'small_cnn' reads pictures, but no product of the shop names one; map image"
    ):
        course.create(SmallCNN(channels=(4,)), (), 0)
    assert course.outputs("test", course.create(BAG, (), 0)).shape[1] == course.width


def test_costs_are_of_products_at_once(course: CategoriseCourse, taught: Labels, tmp_path: Path) -> None:
    families.save(course.create(SmallCNN(channels=(8,)), (), 0), tmp_path / "small")
    folders = {TEACHER: [taught.teacher / "members" / "0"], "small": [tmp_path / "small"]}
    found = course.costs(folders, TIMING)
    assert found.latency is not None
    assert {(c.contender, c.candidates) for c in found.latency.cells} == {
        (name, count) for name in folders for count in (1, 3)
    }


@pytest.mark.parametrize("model", [SmallCNN(channels=(4,)), BAG], ids=["picture", "title"])
def test_a_bundle_is_judged_and_timed_in_place_of_its_model(
    model: SmallCNN | Bag, course: CategoriseCourse, tmp_path: Path
) -> None:
    made = course.create(model, (), 0)
    made.network.eval()
    families.save(made, tmp_path / "model")
    bundle = course.ship(made, tmp_path / "bundle", About(name="small"))
    np.testing.assert_allclose(course.served("test", bundle), course.outputs("test", made), atol=1e-4)
    manifest = load_label(bundle).manifest
    assert manifest.parity["rows"] == min(128, len(course.questions("valid")))
    found = course.served_costs({"small": bundle}, {"small": tmp_path / "model"}, TIMING)
    assert found.latency is not None
    assert [cell.candidates for cell in found.latency.cells] == [1, 3]
    assert found.flops["small"] > 0
    with pytest.raises(ConfigError, match="models of classes ship as bundles alone"):
        course.ship(made, tmp_path / "other", About(name="small"), "hf")
    assert len(list(course.texts())) == len(course.rows)


def test_a_process_that_answers_once_is_measured(course: CategoriseCourse, tmp_path: Path) -> None:
    made = course.create(BAG, (), 0)
    families.save(made, tmp_path / "model")
    _answers.answer_once([str(tmp_path / "model")], "red mug")
    families.save(course.create(SmallCNN(channels=(4,)), (), 0), tmp_path / "picture")
    _answers.answer_once([str(tmp_path / "picture")], "red mug")
