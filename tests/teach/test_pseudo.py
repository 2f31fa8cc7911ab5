"""Pseudo queries: near to what was typed or written, never the same, never twice."""

from __future__ import annotations

import pyarrow as pa
import pytest

from shopstill.data.split import same_query
from shopstill.teach.pseudo import cut_queries, varied_queries

TITLES = ["red coffee mug with a lid", "不锈钢保温杯大容量便携水杯"]
TYPED = ["red coffee mug", "steel mug", "wireless head phones", "bluetooth head phones", "无线蓝牙耳机", "蓝牙音箱"]


def _texts(made: pa.Table) -> list[str]:
    return list(made.column("text").to_pylist())


def test_cut_queries_stand_together_in_a_title() -> None:
    made = _texts(cut_queries(TITLES, 8, seed=3))
    assert len(made) == 8
    assert all(any(text in title for title in TITLES) for text in made)


def test_varied_queries_are_one_word_away_from_a_query_that_was_typed() -> None:
    typed = [set(text.split()) for text in TYPED[:4]]
    made = _texts(varied_queries(TYPED[:4], 30, seed=3))
    assert len(made) > 10
    for words in (set(text.split()) for text in made):
        assert any(len(words - other) <= 1 and len(other - words) <= 1 for other in typed), words


def test_shops_of_one_script_stay_in_it() -> None:
    for text in _texts(varied_queries(TYPED[4:], 5, seed=1)):
        assert " " not in text


@pytest.mark.parametrize("make", [cut_queries, varied_queries])
def test_no_query_comes_twice_or_gives_a_known_one_away(make: type) -> None:
    texts = TITLES + TYPED
    known = ["mug coffee", "mug red", "phones head"]
    made = _texts(make(texts, 60, 1, known))
    keys = [same_query(text) for text in made]
    assert len(set(keys)) == len(keys) > 10
    assert not {same_query(text) for text in known} & set(keys)
    assert made == _texts(make(texts, 60, 1, known))
    assert made != _texts(make(texts, 60, 2, known))


@pytest.mark.parametrize("make", [cut_queries, varied_queries])
@pytest.mark.parametrize("texts", [[], ["", "  "]])
def test_texts_that_say_nothing_make_no_query(make: type, texts: list[str]) -> None:
    assert make(texts, 5).num_rows == 0
    assert make(TYPED, 0).num_rows == 0


def test_a_query_without_another_of_its_words_has_no_variation() -> None:
    assert varied_queries(["mug", "head phones"], 5).num_rows == 0
