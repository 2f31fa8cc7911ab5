"""Slices of units by how many there are of something.

Shapes: ``N`` units.
"""

from __future__ import annotations

import numpy as np


def binned(count_N: np.ndarray, edges: tuple[int, ...], noun: str) -> list[str]:
    """How many there are of something, in a few steps.

    >>> binned(np.array([0, 3, 7]), (0, 5), "event")
    ['0 events', '1–5 events', '6+ events']
    """
    low = [0, *(edge + 1 for edge in edges)]
    names = [_span(first, last, noun) for first, last in zip(low, [*edges, None], strict=True)]
    return [names[place] for place in np.searchsorted(edges, count_N)]


def _span(first: int, last: int | None, noun: str) -> str:
    if last is None:
        return f"{first:,}+ {noun}s"
    if first == last:
        return f"{first:,} {noun}s"
    return f"up to {last:,} {noun}s" if first == 0 else f"{first:,}–{last:,} {noun}s"
