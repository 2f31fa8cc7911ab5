"""The relevance task: whose pairs are whose, what a model is given, and how models stand side by side."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shopstill.core.errors import DataError
from shopstill.data.shop import Shop, ShopWriter
from shopstill.data.simulate import Simulate, simulate
from shopstill.data.split import SplitConfig, split_queries
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.costs import load as load_costs
from shopstill.evaluate.latency import Timing
from shopstill.models import build
from shopstill.models.cross import Cross
from shopstill.models.towers import Static, Towers
from shopstill.pipeline.lineup import Lineup
from shopstill.tasks import TEACHER, Labels
from shopstill.tasks._catalogue import Catalogue
from shopstill.tasks._contest import BM25, costs
from shopstill.tasks._course import Part
from shopstill.tasks.relevance import Relevance, RelevanceCourse

_NOWHERE = Labels(teacher=Path("none"), store=Path("none"), folder=Path("none"))
QUICK = {"resamples": 200, "slice_resamples": 100, "permutations": 100}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    simulate(Simulate(products=400, queries=120, judged_per_query=8, events=0, seed=2), folder)
    return Shop(folder)


@pytest.fixture
def catalogue(shop: Shop) -> Catalogue:
    return Catalogue(shop, split_queries(shop, SplitConfig(valid=0.2, test=0.3, seed=1)), Relevance().text)


def _model(start: Path, head: str = "interaction") -> build.TextModel:
    tower = Static(start=str(start), max_tokens=16)
    wanted = Towers(query=tower, product=tower, head=head, width=8, hidden=8)  # type: ignore[arg-type]
    return build.create(wanted, None, 0)


def test_a_query_is_of_one_part_alone_and_every_judgment_is_there(catalogue: Catalogue, shop: Shop) -> None:
    parts = [catalogue.judged(part) for part in ("train", "valid", "test")]  # type: ignore[arg-type]
    queries = [set(part.query_N.tolist()) for part in parts]
    assert not (queries[0] & queries[1]) | (queries[0] & queries[2]) | (queries[1] & queries[2])
    assert sum(map(len, parts)) == shop.count("judgments")


def test_pairs_name_the_texts_of_the_shop(catalogue: Catalogue, shop: Shop) -> None:
    given = shop.read("judgments", ["query_id", "product_id", "grade", "gain"]).slice(0, 50)
    pairs = catalogue.pairs(given)
    texts = dict(zip(*(c.to_pylist() for c in shop.read("queries", ["query_id", "text"]).columns), strict=True))
    titles = dict(zip(*(c.to_pylist() for c in shop.read("products", ["product_id", "title"]).columns), strict=True))
    for query, product, row in zip(pairs.query_N, pairs.product_N, given.to_pylist(), strict=True):
        assert catalogue.queries[query] == texts[row["query_id"]]
        assert catalogue.products[product] == titles[row["product_id"]]
    assert pairs.grade_N.tolist() == given.column("grade").to_pylist()
    back = catalogue.table(pairs, np.zeros(50, np.float32))
    assert back.drop_columns("logit").to_pylist() == given.to_pylist()


def test_pairs_that_nobody_judged_have_no_grade(catalogue: Catalogue, shop: Shop) -> None:
    judged = catalogue.pairs(shop.read("judgments").slice(0, 3))
    mined = catalogue.pairs(shop.read("judgments", ["query_id", "product_id"]).slice(3, 2))
    assert np.isnan(mined.grade_N).all()
    both = judged.joined(mined)
    assert len(both) == 5
    table = catalogue.table(both.take(np.array([4, 0])), np.array([1.0, 2.0], np.float32))
    assert table.column("grade").to_pylist()[0] is None
    assert table.column("grade").to_pylist()[1] == judged.grade_N[0]


def test_an_unknown_id_is_named(catalogue: Catalogue) -> None:
    table = pa.table({"query_id": ["nobody asked"], "product_id": [catalogue.product_ids[0].as_py()]})
    with pytest.raises(DataError, match="1 rows have a query_id that is not known, such as 'nobody asked'"):
        catalogue.pairs(table)


def test_queries_made_from_titles_are_taken_in_once(catalogue: Catalogue) -> None:
    before = len(catalogue.queries)
    made = pa.table({"query_id": ["cut-0", "cut-1"], "text": ["red mug", "blue chair"]})
    catalogue.know(made)
    catalogue.know(made)
    assert catalogue.queries[before:] == ["red mug", "blue chair"]
    product = catalogue.product_ids[0].as_py()
    pairs = catalogue.pairs(pa.table({"query_id": ["cut-1"], "product_id": [product]}))
    assert catalogue.queries[pairs.query_N[0]] == "blue chair"


def test_what_may_be_learned_from_has_no_query_that_judges(catalogue: Catalogue) -> None:
    judging = {q for part in ("valid", "test") for q in catalogue.judged(part).query_N.tolist()}  # type: ignore[arg-type]
    training = set(catalogue.judged("train").query_N.tolist())
    learnable = Counter(catalogue.learnable)
    assert Counter(catalogue.queries[q] for q in training) <= learnable
    assert sum(learnable.values()) == len(catalogue.queries) - len(judging)


def test_a_part_without_pairs_is_refused_with_the_fix(shop: Shop) -> None:
    split = split_queries(shop, SplitConfig(valid=0.2, test=0.3, seed=1))
    sides = pa.array(["train"] * split.num_rows)
    everything = Catalogue(shop, split.set_column(split.column_names.index("split"), "split", sides), Relevance().text)
    with pytest.raises(DataError, match="split test: no judged pair; give it a larger share"):
        everything.judged("test")


def test_the_text_of_a_product_is_what_the_task_says(tmp_path: Path) -> None:
    with ShopWriter(tmp_path) as writer:
        rows = [
            {"product_id": "1", "title": "mug", "brand": "Acme", "description": None},
            {"product_id": "2", "title": "chair", "brand": None, "description": "to sit on"},
        ]
        writer.write("products", rows)
        writer.write("queries", [{"query_id": "1", "text": "mug"}])
        writer.write("judgments", [{"query_id": "1", "product_id": "1", "grade": 1.0, "gain": 1.0}])
    split = pa.table({"query_id": ["1"], "split": ["train"]})
    found = {text: Catalogue(Shop(tmp_path), split, text).products for text in _TEXTS}
    assert found == _TEXTS


_TEXTS: dict[Any, list[str]] = {
    ("title",): ["mug", "chair"],
    ("brand", "title"): ["Acme mug", "chair"],
    ("title", "brand", "description"): ["mug Acme", "chair to sit on"],
}


def test_targets_go_from_zero_to_one_and_groups_are_queries_where_asked(catalogue: Catalogue, tiny_start: Path) -> None:
    pairs, model = catalogue.judged("train"), _model(tiny_start)
    single, grouped = (catalogue.examples(pairs, model, None, grouped=g) for g in (False, True))
    assert (single.target_N.min(), single.target_N.max()) == (0, 1)
    assert np.array_equal(np.argsort(single.target_N, kind="stable"), np.argsort(pairs.grade_N, kind="stable"))
    assert len(set(single.group_N)) == len(pairs)
    assert np.array_equal(grouped.group_N, pairs.query_N)


def test_validation_watches_the_mean_of_what_needs_no_curve(catalogue: Catalogue, tiny_start: Path) -> None:
    model = _model(tiny_start)
    figures = catalogue.validation(model, Judging(metrics=("ndcg@10", "spearman", "rmse"), **QUICK))(model.network)
    assert list(figures) == ["mean", "ndcg@10", "spearman"]
    assert figures["mean"] == pytest.approx((figures["ndcg@10"] + figures["spearman"]) / 2)
    only = catalogue.validation(model, Judging(metrics=("rmse",), **QUICK))(model.network)
    assert only["mean"] == pytest.approx(figures["spearman"])


@pytest.fixture
def lineup(catalogue: Catalogue) -> Lineup:
    """A teacher that knows the grades up to a little noise."""

    class Knowing(RelevanceCourse):
        def teachers(self, part: Part, labels: Labels) -> np.ndarray:
            grade_N = self.catalogue.judged(part).grade_N
            return grade_N + 0.3 * np.random.default_rng(0).normal(size=len(grade_N))

    return Lineup(Knowing(catalogue, Relevance(), 0), _NOWHERE)


def test_models_stand_side_by_side(lineup: Lineup, tiny_start: Path) -> None:
    lineup.add("fast", _model(tiny_start), "student")
    lineup.add("fast (direct)", _model(tiny_start, "dot"), "twin of fast")
    found = lineup.scored().judge(Judging(metrics=("ndcg@10", "rmse"), **QUICK))
    value = {name: found.score(name, "ndcg@10").estimate.value for name in found.roles}  # type: ignore[union-attr]
    assert value[TEACHER] > value[BM25] > value["random"], "the task must beat a trivial baseline"
    error = found.score(TEACHER, "rmse")
    assert error is not None
    assert error.estimate.value < 0.5, "grades are read off scores by a curve"
    assert {(c.first, c.second) for c in found.comparisons} >= {("fast", TEACHER), ("fast", "fast (direct)")}


def test_a_teacher_that_lacks_scores_is_left_out(catalogue: Catalogue, caplog: pytest.LogCaptureFixture) -> None:
    class Lacking(RelevanceCourse):
        def teachers(self, part: Part, labels: Labels) -> np.ndarray:
            return np.where(np.arange(len(self.catalogue.judged(part))) == 0, np.nan, 1.0)

    held = Lineup(Lacking(catalogue, Relevance(), 0), _NOWHERE)
    assert list(held.scored().judge(Judging(metrics=("ndcg@10",), **QUICK)).roles) == [BM25, "random"]
    assert "no score for 2 of the validation and test pairs" in caplog.text


def test_slices_tell_queries_and_products_apart(catalogue: Catalogue) -> None:
    truth = catalogue.truth(catalogue.judged("test"))
    assert len(set(truth.row_slices["product"])) == 2
    assert 1 < len(set(truth.row_slices["category"])) <= 9
    assert "query length" in truth.slices
    assert all(len(labels) == len(truth.unit_ids) for labels in truth.slices.values())


def test_costs_are_ratios_to_the_teacher(catalogue: Catalogue, tiny_start: Path, tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    models = {"a": build.create(Cross(start=str(tiny_start), max_tokens=20), None, 0), "b": _with_words(tiny_start)}
    for name, model in models.items():
        build.save(model, tmp_path / name)
    folders = {TEACHER: [tmp_path / "a", tmp_path / "a"], "fast": [tmp_path / "b"], "scores": []}
    quick = Timing(candidates=(1, 5), threads=(1,), seconds=0.01, min_rounds=2, warmups=1, turn_ms=1)
    found = costs(catalogue, folders, quick)
    assert found.latency is not None
    measured = {TEACHER, "fast"}
    assert {(c.contender, c.candidates) for c in found.latency.cells} == {(n, c) for n in measured for c in (1, 5)}
    assert [(r.contender, r.reference) for r in found.latency.ratios] == [("fast", TEACHER)] * 2
    assert set(found.latency.notes) == set(found.alone) == set(found.flops) == measured
    assert found.flops[TEACHER] > found.flops["fast"] > 0
    assert min(a.peak_memory_bytes for a in found.alone.values()) > 50_000_000, (
        "a process that has loaded torch takes more"
    )
    assert torch.get_num_threads() == before
    alone = costs(catalogue, {"fast": folders["fast"]}, replace(quick, memory=False))
    assert alone.latency is not None
    assert alone.latency.ratios == ()
    assert alone.alone == {}
    found.save(tmp_path)
    assert load_costs(tmp_path) == found


def _with_words(start: Path) -> build.TextModel:
    from shopstill.data.lexical import LexicalIndex

    return replace(_model(start), lexical=LexicalIndex.build(["red mug"]))
