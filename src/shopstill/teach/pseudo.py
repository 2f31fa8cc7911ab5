"""Pseudo queries: what shoppers could have typed, cut from titles or varied from the queries that they did type.

A student meets far fewer queries than products in human grades; a teacher can label as many as are made up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa

from shopstill.data.split import same_query

_CUT_WORDS = (2, 5)
_TRIES = 20
_LEFT_OUT = 0.3
"""Share of variations that leave a word out; the others take one in."""


def cut_queries(titles: Sequence[str], count: int, seed: int = 0, known: Iterable[str] = ()) -> pa.Table:
    """Queries of two to five words that stand together in a title: query_id, text; none twice, none ``known``.

    ``known`` are all queries of the shop, of every split: a query that is made up may not give one of them away. Fewer
    than ``count`` come back where the titles hold no more.

    >>> cut_queries(["red coffee mug with lid"], 1, known=["coffee mug"]).column("query_id").to_pylist()
    ['cut-0']
    """

    def cut(random: np.random.Generator) -> str:
        units, joiner = _units(titles[int(random.integers(len(titles)))])
        size = int(random.integers(*_CUT_WORDS, endpoint=True))
        start = int(random.integers(max(len(units) - size, 0) + 1))
        return joiner.join(units[start : start + size]).strip(" ,;:-()[]")

    return _distinct("cut", cut, count if titles else 0, seed, known)


def varied_queries(texts: Sequence[str], count: int, seed: int = 0, known: Iterable[str] = ()) -> pa.Table:
    """Queries with one word left out, or with one more or another that a query with a common word has.

    They keep what title cuts lack: how shoppers ask, and how they misspell. ``known`` as in ``cut_queries``. The idea
    is that of mixing examples (Zhang et al., "mixup", arXiv 1710.09412), in words instead of vectors.

    Args:
        texts: the training queries.
        count: how many, at most.
        seed: of everything drawn.
        known: texts that may not come back.

    Returns:
        query_id, text.

    >>> varied_queries(["red coffee mug", "steel mug"], 1, seed=1).column("text").to_pylist()
    ['red coffee steel mug']
    """
    parted = [_units(text) for text in texts]
    having: dict[str, list[int]] = defaultdict(list)
    for place, (units, _) in enumerate(parted):
        for unit in dict.fromkeys(units):
            having[unit].append(place)

    def vary(random: np.random.Generator) -> str:
        units, joiner = parted[int(random.integers(len(parted)))]
        if not units:
            return ""
        at = int(random.integers(len(units)))
        if len(units) > 2 and random.random() < _LEFT_OUT:
            return joiner.join([*units[:at], *units[at + 1 :]])
        common = units[int(random.integers(len(units)))]
        other = parted[having[common][int(random.integers(len(having[common])))]][0]
        fresh = [unit for unit in other if unit not in units]
        if not fresh:
            return ""
        taken = fresh[int(random.integers(len(fresh)))]
        after = at if units[at] == common or random.random() < _LEFT_OUT else at + 1
        return joiner.join([*units[:at], taken, *units[after:]])

    return _distinct("varied", vary, count if parted else 0, seed, known)


def _distinct(
    name: str, draw: Callable[[np.random.Generator], str], count: int, seed: int, known: Iterable[str]
) -> pa.Table:
    """Up to so many texts that differ in their words from each other and from what is known."""
    random = np.random.default_rng(seed)
    taken = {"", *(same_query(text) for text in known)} if count else set()
    made: list[str] = []
    for _ in range(count * _TRIES):
        if len(made) == count:
            break
        text = draw(random)
        form = same_query(text)
        if form not in taken:
            taken.add(form)
            made.append(text)
    ids = pa.array([f"{name}-{number}" for number in range(len(made))], pa.string())
    return pa.table({"query_id": ids, "text": pa.array(made, pa.string())})


def _units(text: str) -> tuple[list[str], str]:
    """Words and what joins them; a text written without spaces gives its characters two by two."""
    words = text.split()
    unspaced = len(words) <= 1 or max(map(len, words)) > len(text) / 2
    if unspaced and not text.isascii():
        return [text[i : i + 2] for i in range(0, len(text), 2)], ""
    return words, " "
