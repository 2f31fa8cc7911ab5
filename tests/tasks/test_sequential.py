"""The task of histories: what is learnt from, what the teacher is asked, and where true items are ranked."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from shopstill.core.errors import ArtifactError, ConfigError, DataError
from shopstill.data.histories import HistoryConfig, Part
from shopstill.data.shop import Shop, ShopWriter
from shopstill.data.split import SplitConfig
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.latency import Timing
from shopstill.export.bundle import About
from shopstill.models import families
from shopstill.models.sequence import GRU4Rec, Labelling, SASRec, SequenceModel
from shopstill.models.sequence.config import CodedItems
from shopstill.tasks import TEACHER, Labels, _starts
from shopstill.tasks import _places as places
from shopstill.tasks.sequential import Sequential, SequentialCourse
from shopstill.teach import teacher as teachers
from shopstill.teach.mine import Mine
from shopstill.train.fit import fit
from shopstill.train.objective import Objective
from shopstill.train.training import Training
from shopstill.types import Term

ITEMS, SHOPPERS, LENGTH = 30, 80, 9
HARD, SOFT = Objective([Term(loss="cross_entropy")]), Objective([Term(loss="soft")])
JUDGING = Judging(metrics=("ndcg@10", "hr@10"), resamples=200, slice_resamples=100, permutations=200)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Shoppers walk through the catalogue, mostly to the next item, so that what comes next can be learnt."""
    folder, draw = tmp_path_factory.mktemp("shop"), np.random.default_rng(0)
    with ShopWriter(folder) as writer:
        writer.write("products", [{"product_id": f"p{item}", "title": f"mug {item}"} for item in range(ITEMS)])
        for shopper in range(SHOPPERS):
            steps = draw.choice([1, 1, 1, 5], LENGTH).cumsum() + draw.integers(ITEMS)
            rows = [
                {"shopper_id": f"s{shopper}", "product_id": f"p{item % ITEMS}", "kind": "purchase", "time": time}
                for time, item in enumerate(steps.tolist())
            ]
            writer.write("events", rows)
    return Shop(folder)


@pytest.fixture
def course(shop: Shop) -> SequentialCourse:
    return _course(shop)


def _course(shop: Shop, **changes: object) -> SequentialCourse:
    wanted = {"histories": HistoryConfig(core=1, repeats="keep"), "labels": Labelling(best=6, drawn=4), **changes}
    task = Sequential(**wanted)  # type: ignore[arg-type]
    return task.open(shop, task.split(shop, SplitConfig()), SplitConfig(), 0)


@pytest.fixture
def taught(course: SequentialCourse, tmp_path: Path) -> Labels:
    """A teacher of some training, and where its labels are."""
    model = course.create(SASRec(width=16, heads=2, layers=1, dropout=0.0), (), 0)
    training = Training(epochs=12, batch_rows=16, learning_rate=1e-2)
    judge = course.validation(model, JUDGING)
    fit(model.network, course.direct(model, HARD), HARD, training, judge=judge, folder=tmp_path / "fit", seed=0)
    families.save(model, tmp_path / "teacher" / "members" / "0")
    (tmp_path / "asked").mkdir()
    return Labels(teacher=tmp_path / "teacher", store=tmp_path / "labels", folder=tmp_path / "asked")


def test_the_split_names_one_question_of_each_shopper_and_part(shop: Shop) -> None:
    task = Sequential(histories=HistoryConfig(core=1, repeats="keep"))
    split = task.split(shop, SplitConfig()).to_pylist()
    assert len(split) == 2 * SHOPPERS
    assert {row["upto"] for row in split if row["split"] == "test"} == {LENGTH - 1}
    assert {row["upto"] for row in split if row["split"] == "valid"} == {LENGTH - 2}


def test_a_teacher_learns_and_beats_what_needs_no_training(course: SequentialCourse, taught: Labels) -> None:
    from shopstill.pipeline.lineup import Lineup

    found = Lineup(course, taught).scored().judge(JUDGING)
    value = {name: found.score(name, "hr@10").estimate.value for name in found.roles}  # type: ignore[union-attr]
    assert value[TEACHER] > value["popularity"]
    assert value["markov"] > value["random"] == pytest.approx(10 / ITEMS)
    assert found.config["words"]["units"] == "shoppers"
    assert "→" in found.disagreements[0].query if found.disagreements else True


def test_what_was_asked_is_not_asked_again_and_what_is_stored_is_what_the_teacher_says(
    course: SequentialCourse, taught: Labels
) -> None:
    first = course.label(taught, Mine(), (), 0)
    assert first["places"] == len(course.parts.train) == SHOPPERS * (LENGTH - 3)
    shards = sorted(taught.store.rglob("*.arrow"))
    course.label(taught, Mine(), (), 0)
    assert sorted(taught.store.rglob("*.arrow")) == shards
    model = families.load(taught.teacher / "members" / "0")
    batch = course.taught(model, SOFT, taught).batch(np.arange(5))
    with torch.inference_mode():
        own = model.network.eval()(**batch.inputs).logits
    assert batch.teacher is not None
    assert torch.allclose(own, batch.teacher.logits, atol=2e-2), "kept in half precision"
    assert batch.target.eq(0).all(), "the true item is the first candidate"
    held = batch.inputs["candidate_PC"][:, 1:]
    before = [set(course.histories.history(s)[:u].tolist()) for s, u in _asked_of(course, 5)]
    assert all(not seen & set(row.tolist()) for seen, row in zip(before, held, strict=True)), "what is seen is left out"


