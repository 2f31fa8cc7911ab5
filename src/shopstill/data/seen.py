"""Sets of ids that are too many for Python sets of text: 64-bit hashes in sorted runs, 8 bytes an id."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa

_ODD = np.uint64(0x9E3779B97F4A7C15)


def hash64(texts: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A 64-bit hash of each text, the same within this process only; nulls hash alike.

    Among a hundred million different texts, two share a hash with a probability of .0003.
    """
    return np.fromiter(map(hash, texts.to_pylist()), np.int64, len(texts)).view(np.uint64)


def mix(first: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """One hash of several, in this order.

    >>> one, two = np.array([1], np.uint64), np.array([2], np.uint64)
    >>> bool(mix(one, two)[0] == mix(two, one)[0])
    False
    """
    mixed = first
    for other in others:
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _ODD + other
    return mixed


class HashSet:
    """A growing set of hashes.

    >>> seen = HashSet()
    >>> seen.add(np.array([7, 8, 7], np.uint64)).tolist()
    [True, True, False]
    >>> seen.add(np.array([8, 9], np.uint64)).tolist(), len(seen)
    ([False, True], 3)
    """

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def contains(self, hashes: np.ndarray) -> np.ndarray:
        """Which of the hashes are in the set."""
        # Looked up in rising order, neighbours meet in the cache.
        order = np.argsort(hashes)
        rising = hashes[order]
        found = np.zeros(len(hashes), dtype=bool)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, rising), len(run) - 1)
            found[order] |= run[at] == rising
        return found

    def add(self, hashes: np.ndarray) -> np.ndarray:
        """Put hashes in; True where one was seen for the first time."""
        _, first = np.unique(hashes, return_index=True)
        new = np.zeros(len(hashes), dtype=bool)
        new[first] = True
        new &= ~self.contains(hashes)
        if new.any():
            self._runs.append(np.sort(hashes[new]))
            self._merge()
        return new

    def _merge(self) -> None:
        # Runs stay of falling, at least halving size, so that there are few and each hash is merged few times.
        while any(len(a) < 2 * len(b) for a, b in pairwise(self._runs[-2:])):
            last, before = self._runs.pop(), self._runs.pop()
            self._runs.append(np.sort(np.concatenate([before, last]), kind="stable"))
