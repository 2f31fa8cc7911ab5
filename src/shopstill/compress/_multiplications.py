"""Which channels stay where what counts is the multiplications that go with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from shopstill.compress._ranked import best_of
from shopstill.models.vision import Place


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What the parts of a network cost for one picture.

    Attributes:
        parts: for each of them the names that it reads and writes (None for columns or rows that stand for no
            channels), and its multiplications for one channel that it reads and one that it writes.
    """

    parts: Sequence[tuple[str | None, str | None, float]]

    @staticmethod
    @torch.no_grad()
    def of(network: nn.Module, every: Sequence[Place], inputs: Mapping[str, Any]) -> Costs:
        """Counted while the network reads some rows."""
        places: dict[nn.Module, int] = {}

        def see(module: nn.Module, _: Any, y: Tensor) -> None:
            places[module] = y[0, 0].numel() if y.dim() > 2 else 1

        hooks = [place.module.register_forward_hook(see) for place in every]
        try:
            network(**inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return Costs(parts=[_part(place, places.get(place.module, 0)) for place in every])

    def all(self, counts: Mapping[str, int]) -> float:
        """Multiplications, where there are so many channels of each name."""
        # Where each channel is filtered alone, what is read and written is the same channel.
        return sum(each * prod(counts[name] for name in {*names} if name) for *names, each in self.parts)

    def one(self, counts: Mapping[str, int], name: str) -> float:
        """Multiplications that go with one channel of a name."""
        return self.all(counts) - self.all({**counts, name: counts[name] - 1})


def _part(place: Place, places: int) -> tuple[str | None, str | None, float]:
    rows, columns = place.module.weight.shape[:2]
    named = rows if place.single else (rows if place.writes else 1) * (columns if place.reads else 1)
    return place.reads, place.writes, places * place.module.weight.numel() / named


def kept_by_cost(scores: Mapping[str, Tensor], share: float, multiple: int, costs: Costs) -> dict[str, Tensor]:
    """Positions of the channels that stay, ascending: as many of the best as leave a share of the multiplications.

    Args:
        scores: name → importance of each channel.
        share: part of the multiplications that stays, at most; less is not to be had than a channel (or ``multiple``)
            of each name takes.
        multiple: counts are rounded to a multiple of it where there are as many.
        costs: of the network as it is.

    >>> costs = Costs(parts=[(None, "dear", 100.0), ("dear", "cheap", 1.0)])
    >>> even = {"dear": torch.ones(4), "cheap": torch.ones(4)}
    >>> {name: len(found) for name, found in kept_by_cost(even, 0.6, 1, costs).items()}
    {'dear': 2, 'cheap': 4}
    """
    full = {name: len(score) for name, score in scores.items()}
    worth = {name: score / costs.one(full, name) for name, score in scores.items()}
    least, most = 0, sum(full.values())
    while least < most:
        middle = (least + most + 1) // 2
        if costs.all({n: len(f) for n, f in best_of(worth, middle, multiple).items()}) <= share * costs.all(full):
            least = middle
        else:
            most = middle - 1
    return best_of(worth, least, multiple)
