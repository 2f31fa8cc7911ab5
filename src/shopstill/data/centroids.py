"""K-means in numpy.

Shapes: ``N`` points, ``D`` their width, ``C`` centroids.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_ROUNDS = 12
_EACH, _LEAST = 256, 1 << 16
_AT_ONCE = 8192


def centroids(points_ND: Array, count: int, seed: int) -> Array:
    """Centroids [C, D] by Lloyd's rounds from points drawn at random; where there are fewer points, some stand twice.

    A centroid that loses all its points takes the point that is worst represented. Of many points 256 a centroid are
    drawn, and no fewer than 65,536: more change the centroids little (as faiss has it).

    >>> found = centroids(np.array([[0.0], [0.1], [5.0]], np.float32), 2, seed=0)
    >>> sorted((found.ravel() * 100).round().tolist())
    [5.0, 500.0]
    """
    draw = np.random.default_rng(seed)
    most = max(_EACH * count, _LEAST)
    if len(points_ND) > most:
        points_ND = points_ND[np.sort(draw.choice(len(points_ND), most, replace=False))]
    means_CD = points_ND[draw.permutation(len(points_ND))[:count]].copy()
    means_CD = np.concatenate([means_CD, np.repeat(means_CD[:1], count - len(means_CD), axis=0)])
    for _ in range(_ROUNDS):
        near_N = assign(points_ND, means_CD)
        held_C = np.bincount(near_N, minlength=count)
        sums_CD = np.stack([np.bincount(near_N, column, count) for column in points_ND.T], 1)
        kept = held_C > 0
        means_CD[kept] = sums_CD[kept] / held_C[kept, None]
        if not kept.all():
            away_N = np.square(points_ND - means_CD[near_N]).sum(1)
            worst = np.argsort(-away_N, kind="stable")[: int((~kept).sum())]
            means_CD[np.flatnonzero(~kept)[: len(worst)]] = points_ND[worst]
    return means_CD


def assign(points_ND: Array, means_CD: Array) -> NDArray[np.int64]:
    """The nearest centroid of each point."""
    half_C = 0.5 * np.square(means_CD).sum(1)
    out = np.empty(len(points_ND), np.int64)
    for at in range(0, len(points_ND), _AT_ONCE):
        piece = slice(at, at + _AT_ONCE)
        out[piece] = (points_ND[piece] @ means_CD.T - half_C).argmax(1)
    return out
