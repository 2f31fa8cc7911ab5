"""How far two orders of the same products agree.

Shapes: ``N`` products.
"""

from __future__ import annotations

import numpy as np


def tau(one_N: np.ndarray, other_N: np.ndarray) -> float | None:
    """Kendall's tau-b of two scores; None where one of them tells no two products apart.

    >>> tau(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    1.0
    """
    first = np.sign(one_N[:, None] - one_N)
    second = np.sign(other_N[:, None] - other_N)
    spread = float(np.sqrt(np.abs(first).sum() * np.abs(second).sum()))
    return float((first * second).sum()) / spread if spread else None


def shared(one_N: np.ndarray, other_N: np.ndarray, first: int = 10) -> float:
    """The part of the first products of one score that are among the first of the other."""
    count = min(first, len(one_N))
    if not count:
        return 1.0
    tops = [set(np.argsort(-scores, kind="stable")[:count].tolist()) for scores in (one_N, other_N)]
    return len(tops[0] & tops[1]) / count
