"""Steps of compression: what each was made from and by, and which of them nothing beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Costs = Sequence[float]
"""Quality's price in several measures, such as (milliseconds, bytes); less is better in each."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A model that a pass made of another.

    Attributes:
        name: the model's, such as ``small/2-tables``.
        parent: name of the model it was made from.
        told: the pass and its settings, in words.
        note: what the pass said of itself, such as what a guard made of it.
    """

    name: str
    parent: str
    told: str
    note: str = ""


def front(quality: Mapping[str, float], costs: Mapping[str, Costs]) -> list[str]:
    """The Pareto front: models that no other one equals or beats in quality and every cost, and beats in one of these.

    Args:
        quality: model → more is better.
        costs: model → its costs; a model without any is left out.

    >>> front({"a": 0.9, "b": 0.9, "c": 0.8}, {"a": (5.0, 10.0), "b": (5.0, 12.0), "c": (1.0, 10.0)})
    ['a', 'c']
    """
    there = [name for name in quality if name in costs]
    return [
        name
        for name in there
        if not any(_beats((quality[o], costs[o]), (quality[name], costs[name])) for o in there if o != name)
    ]


def _beats(one: tuple[float, Costs], other: tuple[float, Costs]) -> bool:
    ours, theirs = (-one[0], *one[1]), (-other[0], *other[1])
    return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))
