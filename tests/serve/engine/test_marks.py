"""What of a title a query matched; and that showing a million titles leaves nothing behind."""

from __future__ import annotations

import gc

from shopstill.data.text import tokenise
from shopstill.serve.engine.marks import marks, words


def test_marks_stand_where_the_words_do() -> None:
    title = "Supor 苏泊尔不锈钢水壶 1.5L kettles"
    found = marks(title, {*tokenise("kettle 水壶")})
    assert [title[start:stop] for start, stop in found] == ["水壶", "kettles"]
    assert [title[word.start : word.stop] for word in words(title)] == [word.text for word in words(title)]
    assert [title[start:stop] for start, stop in marks(title, set(), prefix="sup")] == ["Supor"]


def test_titles_leave_nothing_for_the_collector() -> None:
    """What is kept for each of them, it looks through again and again, while no search is answered."""
    asked = {*tokenise("steel kettle")}
    marks("steel kettle with a lid of glass, number 0", asked)
    gc.collect()
    before = len(gc.get_objects())
    for number in range(3000):
        marks(f"steel kettle with a lid of glass, number {number % 100} of {number // 100}", asked)
    assert len(gc.get_objects()) - before < 1000
