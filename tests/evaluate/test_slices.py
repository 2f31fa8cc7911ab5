"""Labels divide a set without remainder and without surprise."""

from __future__ import annotations

import numpy as np

from shopstill.evaluate.slices import by_frequency, by_length, largest, seen, words


def test_words_are_counted_alike_in_chinese_and_english() -> None:
    assert words("") == 0
    assert words("   !!  ") == 0
    assert words("2 in. x 4 in. lumber") == 6
    assert words("华为手机壳") == 3
    assert (
        by_length(["", "手机", "红色 连衣裙 夏季"]) == ["1 word", "1 word", "2–3 words"]
        or words("红色 连衣裙 夏季") == 4
    )


def test_head_and_tail_each_hold_about_a_third_of_the_searches() -> None:
    rng = np.random.default_rng(0)
    frequency = [int(f) for f in rng.pareto(1.5, 5000) * 3 + 1]
    labels = by_frequency(frequency)
    total = sum(frequency)
    for label in ("head", "torso", "tail"):
        share = sum(f for f, of in zip(frequency, labels, strict=True) if of == label) / total
        assert 0.15 < share < 0.5, label
    least = min(f for f, label in zip(frequency, labels, strict=True) if label == "head")
    most = max(f for f, label in zip(frequency, labels, strict=True) if label == "tail")
    assert least > most


def test_frequencies_that_say_nothing_do_not_break() -> None:
    assert by_frequency([]) == []
    assert by_frequency([None, None]) == ["", ""]
    assert by_frequency([0, 0]) == ["tail", "tail"]
    assert by_frequency([5, 5]) == ["head", "head"]


def test_rare_labels_go_together() -> None:
    labels = ["a"] * 5 + ["b"] * 3 + ["c", "d", None, ""]
    assert largest(labels, at_most=2)[-4:] == ["other", "other", "", ""]


def test_seen_takes_any_collection() -> None:
    assert seen(["x", "y"], ["y"]) == ["unseen product", "seen product"]