def _asked_of(course: SequentialCourse, shoppers: int) -> list[tuple[int, int]]:
    return [(s, u) for s in range(shoppers) for u in range(1, int(course.parts.trained_U[s]))]


def test_a_student_learns_from_the_store_alone(course: SequentialCourse, taught: Labels, tmp_path: Path) -> None:
    course.label(taught, Mine(), ("hidden",), 0)
    objective = Objective([Term(loss="soft"), Term(loss="hint", tap="hidden", weight=0.1)])
    model = course.create(GRU4Rec(width=8, dropout=0.0), [taught.teacher / "members" / "0"], 0)
    before = course.validation(model, JUDGING)(model.network)["ndcg@10"]
    lesson = course.taught(model, objective, taught)
    training = Training(epochs=8, batch_rows=16, learning_rate=2e-2)
    judge = course.validation(model, JUDGING)
    fit(model.network, lesson, objective, training, judge=judge, folder=tmp_path / "student", seed=0)
    assert judge(model.network)["ndcg@10"] > before + 0.05


def test_labels_that_are_not_there_are_missed(course: SequentialCourse, taught: Labels) -> None:
    model = families.load(taught.teacher / "members" / "0")
    with pytest.raises(ArtifactError, match="no labels"):
        course.taught(model, SOFT, taught)


def test_fewer_rows_are_fewer_shoppers(course: SequentialCourse, taught: Labels) -> None:
    course.label(taught, Mine(), (), 0)
    model = families.load(taught.teacher / "members" / "0")
    assert len(course.taught(model, SOFT, taught, 7).group_N) == 7


