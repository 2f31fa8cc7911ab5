"""Histories as four arrays, whatever their number: shopper after shopper, each in order of time.

U shoppers, I items, E events, N examples, L events of a window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Histories:
    """What U shoppers took up, one shopper after the other.

    Items are numbered from 1, so that 0 is free for padding; shoppers from 0.

    >>> two = Histories(
    ...     item_ids=pa.array(["mug", "cup"]),
    ...     shopper_ids=pa.array(["ann", "bob"]),
    ...     item_E=np.array([1, 2, 2], np.int32),
    ...     start_U=np.array([0, 2, 3]),
    ...     time_E=np.array([5, 9, 7]),
    ... )
    >>> two.history(0).tolist(), two.lengths().tolist(), len(two)
    ([1, 2], [2, 1], 2)
    >>> two.window(np.array([0, 1]), np.array([2, 1]), 3).tolist()
    [[0, 1, 2], [0, 0, 2]]

    Attributes:
        item_ids: [I] the shop's id of each item; item 1 is at place 0.
        shopper_ids: [U] the shop's id of each shopper.
        item_E: item of each event; within a shopper by time, events of one time in the order of the file.
        start_U: [U + 1] where each shopper's events start; the last is E.
        time_E: milliseconds since 1970, UTC, of each event.
    """

    item_ids: pa.Array
    shopper_ids: pa.Array
    item_E: Int32
    start_U: Int64
    time_E: Int64

    def __len__(self) -> int:
        """How many shoppers there are."""
        return len(self.start_U) - 1

    @property
    def items(self) -> int:
        """How many items there are; a table of them has one row more, for padding."""
        return len(self.item_ids)

    def history(self, shopper: int) -> Int32:
        """A shopper's items, the oldest first."""
        return self.item_E[self.start_U[shopper] : self.start_U[shopper + 1]]

    def lengths(self) -> Int64:
        """[U] events of each shopper."""
        return np.diff(self.start_U)

    def take(self, shoppers: Int64) -> Histories:
        """The histories of some shoppers, in this order; items keep their numbers."""
        lengths = self.lengths()[shoppers]
        start = offsets(lengths)
        event = np.repeat(self.start_U[shoppers] - start[:-1], lengths) + np.arange(start[-1])
        return Histories(
            item_ids=self.item_ids,
            shopper_ids=self.shopper_ids.take(pa.array(shoppers)),
            item_E=self.item_E[event],
            start_U=start,
            time_E=self.time_E[event],
        )

    def window(self, shopper_N: Int64 | Int32, upto_N: Int64 | Int32, length: int) -> Int32:
        """The last items before a place in histories.

        Args:
            shopper_N: shoppers.
            upto_N: how many of the shopper's first events count; the items end with the last of them.
            length: L, how many items at most.

        Returns:
            [N, L] items, the newest at the right; 0 at the left of short histories.
        """
        first = self.start_U[shopper_N][:, None]
        event = first + np.asarray(upto_N, np.int64)[:, None] + np.arange(-length, 0)
        if not len(self.item_E):
            return np.zeros(event.shape, np.int32)
        return np.where(event >= first, self.item_E[np.maximum(event, 0)], np.int32(0))


def offsets(lengths: Int64) -> Int64:
    """Where each of some rows of these lengths starts, and where the last one ends.

    >>> offsets(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
