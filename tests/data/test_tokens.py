"""Ragged token ids, and pairs put together from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from shopstill.core.errors import DataError
from shopstill.data.tokens import Ragged, TextTokenizer, concatenate, padded

ROWS = st.lists(st.lists(st.integers(0, 99), max_size=6), max_size=8)
TEXTS = ["red mug", "", "steel mug 12 oz with a very long handle indeed", "保温杯 500ml", "Ünïcode mug"]


@pytest.fixture(scope="module")
def bert(tiny_start: Path) -> TextTokenizer:
    return TextTokenizer(tiny_start / "tokenizer.json")


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    """A tokenizer that parts two texts with two tokens."""
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "red", "mug", "blue", "chair"]
    vocab = {token: place for place, token in enumerate(tokens)}
    made = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    path = tmp_path_factory.mktemp("roberta") / "tokenizer.json"
    made.save(str(path))
    return TextTokenizer(path)


def _all_pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(count), count), np.tile(np.arange(count), count)


@given(ROWS)
def test_rows_come_back_as_they_were_given(rows: list[list[int]]) -> None:
    made = Ragged.of(rows)
    assert [made.row(i).tolist() for i in range(len(made))] == rows
    ids, mask = padded(made, pad=-1)
    assert [row[keep].tolist() for row, keep in zip(ids, mask, strict=True)] == rows
    assert (ids[~mask] == -1).all()


@given(ROWS, st.data())
def test_taken_rows_are_cut_and_in_the_order_asked(rows: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10)) if rows else []
    limit = data.draw(st.none() | st.integers(0, 6))
    taken = Ragged.of(rows).take(np.array(chosen, np.int64), limit)
    assert [taken.row(i).tolist() for i in range(len(taken))] == [rows[i][:limit] for i in chosen]
    doubled = concatenate([Ragged.of(rows), taken])
    assert [doubled.row(i).tolist() for i in range(len(doubled))] == [*rows, *(rows[i][:limit] for i in chosen)]


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_pair_is_what_the_tokenizers_library_makes_of_it(kind: str, request: pytest.FixtureRequest) -> None:
    ours: TextTokenizer = request.getfixturevalue(kind)
    theirs = Tokenizer.from_file(str(ours.path))
    texts = TEXTS if kind == "bert" else ["red mug", "", "blue chair blue", "red plate"]
    query_N, product_N = _all_pairs(len(texts))
    encoded = ours.encode(texts)
    made = ours.pairs(encoded, encoded, query_N, product_N, limit=512)
    for row, (query, product) in enumerate(zip(query_N, product_N, strict=True)):
        expected = theirs.encode(texts[query], texts[product])
        assert made.rows.row(row).tolist() == expected.ids
        assert made.second_N[row] == len(theirs.encode(texts[query]).ids) + (kind == "roberta")
        if kind == "bert":
            assert made.second_N[row] == (np.array(expected.type_ids) == 0).sum()


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_single_text_is_what_the_tokenizers_library_makes_of_it(kind: str, request: pytest.FixtureRequest) -> None:
    ours: TextTokenizer = request.getfixturevalue(kind)
    theirs = Tokenizer.from_file(str(ours.path))
    made = ours.singles(ours.encode(TEXTS), np.arange(len(TEXTS)), limit=512)
    assert [made.row(i).tolist() for i in range(len(TEXTS))] == [theirs.encode(text).ids for text in TEXTS]
    cut = ours.singles(ours.encode(TEXTS), np.arange(len(TEXTS)), limit=5)
    for row in range(len(TEXTS)):
        whole = made.row(row).tolist()
        assert cut.row(row).tolist() == (whole if len(whole) <= 5 else [*whole[:4], whole[-1]])


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(5, 40))
def test_too_long_a_pair_loses_of_the_product_first(bert: TextTokenizer, query: int, product: int, limit: int) -> None:
    made = bert.pairs(Ragged.of([[7] * query]), Ragged.of([[8] * product]), np.zeros(1, int), np.zeros(1, int), limit)
    row = made.rows.row(0).tolist()
    kept_query, kept_product, room = row.count(7), row.count(8), limit - 3
    assert row == [bert.begin, *[7] * kept_query, bert.part, *[8] * kept_product, bert.part]
    assert len(row) == min(limit, query + product + 3), "room was wasted, or the limit broken"
    assert kept_query >= min(query, room // 2)
    if kept_query < query:
        assert kept_product <= room - room // 2, "the query was cut though the product could have been"


def test_a_limit_without_room_is_refused(bert: TextTokenizer, roberta: TextTokenizer) -> None:
    nothing, zero = Ragged.of([[]]), np.zeros(1, int)
    for tokenizer, least in ((bert, 5), (roberta, 6)):
        tokenizer.pairs(nothing, nothing, zero, zero, least)
        with pytest.raises(DataError, match=f"use at least {least}"):
            tokenizer.pairs(nothing, nothing, zero, zero, least - 1)


def test_any_text_is_encoded(bert: TextTokenizer) -> None:
    hostile = ["", " ", "\x00", "\ud800 lone surrogate", "a" * 5000, "💥\u202e", "[CLS] mug [SEP]"]
    made = bert.encode(hostile)
    assert len(made) == len(hostile)
    assert len(bert.encode([])) == 0
    assert made.length_N[0] == 0


def test_tokenizers_agree_where_ids_mean_the_same(bert: TextTokenizer, roberta: TextTokenizer) -> None:
    assert bert.agrees(TextTokenizer(bert.path))
    assert not bert.agrees(roberta)


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        TextTokenizer(path)
    path.write_text("{}")
    with pytest.raises(DataError, match="not a tokenizer"):
        TextTokenizer(path)
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(path))
    with pytest.raises(DataError, match="none of the special tokens"):
        TextTokenizer(path)
