"""One relevant item ranked among a whole catalogue: places, ties, and models side by side."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest

from shopstill.core.errors import ConfigError, DataError
from shopstill.evaluate.compare import Judging, compare
from shopstill.evaluate.judged import Truth, judged
from shopstill.evaluate.quality import unit_values
from shopstill.evaluate.ranking import placed
from shopstill.evaluate.scored import Scored, load

TITLES = [f"item {number}" for number in range(12)]
QUICK = Judging(metrics=("ndcg@10", "hr@3", "mrr"), resamples=200, slice_resamples=100, permutations=200)


def _truth(units: int) -> Truth:
    return Truth(
        unit_ids=[str(unit) for unit in range(units)],
        queries=["item 0 → item 1"] * units,
        unit_N=np.arange(units),
        product_ids=["2"] * units,
        titles=["item 2"] * units,
        grade_N=np.ones(units),
        gain_N=np.ones(units),
        slices={"half": ["a" if unit % 2 else "b" for unit in range(units)]},
        among=TITLES,
    )


def _places(*above: int, tied: int = 0) -> np.ndarray:
    return np.array([[place, tied, 3, 1] for place in above], np.float64)


@pytest.mark.parametrize("name", ["ndcg@3", "mrr", "mrr@2", "hr@2", "recall@3", "precision@3", "map"])
@pytest.mark.parametrize("score", [[5, 4, 3, 2, 1], [1, 1, 1, 1, 1], [2, 3, 2, 2, 1], [0, 1, 1, 0, 0]])
def test_a_place_is_worth_what_the_whole_list_says(name: str, score: list[float]) -> None:
    """The first of five is the true one: its place alone gives the value that all five rows give."""
    gain = [1.0, 0, 0, 0, 0]
    whole = unit_values([name], judged([0] * 5, gain, gain, units=1), score)[name]
    values = np.array(score)
    above, tied = (values > values[0]).sum(), (values == values[0]).sum() - 1
    short = judged([0], [1.0], [1.0], units=1, among=5)
    assert unit_values([name], short, [[above, tied]])[name] == pytest.approx(whole)


@pytest.mark.parametrize("cutoff", [1, 2, 3, 4])
def test_a_hit_is_what_all_orders_of_the_ties_give(cutoff: int) -> None:
    relevant, score = np.array([1, 0, 1, 0, 0]), np.array([1, 2, 1, 1, 0])
    hits = []
    for order in permutations(range(5)):
        if all(score[a] >= score[b] for a, b in pairwise(order)):
            hits.append(relevant[list(order[:cutoff])].any())
    found = unit_values([f"hr@{cutoff}"], judged([0] * 5, relevant, relevant, units=1), score)
    assert found[f"hr@{cutoff}"][0] == pytest.approx(np.mean(hits))


def test_a_cutoff_beyond_the_catalogue_is_the_whole_catalogue() -> None:
    assert placed("hr", np.array([4.0]), np.array([0.0]), 100, 5).tolist() == [1.0]
    assert placed("mrr", np.array([4.0]), np.array([0.0]), None, 5) == pytest.approx(0.2)


def test_models_are_compared_and_random_is_what_ties_of_all_give() -> None:
    scores = {"teacher": _places(0, 0, 1, 2), "fast": _places(0, 1, 1, 5), "popularity": _places(9, 9, 9, 9)}
    roles = {"teacher": "teacher", "fast": "student", "popularity": "baseline"}
    found = compare(_truth(4), scores, roles, QUICK)
    value = {name: found.score(name, "hr@3").estimate.value for name in found.roles}  # type: ignore[union-attr]
    assert value == {"teacher": 1.0, "fast": 0.75, "popularity": 0.0, "random": pytest.approx(3 / 12)}
    assert {s.label for s in found.slices} == {"a", "b"}
    apart = found.disagreements[0]
    assert (apart.candidates, [s.title for s in apart.student_top]) == (12, ["item 2", "item 0"])
    assert [s.grade for s in apart.student_top] == [1.0, 0.0], "the item that came next is marked"


def test_places_are_kept_on_disk(tmp_path) -> None:  # type: ignore[no-untyped-def]
    roles = {"teacher": "teacher"}
    scored = Scored(
        truth=_truth(2), roles=roles, scores={"teacher": _places(0, 3)}, predictions={"teacher": _places(0, 3)}
    )
    scored.save(tmp_path)
    assert load(tmp_path, _truth(2), roles).scores["teacher"].tolist() == _places(0, 3).tolist()


@pytest.mark.parametrize("scores", [np.zeros(2), np.zeros((2, 1)), np.zeros((3, 2))])
def test_anything_but_places_is_refused(scores: np.ndarray) -> None:
    with pytest.raises(DataError, match="places"):
        compare(_truth(2), {"teacher": scores}, {"teacher": "teacher"}, QUICK)


def test_metrics_of_scores_and_several_rows_of_a_unit_are_refused() -> None:
    spearman = Judging(metrics=("spearman",), resamples=100, slice_resamples=100, permutations=100)
    with pytest.raises(ConfigError, match="spearman"):
        compare(_truth(2), {"teacher": _places(0, 1)}, {"teacher": "teacher"}, spearman)
    with pytest.raises(DataError, match="each unit has one"):
        judged([0, 0], [1, 1], [1, 1], units=1, among=5)
