"""Slices: labels that divide a test set by what its queries and products are like.

Shape legend: ``U`` units (queries), ``N`` judged rows. A label of ``""`` belongs to no slice.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

# Han, kana and hangul have no spaces between words; about two characters make one.
_WIDE = re.compile(r"[぀-ヿ㐀-䶿一-鿿가-힯豈-﫿]")
_LATIN = re.compile(r"[^\W_]+", re.UNICODE)


def words(text: str) -> int:
    """Words of a query in any script, as a shopper would count them; two Chinese characters count as one word.

    >>> words("red 12v drill"), words("无线 蓝牙耳机"), words("iphone 手机壳")
    (3, 3, 3)
    """
    wide = len(_WIDE.findall(text))
    return len(_LATIN.findall(_WIDE.sub(" ", text))) + (wide + 1) // 2


def by_length(texts_U: Sequence[str]) -> list[str]:
    """Label each query by its number of words.

    >>> by_length(["drill", "red drill", "red 12v drill set", "a b c d e f"])
    ['1 word', '2–3 words', '4–5 words', '6+ words']
    """
    return [_length(words(text)) for text in texts_U]


def _length(count: int) -> str:
    if count <= 1:
        return "1 word"
    if count <= 3:
        return "2–3 words"
    return "4–5 words" if count <= 5 else "6+ words"


def by_frequency(frequency_U: Sequence[int | None]) -> list[str]:
    """Label each query head, torso or tail, so that each third of all searches falls into one.

    Queries are ordered by how often they were typed; head are the most frequent that make up the first third of the
    searches, tail the rarest that make up the last. Equal frequencies get equal labels. Unknown ones get ``""``.

    >>> by_frequency([90, 40, 30, 20, 10, 10, None])
    ['head', 'torso', 'torso', 'tail', 'tail', 'tail', '']
    """
    known = sorted({f for f in frequency_U if f is not None}, reverse=True)
    counts = Counter(f for f in frequency_U if f is not None)
    total = sum(f * n for f, n in counts.items())
    labels: dict[int | None, str] = {None: ""}
    before = 0
    for frequency in known:
        labels[frequency] = ("head", "torso", "tail")[min(2, 3 * before // total)] if total else "tail"
        before += frequency * counts[frequency]
    return [labels[f] for f in frequency_U]


def by_candidates(unit_N: ArrayLike, units: int) -> list[str]:
    """Label each unit by how many rows it has.

    >>> by_candidates([0] * 4 + [1] * 12, units=2)
    ['up to 5 candidates', '11–20 candidates']
    """
    size_U = np.bincount(np.asarray(unit_N, dtype=np.int64), minlength=units)
    names = ("up to 5 candidates", "6–10 candidates", "11–20 candidates", "21+ candidates")
    return [names[i] for i in np.searchsorted([5, 10, 20], size_U)]


def seen(product_ids_N: Sequence[str], trained: Collection[str]) -> list[str]:
    """Label each row by whether its product was in the training data.

    >>> seen(["a", "b"], {"a"})
    ['seen product', 'unseen product']
    """
    known = trained if isinstance(trained, set | frozenset) else set(trained)
    return ["seen product" if p in known else "unseen product" for p in product_ids_N]


def ordered(labels: Iterable[str]) -> list[str]:
    """Distinct labels in the order a reader expects: head, torso, tail; by leading number; by name. Without ``""``.

    >>> ordered(["tail", "head", "torso"]), ordered(["6+ words", "10 words", "", "1 word"])
    (['head', 'torso', 'tail'], ['1 word', '6+ words', '10 words'])
    """
    return sorted({label for label in labels if label}, key=_place)


def _place(label: str) -> tuple[int, int, str]:
    known = ("head", "torso", "tail")
    number = re.match(r"\d+", label)
    return known.index(label) if label in known else 3, int(number[0]) if number else sys.maxsize, label


def largest(labels: Sequence[str | None], at_most: int = 8, other: str = "other") -> list[str]:
    """Keep the most common labels and put the rest together; None becomes ``""``.

    >>> largest(["a", "a", "b", "c", None], at_most=1)
    ['a', 'a', 'other', 'other', '']
    """
    common = Counter(label for label in labels if label)
    keep = {label for label, _ in sorted(common.items(), key=lambda item: (-item[1], item[0]))[:at_most]}
    return ["" if not label else label if label in keep else other for label in labels]
