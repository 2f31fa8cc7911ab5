"""Labelling: only what is missing, with an estimate, through kills."""

from __future__ import annotations

import logging
import multiprocessing
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shopstill.core.errors import DataError
from shopstill.data.pairs import PairTexts
from shopstill.teach.keys import digests
from shopstill.teach.label import Labelling, ask, keys_of, label
from shopstill.teach.store import LabelStore

PAIRS = 600
SHARD = 40
CALL = 8


def _pairs(count: int = PAIRS) -> PairTexts:
    numbers = np.arange(count)
    return PairTexts(
        queries=[f"query {i}" for i in range(20)],
        products=[f"product {i}" for i in range(count)],
        query_N=numbers % 20,
        product_N=numbers,
    )


def _store(root: Path) -> LabelStore:
    return LabelStore(root, teacher="sum", preparation="p")


class Teacher:
    """Answers with the sum of the numbers in both texts, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()

    def __call__(self, queries, products):
        self.asked.update(zip(queries, products, strict=True))
        return [float(q.split()[1]) + float(p.split()[1]) for q, p in zip(queries, products, strict=True)]


def test_each_pair_is_asked_once_and_a_second_run_asks_nothing(tmp_path: Path) -> None:
    teacher, pairs = Teacher(), _pairs()
    done = label(pairs, teacher, _store(tmp_path), Labelling(shard_rows=SHARD, call_rows=CALL))
    assert (done.labelled, done.reused) == (PAIRS, 0)
    assert done.estimate is not None
    assert done.rate > 0
    assert set(teacher.asked.values()) == {1}
    assert len(teacher.asked) == PAIRS
    store = _store(tmp_path)
    assert store.lookup(keys_of(pairs, store)).logits.tolist() == [i % 20 + i for i in range(PAIRS)]
    again = label(pairs, teacher, store, Labelling())
    assert (again.labelled, again.reused, sum(teacher.asked.values())) == (0, PAIRS, PAIRS)


def test_new_products_and_repeats_are_labelled_alone(tmp_path: Path) -> None:
    teacher = Teacher()
    label(_pairs(100), teacher, _store(tmp_path))
    more = _pairs(130)
    twice = PairTexts(
        queries=more.queries,
        products=more.products,
        query_N=np.concatenate([more.query_N, more.query_N]),
        product_N=np.concatenate([more.product_N, more.product_N]),
    )
    done = label(twice, teacher, _store(tmp_path))
    assert (done.labelled, done.reused) == (30, 230)
    assert sum(teacher.asked.values()) == 130


def test_the_cost_is_foreseen_before_the_work_is_done(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    answered = []

    def slow(queries, products):
        time.sleep(0.0005 * len(queries))
        answered.append(len(queries))
        if len(answered) == 3:
            assert "pairs to label, about" in caplog.text
        return np.zeros(len(queries))

    with caplog.at_level(logging.INFO):
        done = label(_pairs(), slow, _store(tmp_path), Labelling(sample=40))
    assert done.estimate == pytest.approx(done.seconds, rel=0.9)
    assert done.estimate > 0.2


def test_what_was_answered_before_an_error_is_kept(tmp_path: Path) -> None:
    teacher = Teacher()

    def breaks(queries, products):
        if len(teacher.asked) >= 200:
            raise RuntimeError("out of memory")
        return teacher(queries, products)

    with pytest.raises(RuntimeError, match="out of memory"):
        label(_pairs(), breaks, _store(tmp_path), Labelling(call_rows=CALL))
    assert _store(tmp_path).count == len(teacher.asked) >= 200


def test_a_slow_teacher_closes_its_shard_by_time(tmp_path: Path) -> None:
    store = _store(tmp_path)

    def slow(queries, products):
        time.sleep(0.02)
        return np.zeros(len(queries))

    label(_pairs(60), slow, store, Labelling(call_rows=10, shard_seconds=0.03, sample=50))
    assert len(list(store.folder.glob("*.arrow"))) >= 2


def test_features_are_stored_beside_the_logits(tmp_path: Path) -> None:
    store = LabelStore(tmp_path, teacher="t", preparation="p", features={"pooled": 2})
    pairs = _pairs(30)
    label(pairs, lambda q, p: (np.ones(len(q)), {"pooled": np.full((len(q), 2), 3)}), store, Labelling(call_rows=7))
    assert store.lookup(keys_of(pairs, store)).features["pooled"].tolist() == [[3, 3]] * 30


@pytest.mark.parametrize("answer", [[1.0], [[1.0, 2.0]] * 5, [float("nan")] * 5])
def test_a_wrong_answer_is_refused(tmp_path: Path, answer) -> None:
    with pytest.raises(DataError, match=r"logits"):
        label(_pairs(5), lambda q, p: answer, _store(tmp_path))
    assert _store(tmp_path).count == 0


def test_a_nan_names_its_pair_and_costs_no_other_label(tmp_path: Path) -> None:
    def sick(queries, products):
        return [float("nan") if p == "product 70" else 1.0 for p in products]

    with pytest.raises(DataError, match="nan for query 'query 10' and product 'product 70'"):
        label(_pairs(100), sick, _store(tmp_path), Labelling(call_rows=10, sample=50))
    assert _store(tmp_path).count == 70


def test_pairs_name_an_id_that_is_not_known() -> None:
    queries = pa.table({"query_id": ["1"], "text": ["mug"]})
    products = pa.table({"product_id": ["a"], "title": ["red mug"]})
    with pytest.raises(DataError, match="1 rows have a product_id that is not known, such as 'b'"):
        PairTexts.of(pa.table({"query_id": ["1"], "product_id": ["b"]}), queries, products)


_RUN = """
import os, time
from pathlib import Path
import numpy as np
from shopstill.data.pairs import PairTexts
from shopstill.teach.label import Labelling, label
from shopstill.teach.keys import digests
from shopstill.teach.store import LabelStore

