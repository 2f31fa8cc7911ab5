"""Which units stay: the most important ones, counted in each layer or over all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

Scope = Literal["global", "layer"]


def kept(scores: Mapping[str, Tensor], share: float, scope: Scope, multiple: int = 1) -> dict[str, Tensor]:
    """Positions of the units that stay, ascending, at least one (or ``multiple``) of each layer.

    Args:
        scores: layer → importance of each unit.
        share: part of the units that stays.
        scope: whether the share holds in each layer, or over all.
        multiple: counts are rounded to a multiple of it where the layer has as many.

    >>> found = kept({"a": torch.tensor([3.0, 1, 2]), "b": torch.tensor([9.0, 0, 0])}, 0.5, "global")
    >>> {name: places.tolist() for name, places in found.items()}
    {'a': [0, 2], 'b': [0]}
    """
    if scope == "layer":
        return _counted(scores, {name: round(share * len(score)) for name, score in scores.items()}, multiple)
    return best_of(scores, round(share * sum(map(len, scores.values()))), multiple)


def best_of(scores: Mapping[str, Tensor], count: int, multiple: int = 1) -> dict[str, Tensor]:
    """Positions of the best ``count`` units over all layers, as ``kept`` gives them."""
    owner = torch.cat([torch.full((len(score),), at) for at, score in enumerate(scores.values())])
    best = owner[torch.argsort(torch.cat(list(scores.values())), descending=True, stable=True)[:count]]
    counts = dict(zip(scores, torch.bincount(best, minlength=len(scores)).tolist(), strict=True))
    return _counted(scores, counts, multiple)


def _counted(scores: Mapping[str, Tensor], counts: Mapping[str, int], multiple: int) -> dict[str, Tensor]:
    return {name: _best(score, _rounded(counts[name], multiple, len(score))) for name, score in scores.items()}


def levelled(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scores of each layer over their root mean square, so that layers of other scales can be compared."""
    return {name: score / score.square().mean().sqrt().clamp(min=1e-30) for name, score in scores.items()}


def _best(score: Tensor, count: int) -> Tensor:
    return torch.argsort(score, descending=True, stable=True)[:count].sort().values


def _rounded(count: int, multiple: int, most: int) -> int:
    return min(most, max(1, round(count / multiple)) * multiple)
