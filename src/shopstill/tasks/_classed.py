"""Products that have a class, as questions.

Shapes: ``N`` products of a part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Products:
    """N products: rows of the table of classes, with their truth."""

    row_N: np.ndarray
    target_N: np.ndarray
    weight_N: np.ndarray | None
    known: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.row_N)

    def take(self, rows: np.ndarray) -> Products:
        """Some of them."""
        weight_N = None if self.weight_N is None else self.weight_N[rows]
        return replace(self, row_N=self.row_N[rows], target_N=self.target_N[rows], weight_N=weight_N)

    def contents(self) -> Iterator[bytes]:
        """Text and pixels of each."""
        return (self.known[row] for row in self.row_N)
