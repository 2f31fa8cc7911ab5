"""The retrieval task: what is found in a whole catalogue, learnt across batches, and served as it was judged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from shopstill.core.errors import ConfigError
from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, simulate
from shopstill.data.split import SplitConfig
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.judged import judged
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.statistic import statistic
from shopstill.export.bundle import About
from shopstill.models import build
from shopstill.models.cross import Cross
from shopstill.models.towers import Static, Towers
from shopstill.pipeline.lineup import Lineup
from shopstill.serve.bundle.load import load_texts
from shopstill.serve.engine.engine import Engine, create
from shopstill.serve.forms import Search
from shopstill.serve.products import read_products
from shopstill.tasks import Labels, _found, retrieval
from shopstill.tasks._catalogue import Pairs
from shopstill.tasks._contest import BM25
from shopstill.tasks._found import DEPTH, Pool
from shopstill.tasks.retrieval import Retrieval, RetrievalCourse
from shopstill.train.batches import Told
from shopstill.train.fit import fit
from shopstill.train.objective import Objective
from shopstill.train.predict import predict
from shopstill.train.training import Training
from shopstill.types import Term

ACROSS = Objective([Term(loss="listwise_softmax", across=True, options={"temperature": 0.25})])
JUDGING = Judging(
    metrics=("recall@20", "ndcg@10"), min_candidates=1, resamples=200, slice_resamples=100, permutations=200
)
NOWHERE = Labels(teacher=Path("none"), store=Path("none"), folder=Path("none"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    simulate(Simulate(products=600, queries=150, judged_per_query=8, events=0, seed=2), folder)
    return Shop(folder)


@pytest.fixture(scope="module")
def course(shop: Shop) -> RetrievalCourse:
    task, settings = Retrieval(reordered=5), SplitConfig(valid=0.2, test=0.3, seed=1)
    return task.open(shop, task.split(shop, settings), settings, 0)


def _towers(start: Path, seed: int = 0) -> build.TextModel:
    tower = Static(start=str(start), max_tokens=16, vectors="output")
    return build.create(Towers(query=tower, product=tower, shared="tokens", width=24), None, seed)


@pytest.fixture(scope="module")
def learnt(course: RetrievalCourse, tiny_start: Path, tmp_path_factory: pytest.TempPathFactory) -> build.TextModel:
    model = _towers(tiny_start)
    training = Training(epochs=20, batch_rows=64, learning_rate=5e-3)
    steps, folder = count(), tmp_path_factory.mktemp("fit")
    examples = course.direct(model, ACROSS)
    # The last weights are kept: the validation part has too few queries to choose by.
    fit(model.network, examples, ACROSS, training, judge=lambda _: {"step": next(steps)}, folder=folder, seed=0)
    return model


def test_a_batch_across_holds_every_query_with_every_product_and_what_is_known_of_each(
    course: RetrievalCourse, tiny_start: Path
) -> None:
    model = _towers(tiny_start)
    examples = course.direct(model, ACROSS)
    batch, pairs = examples.batch(np.arange(40)), course.catalogue.judged("train")
    queries, products = len(batch.inputs["query_length_Q"]), len(batch.inputs["product_length_P"])
    assert len(batch.target) == queries * products
    assert batch.own is not None
    known = dict(zip(zip(pairs.query_N, pairs.product_N, strict=True), examples.target_N, strict=True))
    rows = examples.relevant_M[:40]
    asked, given = np.unique(pairs.query_N[rows]), np.unique(pairs.product_N[rows])
    for at, (query, product) in enumerate((q, p) for q in asked for p in given):
        assert bool(batch.own[at]) == ((query, product) in known)
        assert batch.target[at] == known.get((query, product), 0.0)
    assert 40 <= int(batch.own.sum()) < len(batch.target)
    assert batch.group.tolist() == np.repeat(np.arange(queries), products).tolist()
    # One product of matrices gives what the pairs by themselves do.
    own = batch.own.nonzero().squeeze(1)
    alone = {**batch.inputs, **{name: batch.inputs[name][own] for name in ("query_B", "product_B", "lexical_BF")}}
    whole = model.network(**batch.inputs)
    torch.testing.assert_close(whole.logits[own], model.network(**alone).logits)
    assert whole.features["product"].shape == (len(batch.target), 24)


def test_another_teacher_may_say_which_pairs_are_relevant(course: RetrievalCourse, tiny_start: Path) -> None:
    model = _towers(tiny_start)
    examples = course.direct(model, ACROSS)
    assert isinstance(examples, Told)
    said_N = predict(model.network, examples.feed).logits
    found = examples.saying(said_N)
    batch = found.batch(np.arange(8))
    assert batch.own is not None
    assert batch.teacher is not None
    torch.testing.assert_close(
        batch.teacher.logits[batch.own], model.network(**batch.inputs).logits[batch.own], rtol=1e-4, atol=1e-4
    )
    assert len(found.group_N) == int((said_N >= 0).sum())


def test_terms_that_do_not_look_across_see_what_was_asked_for_alone(course: RetrievalCourse, tiny_start: Path) -> None:
    model = _towers(tiny_start)
    batch = course.direct(model, ACROSS).batch(np.arange(40))
    assert batch.own is not None
    with torch.no_grad():
        signals = model.network(**batch.inputs)
    both = Objective([Term(loss="bce"), Term(loss="listwise_softmax", across=True)])
    _, parts = both(signals, batch)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(signals.logits[batch.own], batch.target[batch.own])
    assert parts["bce"] == pytest.approx(float(expected), rel=1e-5)
    log_q = signals.logits.view(len(batch.inputs["query_length_Q"]), -1).log_softmax(1)
    share = batch.target.view(log_q.shape)
    share = share / share.sum(1, keepdim=True)
    assert parts["listwise_softmax"] == pytest.approx(float(-(share * log_q).sum(1).mean()), rel=1e-5)


def test_looking_across_is_refused_where_it_cannot_be(course: RetrievalCourse, tiny_start: Path) -> None:
    with pytest.raises(ConfigError, match="bce compares each row alone"):
        Objective([Term(loss="bce", across=True)])
    cross = build.create(Cross(start=str(tiny_start), max_tokens=16), None, 0)
    with pytest.raises(ConfigError, match="head: dot"):
        course.direct(cross, ACROSS)


def test_places_are_those_of_the_whole_catalogue() -> None:
    pairs = Pairs(
        query_N=np.array([4, 4, 4, 9]),
        product_N=np.array([1, 2, 3, 7]),
        grade_N=np.array([3.0, 1, 2, 3]),
        gain_N=np.array([2.0, 0, 1, 2]),
    )
    ranking = [np.array([8, 3, 5, 1]), np.array([6, -1])]
    scores = _found.placed(pairs, ranking)
    truth = judged(
        np.r_[0, 0, 0, 1, np.repeat([0, 1], DEPTH)],
        np.r_[pairs.gain_N, np.zeros(2 * DEPTH)],
        np.r_[pairs.grade_N, np.ones(2 * DEPTH)],
        2,
    )

    def value(name: str) -> list[float]:
        return statistic(parse_metric(name), truth, scores, min_candidates=1).spread_over(2).tolist()

    # Of two relevant ones the second is at place 2, the first at 4; and of one nothing is found.
    assert value("recall@3") == [0.5, 0.0]
    assert value("recall@100") == [1.0, 0.0]
    ideal = 2 + 1 / np.log2(3)
    assert value("ndcg@10") == pytest.approx([(1 / np.log2(3) + 2 / np.log2(5)) / ideal, 0.0])


def test_words_and_vectors_are_put_together_by_their_scores() -> None:
    pool = Pool(rows=np.array([5, 2, 9]), share=np.array([1.0, 0.5, 0.0]), cosine=np.array([0.1, 0.9, 0.9]))
    assert [pool.ranked(w).tolist() for w in (0.0, 1.0, 3.0)] == [[5, 2, 9], [2, 5, 9], [2, 9, 5]]
    assert _found.best_weight([pool], lambda ranking: float(ranking[0][0] == 2)) == 0.75


def test_what_is_learnt_across_finds_more(course: RetrievalCourse, learnt: build.TextModel, tiny_start: Path) -> None:
    pairs = course.catalogue.judged("train")

    def by_vectors(model: build.TextModel) -> float:
        ranking = [pool.ranked(1e6) for pool in course._pools("train", *course._vectors("train", model))]
        found = _found.placed(pairs, ranking)[: len(pairs)]
        return float(np.mean(found[pairs.gain_N > 0] > -DEPTH))

    assert by_vectors(learnt) > 1.5 * by_vectors(_towers(tiny_start))
    figures = course.validation(learnt, JUDGING)(learnt.network)
    assert figures["mean"] == pytest.approx((figures["recall@20"] + figures["ndcg@10"]) / 2)
    for metric in ("rmse", "recall@500", "spearman", "mrr"):
        with pytest.raises(ConfigError, match=f"{metric}: use rankings down to place 100"):
            course.validation(learnt, Judging(metrics=(metric,)))


def test_what_nobody_judged_is_relevant_nowhere(course: RetrievalCourse) -> None:
    truth = course.truth("test")
    lowest = float(course.catalogue.judged("test").grade_N.min())
    unjudged = np.array([title == retrieval._NOBODY for title in truth.titles])
    assert (np.asarray(truth.grade_N)[unjudged] < lowest).all()
    assert (np.asarray(truth.grade_N)[~unjudged] >= lowest).all()
    whole = retrieval._truth(course.catalogue.judged("test"), relevant_grade=lowest)
    assert np.array_equal(whole.relevant_N, ~unjudged), "even where every judged product counts"


def test_models_stand_beside_words(course: RetrievalCourse, learnt: build.TextModel) -> None:
    class Knowing(RetrievalCourse):
        def _said(self, pairs: Pairs, labels: Labels, taps: tuple[str, ...] = ()) -> np.ndarray:
            whole = self.catalogue.judged("valid").joined(self.catalogue.judged("test"))
            grade = dict(zip(zip(whole.query_N, whole.product_N, strict=True), whole.grade_N, strict=True))
            return np.array([grade.get(pair, -1.0) for pair in zip(pairs.query_N, pairs.product_N, strict=True)])

    lineup = Lineup(Knowing(course.catalogue, Retrieval(reordered=20), 0), NOWHERE)
    lineup.add("find", learnt, "student")
    found = lineup.scored().judge(JUDGING)
    value = {name: found.score(name, "ndcg@10").estimate.value for name in found.roles}  # type: ignore[union-attr]
    assert value["teacher"] > value[BM25] > value["random"] == 0, "who knows the grades orders better than words"
    deep = {name: found.score(name, "recall@20").estimate.value for name in found.roles}  # type: ignore[union-attr]
    assert deep["teacher"] == deep[BM25], "the teacher orders what words found, and finds nothing more"


@pytest.fixture(scope="module")
def bundle(course: RetrievalCourse, learnt: build.TextModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return course.ship(learnt, tmp_path_factory.mktemp("ship") / "bundle", About(name="find"))


@pytest.fixture
def engine(shop: Shop, bundle: Path, tmp_path: Path) -> Iterator[Engine]:
    products, total = read_products(shop.path)
    create(tmp_path / "index", bundle, products, total)
    opened = Engine.open(tmp_path / "index", bundle)
    yield opened
    opened.close()


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two rankings agree, but for scores that differ in their last bit alone."""
    return bool(np.mean(one == other) > 0.99)


