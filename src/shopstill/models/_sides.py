"""What towers give: encoded texts, and the vectors of pairs of them.

Shapes: ``T`` tokens of a padded text, ``D`` width of the vectors, ``B`` pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor


class Side(NamedTuple):
    """Encoded texts: token vectors [·, T, D], their weights [·, T] (sum 1, 0 at padding) and pooled vectors [·, D]."""

    tokens: Tensor
    weight: Tensor
    pooled: Tensor

    def take(self, rows: Tensor) -> Side:
        """Some of the texts."""
        return Side(*(part.index_select(0, rows) for part in self))


class Pooled(NamedTuple):
    """Pooled vectors of distinct texts, and which of them each pair has [B]."""

    vectors: Tensor
    row_B: Tensor


class Features(Mapping[str, Tensor]):
    """Vectors [B, D] of pairs, which are gathered when they are asked for: pairs may be many more than texts."""

    def __init__(self, **pooled: Pooled) -> None:
        self._pooled = pooled

    def __getitem__(self, name: str) -> Tensor:
        found = self._pooled[name]
        return found.vectors.index_select(0, found.row_B)

    def __iter__(self) -> Iterator[str]:
        return iter(self._pooled)

    def __len__(self) -> int:
        return len(self._pooled)
