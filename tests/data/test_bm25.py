"""BM25: the formula, agreement of every route with bm25s, ties, Chinese, saving."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopstill.core.errors import ArtifactError, ConfigError
from shopstill.data.bm25 import BM25
from shopstill.data.text import tokenise

TITLES = ["red mug", "blue mug mug", "red chair with arms", "", "不锈钢保温杯 500ml", "陶瓷杯"]


def test_the_score_is_the_lucene_formula() -> None:
    index = BM25.build(TITLES, k1=1.2, b=0.75)
    lengths = [len(tokenise(t)) for t in TITLES]
    average = sum(lengths) / len(lengths)

    def weight(often: int, holding: int, row: int) -> float:
        idf = math.log(1 + (len(TITLES) - holding + 0.5) / (holding + 0.5))
        return idf * often / (often + 1.2 * (1 - 0.75 + 0.75 * lengths[row] / average))

    expected = [weight(1, 2, 0) + weight(1, 2, 0), weight(2, 2, 1), weight(1, 2, 2), 0]
    assert index.scores("red mug", [0, 1, 2, 3]) == pytest.approx(expected, rel=1e-6)


def test_top_agrees_with_bm25s() -> None:
    import bm25s

    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(60)]
    titles = [" ".join(random.choice(words, random.integers(1, 9))) for _ in range(400)]
    queries = [" ".join(random.choice(words, random.integers(1, 5))) for _ in range(50)]
    index = BM25.build(titles)
    index_QK, score_QK = index.top(queries, 10)
    other = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    other.index([tokenise(t) for t in titles], show_progress=False)
    _, expected = other.retrieve([tokenise(q) for q in queries], k=10, show_progress=False)
    assert np.allclose(score_QK, expected, atol=1e-5)
    assert np.array_equal(index.pairs(queries, np.repeat(np.arange(50), 10), index_QK.ravel()), score_QK.ravel())
    assert all(np.array_equal(index.scores(q, r), s) for q, r, s in zip(queries, index_QK, score_QK, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=4), min_size=1, max_size=12),
    st.lists(st.sampled_from("abcde"), max_size=5),
    st.integers(1, 6),
)
def test_top_is_the_head_of_the_full_order_and_ties_keep_the_order_of_rows(titles, query, k) -> None:
    index = BM25.build([" ".join(f"{w}{w}{w}" for w in t) for t in titles])
    text = " ".join(f"{w}{w}{w}" for w in query)
    scores = index.scores(text, range(len(titles)))
    order = [row for row in np.argsort(-scores, kind="stable") if scores[row] > 0][:k]
    index_QK, score_QK = index.top([text], k)
    assert index_QK[0].tolist() == order + [-1] * (k - len(order))
    assert score_QK[0].tolist() == scores[order].tolist() + [0] * (k - len(order))


def test_chinese_is_found_by_its_words() -> None:
    assert BM25.build(TITLES).top(["保温杯"], 1)[0].tolist() == [[4]]


def test_nothing_known_gives_no_rows() -> None:
    for titles in ([], [""], ["red mug"]):
        index_QK, score_QK = BM25.build(titles).top(["", "zzz"], 3)
        assert (index_QK == -1).all()
        assert (score_QK == 0).all()
    assert BM25.build(["", ""]).scores("mug", [0, 1]).tolist() == [0, 0]


def test_a_row_out_of_range_and_a_bad_bound_are_refused() -> None:
    index = BM25.build(TITLES)
    with pytest.raises(IndexError, match="from 0 to 5"):
        index.scores("mug", [6])
    with pytest.raises(ConfigError, match="k=0: must be at least 1"):
        index.top(["mug"], 0)
    with pytest.raises(ConfigError, match="b from 0 to 1"):
        BM25.build(TITLES, b=1.5)


def test_a_saved_index_answers_the_same(tmp_path: Path) -> None:
    index = BM25.build(TITLES)
    index.save(tmp_path)
    loaded = BM25.load(tmp_path)
    for ours, theirs in zip(index.top(["red mug", "保温杯"], 4), loaded.top(["red mug", "保温杯"], 4), strict=True):
        assert np.array_equal(ours, theirs)
    with pytest.raises(ArtifactError, match="build it again"):
        BM25.load(tmp_path / "nowhere")