def test_a_bundle_finds_as_its_model_was_judged_to(
    course: RetrievalCourse, learnt: build.TextModel, bundle: Path, engine: Engine
) -> None:
    manifest = load_texts(bundle).manifest
    assert manifest.fusion in _found.SHARES
    assert manifest.fusion
    assert _alike(course.served("test", bundle), course.outputs("test", learnt))
    pairs = course.catalogue.judged("test")
    asked = np.unique(pairs.query_N)
    ranking = course._ranked("test", learnt)
    ids = course.catalogue.product_ids.to_pylist()
    same = []
    for query, rows in zip(asked, ranking, strict=True):
        answer = engine.search(Search(query=course.catalogue.queries[query], limit=20, budget_ms=5_000))
        same.append([hit.product.id for hit in answer.hits] == [ids[row] for row in rows[:20]])
        assert answer.reranked == 0, "its cosines have put everything in order already"
    # Scores that differ in their last bit alone may change places.
    assert np.mean(same) > 0.95


def test_a_model_of_pairs_orders_what_words_found(course: RetrievalCourse, tiny_start: Path, tmp_path: Path) -> None:
    cross = build.create(Cross(start=str(tiny_start), max_tokens=16), None, 0)
    folder = course.ship(cross, tmp_path / "bundle", About(name="pairs"))
    assert load_texts(folder).manifest.fusion is None
    out = course.outputs("test", cross)
    assert not np.array_equal(out, course.baselines()[BM25]["test"])
    assert _alike(course.served("test", folder), out)
