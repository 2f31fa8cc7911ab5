"""Histories made ready for a network.

Shapes: ``U`` shoppers, ``E`` events of all of them, ``N`` rows, ``B`` rows of a batch, ``T`` places of the longest,
``P`` places to be predicted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shopstill.data.histories import Histories
from shopstill.models.sequence.network import SequenceNetwork


@dataclass(frozen=True, kw_only=True)
class Window:
    """The latest items of some histories, and the places in them that are to be predicted.

    Attributes:
        item_BT: items, 0 where a history has ended.
        row_P: the history of each place.
        place_P: the place in it.
        event_P: the event that is to be predicted there; where the history is followed by none, that of its end.
    """

    item_BT: np.ndarray
    row_P: np.ndarray
    place_P: np.ndarray
    event_P: np.ndarray

    @property
    def inputs(self) -> dict[str, Tensor]:
        """As ``SequenceNetwork.forward`` takes them."""
        return {
            "item_BT": torch.from_numpy(self.item_BT),
            "row_P": torch.from_numpy(self.row_P),
            "place_P": torch.from_numpy(self.place_P),
        }


class HistoryFeed:
    """Rows of one history each: the first ``upto_N`` events of a shopper. ``cost_N`` is how many of them are read.

    Args:
        histories: of all shoppers.
        shopper_N: the shopper of each row.
        upto_N: how many of the shopper's events the row sees, at least 1.
        max_items: the latest of them that are read.
        mask: the number of the mask, for a network that wants one at the place to be predicted; None for others.
        every: predict what comes after every item of a row, instead of after the last alone.
    """

    def __init__(
        self,
        histories: Histories,
        shopper_N: np.ndarray,
        upto_N: np.ndarray,
        max_items: int,
        *,
        mask: int | None = None,
        every: bool = False,
    ) -> None:
        assert len(shopper_N) == len(upto_N), (len(shopper_N), len(upto_N))
        assert mask is None or not every, "a mask tells of one place at a time"
        self._item_E, self._mask, self._every = histories.item_E, mask, every
        start_N = histories.start_U[shopper_N]
        most = max_items if mask is None else max_items - 1
        self._stop_N = start_N + upto_N
        self._first_N = np.maximum(start_N, self._stop_N - most)
        self.cost_N = self._stop_N - self._first_N

    @classmethod
    def of(
        cls,
        network: SequenceNetwork,
        histories: Histories,
        shopper_N: np.ndarray,
        upto_N: np.ndarray,
        *,
        every: bool = False,
    ) -> HistoryFeed:
        """Rows as a network reads them."""
        mask = network.sizes.items + 1 if network.masks else None
        return cls(histories, shopper_N, upto_N, network.config.max_items, mask=mask, every=every)

    def __len__(self) -> int:
        return len(self.cost_N)

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """``item_BT``, ``row_P`` and ``place_P`` of some rows; where only the last place is asked for, P is B."""
        return self.window(rows).inputs

    def window(self, rows: np.ndarray) -> Window:
        """Some rows as arrays."""
        first_B, length_B = self._first_N[rows], self.cost_N[rows]
        item_BT = ragged(self._item_E, first_B, length_B, int(self._mask is not None))
        if self._every:
            place_BT = np.arange(item_BT.shape[1])
            row_P, place_P = np.nonzero(place_BT < length_B[:, None])
        else:
            row_P, place_P = np.arange(len(rows)), length_B - (self._mask is None)
        if self._mask is not None:
            item_BT[row_P, place_P] = self._mask
        event_P = first_B[row_P] + place_P + (self._mask is None)
        return Window(item_BT=item_BT, row_P=row_P, place_P=place_P, event_P=event_P)


def ragged(item_E: np.ndarray, first_B: np.ndarray, length_B: np.ndarray, more: int = 0) -> np.ndarray:
    """Runs of items as a rectangle int64 [B, T], filled up with 0 on the right, with some columns ``more``.

    >>> ragged(np.array([5, 6, 7]), np.array([0, 1]), np.array([1, 2])).tolist()
    [[5, 0], [6, 7]]
    """
    place_T = np.arange(int(length_B.max(initial=0)) + more)
    there_BT = place_T < length_B[:, None]
    event_BT = np.where(there_BT, first_B[:, None] + place_T, 0)
    return np.where(there_BT, item_E[event_BT], 0).astype(np.int64)
