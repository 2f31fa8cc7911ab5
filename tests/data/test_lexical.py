"""Lexical features: what each says, and that serving and training see the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopstill.core.errors import ArtifactError
from shopstill.data.lexical import FEATURES, LexicalIndex
from shopstill.data.terms import parts, term

TITLES = [
    "Delta Shower Faucet Trim Kit in Chrome (Valve Not Included)",
    "Bosch 24 in. Dishwasher with Front Control",
    "BEHR Premium 1-gal. Deck Over Coating #SC-141",
    "House of Fara 3/4 in. x 3 in. x 8 ft. MDF Fluted Casing",
    "Makita 18-Volt LXT Cordless Drill XPH12Z",
    "苏泊尔不锈钢保温杯 500ml 便携",
    "",
    "Shower Curtain for Delta Faucet",
]
QUERIES = [
    "shower faucet", "dish washer", "deckover", "mdf 3/4", "18v drill", "12v drill", "保温杯 500毫升", "", "zzz qqq",
    "xph12z", "faucet shower", "1/2 in mdf", "dishwahser", "drill " * 20, "makita", "shower faucet with handle",
]  # fmt: skip


@pytest.fixture(scope="module")
def index() -> LexicalIndex:
    return LexicalIndex.build(TITLES)


def value(index: LexicalIndex, feature: str, query: str, row: int) -> float:
    return float(index.features(query, [row])[0, FEATURES.index(feature)])


@pytest.mark.parametrize(
    ("feature", "query", "row", "expected"),
    [
        ("found", "shower faucets", 0, 1),
        ("found", "shower hose", 0, 0.5),
        ("found", "保温杯", 5, 1),
        ("adjacent", "shower faucet", 0, 1),
        ("adjacent", "faucet shower", 0, 0),
        ("ordered", "delta kit", 0, 1),
        ("ordered", "kit delta", 0, 0),
        ("noun_is_noun", "trim kit", 0, 1),
        ("noun_is_noun", "shower trim", 0, 0.5),
        ("noun_is_noun", "shower faucet", 0, 0.25),
        ("noun_is_noun", "valve", 0, 0.125),
        ("noun_is_noun", "drill", 0, 0),
        ("noun_is_noun", "dishwasher", 1, 1),
        ("title_noun_named", "curtain rod", 7, 1),
        ("title_noun_named", "delta faucet", 7, 0),
        ("numbers_found", "3/4 casing", 3, 1),
        ("numbers_found", "0.75 inch casing", 3, 1),
        ("measures_found", "8 foot casing", 3, 1),
        ("measures_found", "18 volt drill", 4, 1),
        ("measures_against", "12v drill", 4, 1),
        ("measures_against", "18v drill", 4, 0),
        ("measures_against", "12 gal drill", 4, 0),
        ("measures_found", "保温杯 500毫升", 5, 1),
        ("models_found", "xph12z", 4, 1),
        ("models_found", "xph12y", 4, 0),
        ("first_place", "delta", 0, 1),
        ("first_place", "zzz", 0, 0),
        ("found", "zzz", 6, 0),
    ],
)
def test_a_feature_says_what_it_is_named_for(index, feature: str, query: str, row: int, expected: float) -> None:
    assert value(index, feature, query, row) == pytest.approx(expected)


def test_letters_catch_misspellings_and_compounds(index) -> None:
    assert value(index, "found", "dishwahser", 1) == 0
    assert value(index, "grams", "dishwahser", 1) > 0.5 > value(index, "grams", "dishwahser", 4)
    assert value(index, "grams", "deckover", 2) > 0.5


def test_two_words_of_a_query_are_found_where_the_title_writes_one() -> None:
    index = LexicalIndex.build(["Countertop in Oak", "Oak Table"])
    assert value(index, "found", "counter top", 0) == 1
    assert value(index, "adjacent", "counter top", 0) == 1
    assert value(index, "found", "counter top", 1) == 0


def test_a_rare_token_weighs_more_than_a_common_one() -> None:
    index = LexicalIndex.build(["red mug", "red cup", "red chair", "red teapot"])
    assert value(index, "found_idf", "red teapot", 3) == 1
    assert value(index, "found_idf", "red teapot", 0) < 0.5 == value(index, "found", "red teapot", 0)


def test_both_routes_agree_to_the_last_bit(index) -> None:
    query_N, row_N = (axis.ravel() for axis in np.meshgrid(range(len(QUERIES)), range(len(TITLES)), indexing="ij"))
    together = index.pairs(QUERIES, query_N, row_N)
    for number, query in enumerate(QUERIES):
        assert np.array_equal(together[query_N == number], index.features(query, np.arange(len(TITLES)))), query
        for row in range(len(TITLES)):
            alone = index.features(query, [row])[0]
            assert np.array_equal(together[number * len(TITLES) + row], alone), (query, row)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.text("ab 0189x/-.,(in保温杯\"'\ud800\x00", max_size=60), min_size=1, max_size=5),
    st.lists(st.text("ab 0189x/-.,(in保温杯\"'\ud800\x00", max_size=60), min_size=1, max_size=4),
)
def test_any_text_gives_numbers_from_0_to_1_on_both_routes(titles, queries) -> None:
    index = LexicalIndex.build(titles)
    query_N, row_N = (axis.ravel() for axis in np.meshgrid(range(len(queries)), range(len(titles)), indexing="ij"))
    values = index.pairs(queries, query_N, row_N)
    assert np.isfinite(values).all()
    assert values.min() >= 0
    assert values.max() <= 1
    alone = np.concatenate([index.features(query, np.arange(len(titles))) for query in queries])
    assert np.array_equal(values, alone)


def test_products_that_come_later_are_described_like_the_others() -> None:
    whole = LexicalIndex.build(TITLES)
    rows = whole.extend([TITLES[0], "Brand New Thing"])
    assert list(rows) == [8, 9]
    assert np.array_equal(whole.features("shower faucet", [0]), whole.features("shower faucet", [8]))
    assert value(whole, "found", "brand new thing", 9) == 1


def test_a_saved_index_answers_the_same(tmp_path: Path, index) -> None:
    index.save(tmp_path)
    loaded = LexicalIndex.load(tmp_path)
    assert len(loaded) == len(TITLES)
    for query in QUERIES:
        assert np.array_equal(loaded.features(query, np.arange(8)), index.features(query, np.arange(8)))
    (tmp_path / "lexical.json").write_text('{"format": 1, "features": ["other"]}')
    with pytest.raises(ArtifactError, match="other features"):
        LexicalIndex.load(tmp_path)


def test_an_empty_catalogue_and_no_candidates_are_fine(index) -> None:
    assert index.features("mug", []).shape == (0, len(FEATURES))
    assert index.pairs([], [], []).shape == (0, len(FEATURES))
    empty = LexicalIndex.build([])
    assert len(empty) == 0
    assert empty.features("mug", []).shape == (0, len(FEATURES))
    with pytest.raises(IndexError):
        index.features("mug", [99])


def test_what_a_title_is_about_ends_before_with_for_and_brackets() -> None:
    assert parts("Mug with Lid")[0] == ["mug"]
    assert parts("Angle, 2-Pack")[0] == ["angl"]
    assert parts("1,000 W Heater")[0] == ["1000w", "heater"] or "1000" in parts("1,000 W Heater")[0]
    assert term("500ml").unit
    assert not term("mug").figures
