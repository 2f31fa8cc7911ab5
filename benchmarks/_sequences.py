"""The steps of ``benchmarks.histories`` that need torch: what is learnt, asked of a teacher, and shipped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.scale import Done

from shopstill.data.histories import Histories, HistoryConfig, Part
from shopstill.data.shop import Shop
from shopstill.data.split import SplitConfig
from shopstill.evaluate.compare import Judging
from shopstill.export.bundle import About
from shopstill.models import families
from shopstill.models.sequence import ItemMean, Labelling, Negatives, SASRec, SequenceModel
from shopstill.models.sequence.config import CodedItems, LowRankItems
from shopstill.tasks import _places
from shopstill.tasks._course import Labels
from shopstill.tasks.sequential import Sequential, SequentialCourse
from shopstill.teach.label import ask
from shopstill.teach.mine import Mine
from shopstill.teach.store import LabelStore
from shopstill.train.fit import fit
from shopstill.train.objective import Objective
from shopstill.train.training import Training
from shopstill.types import Term

BATCH, _MOST = 128, 20
_ASKED = 64
_STAND_IN = 16
_HARD, _SOFT = Objective([Term(loss="cross_entropy")]), Objective([Term(loss="soft")])
TEACHER = SASRec(width=32, layers=1, max_items=_MOST)
STUDENT = SASRec(width=32, layers=1, max_items=_MOST, table=LowRankItems(rank=16))
CODED = ItemMean(width=32, max_items=_MOST, table=CodedItems(books=8))


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How much of each step is done: of training steps, seconds of a teacher, and rows read back."""

    steps: int
    seconds: float


def course(where: Path) -> SequentialCourse:
    """The task over the whole shop."""
    torch.set_num_threads(1)
    task = Sequential(histories=_histories(), labels=Labelling(), negatives=Negatives(count=512))
    return SequentialCourse(Shop(where / "shop"), task, SplitConfig(), 0)


def importing(where: Path, shares: Shares) -> Done:
    """What the imports take."""
    return Done(of="", rows=0)


def batches(where: Path, shares: Shares) -> Done:
    """Batches of all histories with drawn negatives, as training asks for them."""
    opened, parts = _timed(course, where)
    lesson = opened.direct(opened.create(STUDENT, (), 0), _HARD)
    start, places, count = time.perf_counter(), 0, 20 * shares.steps
    for rows in np.random.default_rng(0).integers(len(lesson.group_N), size=(count, BATCH)):
        places += len(lesson.batch(rows).target)
    return Done(of="places", rows=places, parts={"histories": parts, f"{count} batches": time.perf_counter() - start})


def training(where: Path, shares: Shares, wanted: Any, name: str) -> Done:
    """A model's first steps, with drawn negatives; judged on a few questions, ranked among all items."""
    opened, seconds = _timed(course, where)
    few = _narrowed(opened, shares.steps * BATCH)
    model, made = _timed(few.create, wanted, None, 0, taught=False)
    rows, fitted = _timed(_fit, few, model, few.direct(model, _HARD), _HARD, where / "fit" / name)
    families.save(model, where / "models" / name / "members" / "0")
    return Done(of="shoppers", rows=rows, parts={"histories": seconds, "create": made, f"{shares.steps} steps": fitted})