@pytest.mark.parametrize("seen", [True, False])
def test_places_are_those_of_the_whole_sorted_catalogue(shop: Shop, seen: bool) -> None:
    course = _course(shop, seen=seen)
    score_V = torch.randn(ITEMS, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    part = course.parts.test
    found = places.ranked(
        lambda piece: score_V.expand(len(piece), -1).clone(), course.histories, part, seen=seen, shown=2
    )
    for row, (shopper, upto, target) in enumerate(zip(part.shopper_N, part.upto_N, part.target_N, strict=True)):
        allowed = set(range(1, ITEMS + 1)) - (set() if seen else set(course.histories.history(shopper)[:upto].tolist()))
        others = [float(score_V[item - 1]) for item in allowed if item != target]
        own = float(score_V[target - 1])
        if target not in allowed:
            assert found[row, :2].tolist() == [ITEMS - 1, 0]
            continue
        assert found[row, :2].tolist() == [sum(o > own for o in others), sum(o == own for o in others)]
        assert found[row, 2] in allowed


def test_several_teachers_are_averaged(course: SequentialCourse) -> None:
    networks = [course.create(SASRec(width=8, heads=1, layers=1), (), seed).network for seed in (0, 1)]
    both = places.by_networks(networks, course.histories)(course.parts.test)
    each = [places.by_networks([n], course.histories)(course.parts.test).log_softmax(-1) for n in networks]
    assert torch.allclose(both, (each[0] + each[1]) / 2, atol=1e-5)


def test_costs_are_of_requests_with_so_many_histories(course: SequentialCourse, taught: Labels, tmp_path: Path) -> None:
    families.save(course.create(GRU4Rec(width=8), (), 0), tmp_path / "small")
    folders = {TEACHER: [taught.teacher / "members" / "0"], "small": [tmp_path / "small"], "none": []}
    timing = Timing(candidates=(1, 3), threads=(1,), seconds=0.01, min_rounds=2, warmups=1, turn_ms=1, memory=False)
    found = course.costs(folders, timing)
    assert found.latency is not None
    assert {(c.contender, c.candidates) for c in found.latency.cells} == {
        (name, count) for name in (TEACHER, "small") for count in (1, 3)
    }
    assert found.flops[TEACHER] > 0 < found.flops["small"]


def test_a_model_is_saved_and_read_back(course: SequentialCourse, tmp_path: Path) -> None:
    model = course.create(SASRec(width=8, heads=1, layers=1), (), 0)
    families.save(model, tmp_path)
    back: SequenceModel = families.load(tmp_path)
    assert back.item_ids.equals(model.item_ids)
    assert back.parameters == model.parameters
    assert np.array_equal(course.outputs("test", back), course.outputs("test", model))


def test_a_bundle_ranks_as_its_model_does_and_costs_are_taken_of_it(
    course: SequentialCourse, taught: Labels, tmp_path: Path
) -> None:
    folder = taught.teacher / "members" / "0"
    model = families.load(folder)
    bundle = course.ship(model, tmp_path / "bundle", About(name="teacher"))
    assert np.array_equal(course.served("test", bundle)[:, 2:], course.outputs("test", model)[:, 2:])
    assert np.abs(course.served("test", bundle)[:, 0] - course.outputs("test", model)[:, 0]).mean() < 0.5
    timing = Timing(candidates=(2,), threads=(1,), seconds=0.01, min_rounds=2, warmups=1, turn_ms=1)
    found = course.served_costs({TEACHER: bundle}, {TEACHER: folder}, timing)
    assert found.alone[TEACHER].seconds > 0
    assert found.flops[TEACHER] > 0


def test_other_forms_are_refused(course: SequentialCourse, tmp_path: Path) -> None:
    model = course.create(GRU4Rec(width=8), (), 0)
    with pytest.raises(ConfigError, match="bundles alone"):
        course.ship(model, tmp_path / "out", About(name="small"), "hf")


@pytest.mark.parametrize("taught_by_it", [True, False])
def test_a_table_of_codes_starts_near_the_teachers_items_and_a_twins_does_not(
    course: SequentialCourse, taught: Labels, taught_by_it: bool
) -> None:
    teacher = teachers.folders(taught.teacher)
    wanted = SASRec(width=16, heads=2, layers=1, table=CodedItems(books=8, rows=16))
    made = course.create(wanted, teacher, 0, taught=taught_by_it).network.items.whole().detach()
    theirs = families.load(teacher[0]).network.items.whole().detach()
    alike = torch.corrcoef(torch.stack([torch.pdist(made), torch.pdist(theirs)]))[0, 1]
    assert (alike > 0.6) == taught_by_it


def test_a_table_of_codes_starts_near_the_items_of_all_members(course: SequentialCourse, tmp_path: Path) -> None:
    """Two items are as far apart as the mean of the members' log-probabilities says, whichever member says it."""
    members = [course.create(SASRec(width=8, heads=1, layers=1), (), seed).network for seed in (0, 1)]
    with torch.no_grad():
        members[1].items.table.weight.mul_(3)
    found = _starts.of_teacher(members, course.histories, course.parts)
    logits = places.by_networks(members, course.histories)(_trained(course))
    said = torch.pdist((logits - logits.mean(0)).T)
    assert torch.corrcoef(torch.stack([torch.pdist(found), said]))[0, 1] > 0.999
    alone = _starts.of_teacher(members[:1], course.histories, course.parts)
    assert torch.corrcoef(torch.stack([torch.pdist(alone), said]))[0, 1] < 0.9


def _trained(course: SequentialCourse) -> Part:
    shopper = np.flatnonzero(course.parts.trained_U >= 1)
    nothing = np.zeros(len(shopper), np.int64)
    return Part(shopper_N=shopper, upto_N=course.parts.trained_U[shopper], target_N=nothing)


def _bought(folder: Path, histories: list[list[int]]) -> Shop:
    with ShopWriter(folder) as writer:
        items = sorted({item for history in histories for item in history})
        writer.write("products", [{"product_id": f"p{item}", "title": f"mug {item}"} for item in items])
        rows = [
            {"shopper_id": f"s{shopper}", "product_id": f"p{item}", "kind": "purchase", "time": time * 10**12}
            for shopper, history in enumerate(histories)
            for time, item in enumerate(history, 1)
        ]
        writer.write("events", rows)
    return Shop(folder)


@pytest.mark.parametrize(
    ("length", "core", "told"),
    [
        (3, 1, "train 0, valid 20, test 20), and each needs some: a shopper needs 4 events to be in all; take in more"),
        (3, 2, "take in more events, or lower task.histories.core"),
        (2, 1, "train 20, valid 0, test 0"),
    ],
)
def test_shoppers_of_too_few_events_are_refused(tmp_path: Path, length: int, core: int, told: str) -> None:
    shop = _bought(tmp_path, [[(start + step) % length for step in range(length)] for start in range(20)])
    with pytest.raises(DataError, match=re.escape(told)) as found:
        Sequential(histories=HistoryConfig(core=core)).split(shop, SplitConfig())
    assert ("lower task.histories.core" in str(found.value)) == (core > 1)
    assert "split" not in str(found.value), "shares part no histories by the last event"


def test_moments_that_leave_nothing_to_choose_the_epoch_by_are_refused(tmp_path: Path) -> None:
    shop = _bought(tmp_path, [[(start + step) % 9 for step in range(9)] for start in range(20)])
    with pytest.raises(
        DataError, match=r"a part has no question \(train .*, valid 0, .*: split\.valid is 0; give it a"
    ):
        Sequential(histories=HistoryConfig(core=1), parted="time").split(shop, SplitConfig(valid=0.0))


def test_fewer_items_than_are_shown(tmp_path: Path) -> None:
    shop = _bought(tmp_path, [[0, 1, 0, 1, 0, 1]] * 20)
    course = _course(shop, seen=True)
    assert course.baselines()["popularity"]["test"].shape == (20, 2 + 2)
