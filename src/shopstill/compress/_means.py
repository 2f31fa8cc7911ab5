"""k-means: of single values, exactly sorted; and of weighted rows.

Shapes: ``N`` values or rows, ``K`` centres, ``D`` width.
"""

from __future__ import annotations

import torch
from torch import Tensor

_ROUNDS = 40
_ROWS_AT_ONCE = 8192


def values(flat_N: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """At most so many centres [K] of some values, ascending, and the nearest of each value [N].

    Values are sorted once; a round is then a search for K boundaries. Of a start at even steps and one at even ranks
    the better is taken. Where there are no more distinct values than centres, the values are the centres.

    >>> centres, nearest = values(torch.tensor([5.0, 1.0, 5.0]), most=4)
    >>> centres[nearest].tolist()
    [5.0, 1.0, 5.0]
    """
    ordered = flat_N.double().sort().values
    distinct = torch.unique_consecutive(ordered)
    if len(distinct) <= most:
        centres = distinct
    else:
        even = torch.linspace(float(ordered[0]), float(ordered[-1]), most, dtype=torch.float64)
        ranks = ordered[torch.linspace(0, len(ordered) - 1, most).round().long()]
        centres = min((_lloyd(ordered, start) for start in (even, ranks)), key=lambda c: _error(ordered, c))
    centres = torch.unique_consecutive(centres.to(flat_N.dtype))
    return centres, torch.bucketize(flat_N, _between(centres.double()).to(flat_N.dtype))


def rows(vectors_ND: Tensor, weight_N: Tensor, count: int, seed: int, rounds: int = 15) -> tuple[Tensor, Tensor]:
    """Centres [K, D] of weighted rows, and the nearest of each row [N].

    >>> centres, nearest = rows(torch.tensor([[0.0], [0.2], [9.0]]), torch.ones(3), count=2, seed=0)
    >>> bool(nearest[0] == nearest[1]) and bool(nearest[0] != nearest[2])
    True
    """
    draw = torch.Generator().manual_seed(seed)
    count = min(count, len(vectors_ND))
    centres = vectors_ND[torch.multinomial(weight_N.double(), count, generator=draw)].clone()
    for _ in range(rounds):
        found = nearest(vectors_ND, centres)
        held = torch.zeros(count).index_add(0, found, weight_N)
        sums = torch.zeros_like(centres).index_add(0, found, vectors_ND * weight_N[:, None])
        centres = torch.where(held[:, None] > 0, sums / held.clamp(min=1e-30)[:, None], centres)
    return centres, nearest(vectors_ND, centres)


def nearest(vectors_ND: Tensor, centres_KD: Tensor) -> Tensor:
    """The nearest centre of each row [N]."""
    half = 0.5 * centres_KD.square().sum(1)
    return torch.cat([(part @ centres_KD.T - half).argmax(1) for part in vectors_ND.split(_ROWS_AT_ONCE)])


def _lloyd(ordered: Tensor, centres: Tensor) -> Tensor:
    total = torch.nn.functional.pad(ordered.cumsum(0), (1, 0))
    for _ in range(_ROUNDS):
        cuts = torch.searchsorted(ordered, _between(centres))
        edges = torch.cat([cuts.new_zeros(1), cuts, cuts.new_full((1,), len(ordered))])
        count = edges.diff()
        means = total[edges].diff() / count.clamp(min=1)
        centres = torch.where(count > 0, means, centres).sort().values
    return centres


def _error(ordered: Tensor, centres: Tensor) -> float:
    return float((ordered - centres[torch.bucketize(ordered, _between(centres))]).square().sum())


def _between(centres: Tensor) -> Tensor:
    return (centres[1:] + centres[:-1]) / 2
