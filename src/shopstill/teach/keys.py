"""Keys of the label store: 128-bit digests of what a teacher was asked.

Shape legend: ``N`` questions.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from shopstill.core.errors import DataError

Keys = NDArray[np.uint64]
"""[N, 2]: the two halves of each question's 128-bit key."""


def digests(contents: Iterable[bytes]) -> Keys:
    """``keys_N2`` of N questions of any kind, by their content."""
    joined = bytearray()
    for content in contents:
        joined += blake2b(content, digest_size=16).digest()
    return np.frombuffer(joined, "<u8").reshape(-1, 2)


def checked(keys: Keys) -> Keys:
    keys = np.asarray(keys)
    if keys.ndim != 2 or keys.shape[1] != 2 or keys.dtype != np.uint64:
        raise DataError(f"keys of shape {keys.shape} and type {keys.dtype}: must be [N, 2] of uint64, as keys() gives")
    return keys


def sorted_once(keys: Keys) -> NDArray[np.int64]:
    """Positions of distinct keys in ascending order; of equal keys the first."""
    order = np.argsort(keys[:, 0])
    equal = np.diff(keys[order, 0]) == 0
    # Only rows that share their first half are looked at again: where few do, that takes no memory.
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    rows = order[tied]
    order[tied] = rows = rows[np.lexsort((rows, keys[rows, 1], keys[rows, 0]))]
    repeated = (keys[rows[1:]] == keys[rows[:-1]]).all(axis=1)
    return np.delete(order, tied[1:][repeated])