def labelling(where: Path, shares: Shares) -> Done:
    """The teacher says what comes next of as many places as it can in the time, out of all items."""
    opened, seconds = _timed(course, where)
    labels, start, shoppers, done = _labels(where), time.perf_counter(), _ASKED, 0
    while time.perf_counter() - start < shares.seconds:
        done = opened_label(_narrowed(opened, shoppers), labels)
        shoppers *= 2
    (where / "labelled").write_text(str(shoppers // 2))
    return Done(of="places", rows=done, parts={"histories": seconds, "teacher": time.perf_counter() - start})


def opened_label(few: SequentialCourse, labels: Labels) -> int:
    """How many places are labelled then."""
    return int(few.label(labels, Mine(), (), 0)["places"])


def learning(where: Path, shares: Shares) -> Done:
    """The student's first steps from the labels of these places."""
    opened, seconds = _timed(course, where)
    few = _narrowed(opened, int((where / "labelled").read_text()))
    model = families.load(where / "models" / "student" / "members" / "0")
    lesson, located = _timed(few.taught, model, _SOFT, _labels(where))
    rows, fitted = _timed(_fit, few, model, lesson, _SOFT, where / "fit" / "taught")
    return Done(of="shoppers", rows=rows, parts={"histories": seconds, "locate": located, "an epoch": fitted})


def storing(where: Path, shares: Shares) -> Done:
    """All places' labels by a stand-in for the teacher, into the store; then read as training does."""
    opened, seconds = _timed(course, where)
    train = opened.parts.train
    keys, made = _timed(_places.keys, opened.histories, train, _MOST)
    open_store = partial(LabelStore, where / "stand-in", teacher="none", preparation="none")
    wanted = {"outputs": 1 + _STAND_IN, "features": {"items": _STAND_IN}}
    _, written = _timed(ask, keys, _stand_in(opened.histories, train), open_store(**wanted))
    store, found_again = _timed(open_store, **wanted)
    row_N, located = _timed(store.locate, keys)
    _, again = _timed(store.missing, keys)
    draw = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(20 * shares.steps):
        rows = draw.integers(len(keys), size=8 * BATCH)
        found = store.read(row_N[rows])
        assert np.array_equal(found.features["items"][:, 0], train.target_N[rows]), "another place's labels"
    read = {f"{20 * shares.steps} batches read": time.perf_counter() - start}
    parts = {
        "histories": seconds,
        "keys": made,
        "label": written,
        "open again": found_again,
        "locate": located,
        "missing": again,
        **read,
    }
    return Done(of="places", rows=len(keys), parts=parts)


def starting(where: Path, shares: Shares) -> Done:
    """A table of codes that starts near what shoppers took up together."""
    opened, seconds = _timed(course, where)
    model, made = _timed(opened.create, CODED, None, 0, taught=False)
    families.save(model, where / "models" / "coded" / "members" / "0")
    return Done(of="items", rows=opened.histories.items, parts={"histories": seconds, "start": made})


def baselines(where: Path, shares: Shares) -> Done:
    """What needs no training, on a few questions."""
    opened, seconds = _timed(course, where)
    few = _narrowed(opened, 1)
    start = time.perf_counter()
    made = _places.baselines(opened.histories, opened.parts)
    parts = {"histories": seconds, "build": time.perf_counter() - start}
    for name, score in made.items():
        _, parts[name] = _timed(_places.ranked, score, opened.histories, few.parts.valid, seen=False)
    return Done(of="questions", rows=len(made) * len(few.parts.valid), parts=parts)


def exporting(where: Path, shares: Shares, name: str) -> Done:
    """The student as a bundle, with titles, held to the model by the gate."""
    opened, seconds = _timed(course, where)
    model = families.load(where / "models" / name / "members" / "0")
    _, shipped = _timed(opened.ship, model, where / "bundles" / name, About(name=name))
    return Done(of="items", rows=opened.histories.items, parts={"histories": seconds, "bundle": shipped})


def _histories() -> HistoryConfig:
    return HistoryConfig(kinds=("click",), core=1, repeats="first")


def _labels(where: Path) -> Labels:
    folder = where / "asked"
    folder.mkdir(exist_ok=True)
    return Labels(teacher=where / "models" / "teacher", store=where / "labels", folder=folder)


def _narrowed(opened: SequentialCourse, shoppers: int) -> SequentialCourse:
    """The same course that learns from some shoppers, drawn from all, and judges a few questions."""
    few, parts = object.__new__(SequentialCourse), opened.parts
    few.__dict__.update(opened.__dict__)
    order = np.random.default_rng(1).permutation(len(opened.histories))[:shoppers]
    inside = np.zeros(len(opened.histories), bool)
    inside[order] = True
    few.parts = replace(
        parts,
        train=parts.train.take(inside[parts.train.shopper_N]),
        trained_U=np.where(inside, parts.trained_U, 0),
        valid=parts.valid.take(np.arange(min(_ASKED, len(parts.valid)))),
    )
    return few


def _fit(few: SequentialCourse, model: SequenceModel, lesson: Any, objective: Objective, folder: Path) -> int:
    settings = Training(epochs=1, batch_rows=BATCH, learning_rate=1e-3, checkpoint_minutes=60)
    judge = few.validation(model, Judging(metrics=("ndcg@10",)))
    return fit(model.network, lesson, objective, settings, judge=judge, folder=folder, seed=0).rows


def _stand_in(histories: Histories, train: Part) -> Callable[[np.ndarray], tuple[np.ndarray, Mapping[str, np.ndarray]]]:
    """As good as instantaneous: numbers from the places' targets."""

    def answer(rows: np.ndarray) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        item_NC = (train.target_N[rows, None] + np.arange(_STAND_IN, dtype=np.int32)) % histories.items
        item_NC[:, 0] = train.target_N[rows]
        logits = np.linspace(1, 0, 1 + _STAND_IN, dtype=np.float32) + np.zeros((len(rows), 1), np.float32)
        return logits, {"items": item_NC}

    return answer


def _timed(work: Callable[..., Any], *given: Any, **named: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    made = work(*given, **named)
    return made, time.perf_counter() - start
