"""The lexical leg against what is plainly true of a handful of products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopstill.serve.forms import Filters, Product, Sort
from shopstill.serve.index.endings import LEAST, MOST, POSTINGS, taken
from shopstill.serve.index.facets import Values, Wanted
from shopstill.serve.index.files import copied
from shopstill.serve.index.words import Words
from shopstill.serve.index.writer import Writer

PRODUCTS = [
    Product(id="a", title="Red ceramic mug 350 ml", brand="Acme", category=("Home", "Mugs"), price=9.5),
    Product(id="b", title="Blue mugs, set of two", brand="Bolt", category=("Home", "Mugs"), price=3.0),
    Product(id="c", title="苏泊尔不锈钢水壶 1.5升", category=("厨房",)),
    Product(id="d", title="charger cable", price=20.0, attributes={"length": "2 m"}, description="for mugs on desks"),
]


@pytest.fixture
def made(tmp_path: Path) -> tuple[Words, Values]:
    values, writer = Values(), Writer(tmp_path / "words")
    for row, product in enumerate(PRODUCTS):
        writer.add(row, row, product, values.codes(product))
    writer.commit()
    writer.close()
    return Words(tmp_path / "words"), values


def found(words: Words, text: str, wanted: Wanted | None = None, sort: Sort = "relevance", **how: bool) -> list[int]:
    return words.search(words.query(text, wanted or Wanted(), **how), 10, sort).rows.tolist()


def test_words_are_found_whatever_their_form_and_language(made: tuple[Words, Values]) -> None:
    words, _ = made
    assert set(found(words, "mug")) == {0, 1, 3}
    assert found(words, "mug")[-1] == 3, "a description counts less than a title"
    assert found(words, "水壶") == [2]
    assert found(words, "RED MUGS")[0] == 0
    assert found(words, "acme") == [0]


@pytest.mark.parametrize(
    ("title", "language", "asked"),
    [
        ("Bratpfannen beschichtet", "de", "Bratpfannen"),
        ("Zapatillas deportivas rojas", "es", "zapatillas rojas"),
        ("Robes élégantes", "fr", "élégantes"),
        ("Schoenen voor kinderen", "nl", "Schoenen"),
        ("Kırmızı bardaklar", "tr", "bardaklar"),
        ("Наушники Sony headphones wireless", None, "headphones"),
        ("Наушники Sony headphones wireless", "ru", "наушники"),
        ("Ακουστικά headphones black", None, "headphones"),
        ("سماعات headphones", None, "headphones"),
        ("携帯ケース 黒", None, "携帯"),
        ("携帯ケース 黒", "ja", "ケース"),
    ],
)
def test_a_product_is_found_by_its_own_words(tmp_path: Path, title: str, language: str | None, asked: str) -> None:
    with Writer(tmp_path / "one") as writer:
        writer.add(0, 0, Product(id="0", title=title, language=language), [])
        writer.commit()
    assert found(Words(tmp_path / "one"), asked) == [0]


def test_the_last_word_may_be_unfinished(made: tuple[Words, Values]) -> None:
    words, _ = made
    assert found(words, "red cer") == []
    assert found(words, "red cer", prefix=True) == [0]
    assert found(words, "不锈", prefix=True) == [2]
    assert found(words, "red ceramic ", prefix=True) == [0]


@pytest.mark.parametrize(
    ("title", "typed"),
    [
        ("Sony WH1000XM4 headphones", "w wh wh1 wh100 wh1000 wh1000x wh1000xm4 WH1000XM"),
        ("Samsung S21FE5G phone", "s21 s21f s21fe s21fe5"),
        ("water bottle 500ml", "50 500 500m 500ml"),
        ("lumber 2x4x8", "2x 2x4 2x4x"),
        ("hose 3/4 in.", "3/4 3/4i"),
        ("保温杯 500毫升", "保温 500m"),
    ],
)
def test_an_unfinished_number_stands_for_all_that_it_begins(tmp_path: Path, title: str, typed: str) -> None:
    with Writer(tmp_path / "one") as writer:
        writer.add(0, 0, Product(id="0", title=title), [])
        writer.commit()
    words = Words(tmp_path / "one")
    for text in typed.split():
        assert found(words, text, prefix=True) == found(words, f"{title} {text}", prefix=True) == [0], text
    assert found(words, f"{typed}zzz", prefix=True) == []


def test_an_unfinished_word_stands_for_rare_ones_too(tmp_path: Path) -> None:
    common = [f"l{one}{other}mp" for one in "aeiou" for other in "aeiou"]
    with Writer(tmp_path / "many") as writer:
        for row in range(300):
            writer.add(row, row, Product(id=str(row), title=f"desk {common[row % len(common)]}"), [])
        writer.add(300, 300, Product(id="step", title="Premium Step Ladder"), [])
        writer.commit()
    assert found(Words(tmp_path / "many"), "step l", prefix=True) == [300]


def test_of_what_an_unfinished_word_stands_for_none_comes_first_for_being_rare(tmp_path: Path) -> None:
    titles = ["red magnet", *["red mug"] * 40, "red mycelium", "red mezzaluna", "red"]
    with Writer(tmp_path / "many") as writer:
        for row, title in enumerate(titles):
            writer.add(row, row, Product(id=str(row), title=title), [])
        writer.commit()
    words = Words(tmp_path / "many")
    matched = words.search(words.query("red m", Wanted(), prefix=True), 100)
    # All alike, but for the last bits of their numbers; a word that was typed in full counts as it did.
    assert np.ptp(matched.scores) < 1e-5 * matched.scores.max()
    assert sorted(matched.rows.tolist()) == [*range(43)]
    assert found(words, "red mycelium", prefix=True) == [41]


def test_an_unfinished_word_stands_for_as_many_as_can_be_looked_up() -> None:
    def most(count: int, products: int) -> int:
        return len(taken([(f"a{place}", products) for place in range(count)]))

    assert most(500, 1) == MOST
    assert most(500, POSTINGS // 50) == 50
    assert most(500, POSTINGS) == most(LEAST, POSTINGS) == LEAST
    assert [word for word, _ in taken([("b", 1), ("a", 1), ("c", 2)])] == ["c", "a", "b"]


def test_a_last_word_that_is_not_looked_up_is_not_gone_on_with(made: tuple[Words, Values]) -> None:
    words, _ = made
    assert found(words, "mug " * 62 + "cer", prefix=True) == [0]
    assert found(words, "mug " * 64 + "cer", prefix=True) == found(words, "mug")


@pytest.mark.parametrize("text", ["!!!", "\u200b.", "\ud800", "-"])
def test_a_text_without_a_word_finds_nothing(made: tuple[Words, Values], text: str) -> None:
    assert found(made[0], text) == []


def test_no_text_finds_everything(made: tuple[Words, Values]) -> None:
    assert found(made[0], "") == found(made[0], "  ") == [0, 1, 2, 3]


def test_filters_narrow_and_unknown_values_match_nothing(made: tuple[Words, Values]) -> None:
    words, values = made

    def of(**filters: object) -> list[int]:
        return found(words, "", Wanted.of(Filters(**filters), values))  # type: ignore[arg-type]

    assert of(brand=("Acme", "Bolt")) == [0, 1]
    assert of(category=("Home",)) == [0, 1]
    assert of(category=("Home > Mugs",), brand=("Bolt",)) == [1]
    assert of(attributes={"length": ("2 m",)}) == [3]
    assert of(brand=("Nobody",)) == []
    assert of(price_min=3.0, price_max=9.5) == [0, 1]
    assert of(price_min=10) == [3]


def test_price_orders_all_and_who_has_none_comes_last(made: tuple[Words, Values]) -> None:
    assert found(made[0], "", sort="price_asc") == [1, 0, 3, 2]
    assert found(made[0], "", sort="price_desc") == [3, 0, 1, 2]


def test_of_some_rows_those_that_match_are_told(made: tuple[Words, Values]) -> None:
    words, _ = made
    mugs = words.query("mug", Wanted())
    assert sorted(words.among(mugs, np.array([3, 2, 1])).tolist()) == [1, 3]
    assert words.among(mugs, np.array([2])).tolist() == []


def test_counts_are_those_of_the_products_that_match(made: tuple[Words, Values]) -> None:
    words, values = made
    counts, prices = words.counts(words.query("mug", Wanted()), 10)
    named = {values.names[code]: count for code, count in counts.items()}
    assert named[("category", "Home > Mugs")] == 2
    assert named[("brand", "Acme")] == 1
    assert prices == []
    assert words.counts(words.query("", Wanted()), 0, [0.0, 3.0, 9.5, 30.0]) == ({}, [0, 1, 2, 0])


def test_a_value_is_counted_as_its_filter_does(made: tuple[Words, Values]) -> None:
    words, values = made
    with Writer(words.folder) as writer:
        writer.remove(1)
        writer.commit()
    for code in range(len(values.names)):
        one = Wanted(groups=((code,),))
        for index in (words, words.renewed()):
            assert index.having(code) == index.search(index.query("", one), 1).total


@pytest.mark.parametrize("every", [True, False])
def test_a_word_that_is_said_twice_counts_twice(made: tuple[Words, Values], every: bool) -> None:
    words, _ = made
    once, twice = (words.search(words.query(text, Wanted(), every=every), 5) for text in ("mug", "mug mugs"))
    assert twice.rows.tolist() == once.rows.tolist()
    np.testing.assert_allclose(twice.scores, 2 * once.scores, rtol=1e-6)


def test_what_no_product_has_is_missed_or_passed_over(made: tuple[Words, Values]) -> None:
    words, _ = made
    assert found(words, "zorg mug") == found(words, "zorg") == found(words, "zorg", every=False) == []
    assert found(words, "zorg mug", every=False) == found(words, "mug")


def test_the_best_are_the_same_whether_all_are_counted_or_not(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    kinds = ["mug", "kettle", "lamp", "cable", "chair", "towel", "knife", "plate"]
    with Writer(tmp_path / "many") as writer:
        for row in range(3_000):
            title = " ".join(draw.choice(kinds, draw.integers(1, 6)))
            writer.add(row, row, Product(id=str(row), title=title), [])
        writer.commit()
    words = Words(tmp_path / "many")
    query = words.query("red mug lamp cable knife mug", Wanted(), every=False)
    counted, best = words.search(query, 50), words.search(query, 50, count=False)
    assert best.rows.tolist() == counted.rows.tolist()
    assert best.total == 50 < counted.total


def test_spelling_and_beginnings(made: tuple[Words, Values]) -> None:
    words, _ = made
    assert words.beginning("mu", 5) == [("mug", 1), ("mugs", 1)]
    assert words.known("mug") == 1
    assert words.known("mugg") == 0
    assert words.near("chargr", 1, 5).tolist() == [3]


def test_a_copy_changes_alone(made: tuple[Words, Values], tmp_path: Path) -> None:
    words, _ = made
    copied(words.folder, tmp_path / "copy")
    writer = Writer(tmp_path / "copy")
    writer.remove(0)
    writer.add(9, 9, Product(id="n", title="new mug"), [])
    writer.commit()
    writer.close()
    assert set(found(Words(tmp_path / "copy"), "mug")) == {1, 3, 9}
    assert set(found(words.renewed(), "mug")) == {0, 1, 3}
    assert np.isfinite(words.search(words.query("mug", Wanted()), 5).scores).all()
