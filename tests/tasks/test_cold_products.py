"""Products that nobody has taken up yet: a bundle ranks them by what shoppers like, far better than chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shopstill.data.histories import AttributeConfig, HistoryConfig
from shopstill.data.shop import Shop, ShopWriter
from shopstill.data.split import SplitConfig
from shopstill.evaluate.compare import Judging
from shopstill.export.bundle import About
from shopstill.models.sequence import SASRec
from shopstill.serve.bundle.load import load_history
from shopstill.tasks.sequential import Sequential, SequentialCourse
from shopstill.train.fit import fit
from shopstill.train.objective import Objective
from shopstill.train.training import Training
from shopstill.types import Term

KINDS, EACH, NEW, SHOPPERS, LENGTH = 12, 10, 3, 300, 8
"""Kinds of products; products of a kind; those of them that nobody has taken up."""

TOP = 4
HARD = Objective([Term(loss="cross_entropy")])


def _name(kind: int, number: int) -> str:
    return f"p{kind}-{number}"


def _kinds(draw: np.random.Generator) -> np.ndarray:
    """A shopper goes from kind to kind, mostly to the next one."""
    return (draw.choice([0, 1, 1, 1, 5], LENGTH).cumsum() + draw.integers(KINDS)) % KINDS


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder, draw = tmp_path_factory.mktemp("shop"), np.random.default_rng(0)
    products = [
        {"product_id": _name(kind, number), "title": f"product {number}", "brand": f"brand {kind}"}
        for kind in range(KINDS)
        for number in range(EACH)
    ]
    with ShopWriter(folder) as writer:
        writer.write("products", [*products, {"product_id": "odd", "title": "of no brand"}])
        for shopper in range(SHOPPERS):
            taken = [_name(kind, int(draw.integers(EACH - NEW))) for kind in _kinds(draw)]
            rows = [
                {"shopper_id": f"s{shopper}", "product_id": name, "kind": "click", "time": time}
                for time, name in enumerate(taken)
            ]
            writer.write("events", rows)
    return Shop(folder)


def _course(shop: Shop, told: AttributeConfig | None) -> SequentialCourse:
    task = Sequential(histories=HistoryConfig(core=1, repeats="keep"), attributes=told, seen=True)
    return task.open(shop, pa.table({}), SplitConfig(), 0)


def _shipped(shop: Shop, told: AttributeConfig | None, folder: Path, epochs: int) -> Path:
    course = _course(shop, told)
    model = course.create(SASRec(width=16, heads=2, layers=1, dropout=0.0, max_items=LENGTH), (), 0)
    training = Training(epochs=epochs, batch_rows=32, learning_rate=1e-2)
    judge = course.validation(model, Judging(metrics=("ndcg@10",)))
    fit(model.network, course.direct(model, HARD), HARD, training, judge=judge, folder=folder / "fit", seed=0)
    return course.ship(model, folder / "bundle", About(name="cold"))


def test_new_products_of_the_kind_that_comes_next_stand_first(shop: Shop, tmp_path: Path) -> None:
    served = load_history(_shipped(shop, AttributeConfig(id_dropout=0.1), tmp_path, 15))
    new = [served.item_ids[item - 1] for item in served.cold.tolist()]
    assert sorted(new) == sorted(_name(k, n) for k in range(KINDS) for n in range(EACH - NEW, EACH)), (
        "'odd' is not told"
    )
    draw, hits, asked = np.random.default_rng(1), 0, 200
    for _ in range(asked):
        *kinds, last = _kinds(draw)
        history = [_name(kind, int(draw.integers(EACH - NEW))) for kind in kinds]
        wanted = _name(int(last), EACH - 1 - int(draw.integers(NEW)))
        hits += wanted in {name for name, _ in served.recommend(history, TOP, allowed=new)}
    chance = TOP / (KINDS * NEW)
    assert hits / asked > 3.5 * chance, (hits / asked, chance)


@pytest.mark.parametrize("told", [None, AttributeConfig(cold=False)])
def test_without_attributes_or_where_they_are_not_wanted_there_are_none(
    shop: Shop, told: AttributeConfig | None, tmp_path: Path
) -> None:
    served = load_history(_shipped(shop, told, tmp_path, 1))
    assert len(served.item_ids) == KINDS * (EACH - NEW)
    assert len(served.cold) == 0


def test_of_many_questions_some_are_asked(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _course(shop, None).parts
    monkeypatch.setattr("shopstill.tasks.sequential._RANKED", 0)
    monkeypatch.setattr("shopstill.tasks.sequential._LEAST_ASKED", 40)
    few, again = _course(shop, None).parts, _course(shop, None).parts
    assert len(few.test) == len(few.valid) == 40 < len(whole.test)
    assert np.array_equal(few.test.shopper_N, again.test.shopper_N)
    assert np.isin(few.test.shopper_N, whole.test.shopper_N).all()
    assert len(few.train) == len(whole.train)
