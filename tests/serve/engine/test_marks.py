"""What of a title a query matched; and that showing a million titles leaves nothing behind."""

from __future__ import annotations

import gc

import pytest

from shopstill.data.text import fold, tokenise
from shopstill.serve.engine.marks import marks, words


def test_marks_stand_where_the_words_do() -> None:
    title = "Supor 苏泊尔不锈钢水壶 1.5L kettles"
    found = marks(title, {*tokenise("kettle 水壶")})
    assert [title[start:stop] for start, stop in found] == ["水壶", "kettles"]
    assert [title[word.start : word.stop] for word in words(title)] == [word.text for word in words(title)]
    assert [title[start:stop] for start, stop in marks(title, set(), prefix="sup")] == ["Supor"]


@pytest.mark.parametrize(
    ("title", "query", "marked"),
    [
        ("Cafe\u0301 mug", "Café", ["Cafe\u0301"]),
        ("Café mug", "cafe\u0301", ["Café"]),
        ("लाल कप", "लाल", ["लाल"]),
        ("नीली बोतलें", "बोतल", ["बोतलें"]),
        ("Mug แก้วกาแฟสีแดง 350ml", "แก้ว", ["แก้วกาแฟสีแดง"]),
        ("か\u3099く 水壶", "がく", ["か\u3099く"]),
        ("כּוֹס red", "red", ["red"]),
    ],
)
def test_accents_and_vowel_signs_tear_no_word(title: str, query: str, marked: list[str]) -> None:
    found = marks(title, {*tokenise(query)})
    assert [title[start:stop] for start, stop in found] == marked
    assert marks(title, set(), prefix=fold(marked[0])) == found


def test_titles_leave_nothing_for_the_collector() -> None:
    """What is kept for each of them, it looks through again and again, while no search is answered."""
    asked = {*tokenise("steel kettle")}
    marks("steel kettle with a lid of glass, number 0", asked)
    gc.collect()
    before = len(gc.get_objects())
    for number in range(3000):
        marks(f"steel kettle with a lid of glass, number {number % 100} of {number // 100}", asked)
    assert len(gc.get_objects()) - before < 1000