journal = os.open(asked, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def score(queries, products):
    time.sleep(0.004)
    os.write(journal, "".join(f"{product}\\n" for product in products).encode())
    return [float(q.split()[1]) + float(p.split()[1]) for q, p in zip(queries, products)]

numbers = np.arange(count)
pairs = PairTexts(queries=[f"query {i}" for i in range(20)], products=[f"product {i}" for i in range(count)],
              query_N=numbers % 20, product_N=numbers)
store = LabelStore(Path(root), teacher="sum", preparation="p")
label(pairs, score, store, Labelling(shard_rows=shard, call_rows=call, sample=4))
"""


def test_killed_at_random_moments_it_ends_with_the_same_labels(tmp_path: Path) -> None:
    journal, root = tmp_path / "asked", tmp_path / "labels"
    names = {"asked": str(journal), "root": str(root), "count": PAIRS, "shard": SHARD, "call": CALL}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "shopstill.teach.label"])
    chance = random.Random(7)
    kills = 0
    for attempt in range(60):
        run = context.Process(target=exec, args=(_RUN, names))
        run.start()
        # The first one also waits for the server of processes to start.
        run.join(chance.uniform(0.02, 0.15) if 0 < attempt <= 12 else 0.0 if not attempt else None)
        if run.exitcode is None:
            run.kill()
            run.join()
            kills += 1
        elif run.exitcode == 0:
            break
    assert kills >= 5, "the run was over before it could be killed"
    store = _store(tmp_path / "labels")
    pairs = _pairs()
    assert not store.rejected
    assert store.lookup(keys_of(pairs, store)).logits.tolist() == [i % 20 + i for i in range(PAIRS)]
    asked = len(journal.read_text().splitlines())
    assert asked <= PAIRS + kills * (SHARD + CALL), "more than the open shard was asked about twice"


def test_questions_of_any_kind_are_asked_by_their_content(tmp_path: Path) -> None:
    store = LabelStore(tmp_path, teacher="t", preparation="p", outputs=3, features={"items": 2})
    contents = [b"one", b"two", b"one"]
    calls: list[list[int]] = []

    def answer(rows: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        calls.append(rows.tolist())
        return np.tile([0.5, 1.5, 2.5], (len(rows), 1)), {"items": np.full((len(rows), 2), 16_777_217, np.int32)}

    done = ask(digests(contents), answer, store)
    assert (done.labelled, done.reused, calls) == (2, 1, [[0, 1]])
    found = LabelStore(tmp_path, teacher="t", preparation="p", outputs=3, features={"items": 2}).lookup(
        digests(contents)
    )
    assert found.logits.tolist() == [[0.5, 1.5, 2.5]] * 3
    assert found.features["items"].tolist() == [[16_777_217] * 2] * 3, "whole numbers stay as they are"


def test_an_answer_that_is_no_number_names_the_question(tmp_path: Path) -> None:
    store = LabelStore(tmp_path, teacher="t", preparation="p")
    with pytest.raises(DataError, match="shopper 1: must be finite"):
        ask(digests([b"a", b"b"]), lambda rows: np.where(rows == 1, np.nan, 0.0), store, named="shopper {}".format)
