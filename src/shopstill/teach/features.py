"""Features that lie in the label store, read a batch at a time: those of a million pairs do not fit into memory.

Shapes: ``N`` pairs, ``B`` rows of a batch, ``D`` width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopstill.teach.store import LabelStore


class StoredFeature:
    """One feature of N pairs.

    Args:
        store: where it lies.
        row_N: where each pair's labels lie, from ``store.locate``.
        name: which feature.
    """

    def __init__(self, store: LabelStore, row_N: NDArray[np.int64], name: str) -> None:
        self._store, self._row_N, self._name = store, row_N, name

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """[B, D] the feature of some pairs."""
        return self._store.read(self._row_N[rows]).features[self._name]
