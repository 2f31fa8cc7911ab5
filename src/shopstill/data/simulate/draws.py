"""Random numbers that depend only on a seed, a name and an index, so that any row can be made alone and in any order.

All arithmetic is on 64-bit integers: floating point and library generators may differ between machines and versions.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Bits = NDArray[np.uint64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class Draws:
    """Uniform draws: the SplitMix64 hash of a key (from seed and name) and an index.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    >>> draws = Draws(seed=7)
    >>> bool((draws.below("colour", [3], 10) == draws.below("colour", [1, 2, 3], 10)[2]).all())
    True
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def bits(self, name: str, index: ArrayLike) -> Bits:
        """64 random bits for each index, of the index's shape."""
        digest = hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=8).digest()
        key = np.uint64(int.from_bytes(digest, "little"))
        z = np.asarray(index, dtype=np.int64).astype(np.uint64) * _GAMMA + key
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        return z ^ (z >> np.uint64(31))

    def below(self, name: str, index: ArrayLike, bound: ArrayLike) -> Ints:
        """Whole numbers from 0 to ``bound`` - 1 (``bound`` from 0 to 2^31; 0 gives 0)."""
        return scale(self.bits(name, index), bound)

    def chance(self, name: str, index: ArrayLike, per_mille: ArrayLike) -> NDArray[np.bool_]:
        """True with a probability of ``per_mille`` / 1000."""
        return self.below(name, index, 1000) < np.asarray(per_mille)

    def weighted(self, name: str, index: ArrayLike, cumulative: Ints) -> Ints:
        """Positions, each drawn by its share of the cumulated whole weights."""
        return np.searchsorted(cumulative, self.below(name, index, cumulative[-1]), side="right")

    def heavy(self, name: str, index: ArrayLike, most: int) -> Ints:
        """Whole numbers from 1 to ``most`` with P(x ≥ k) = 1/k, as popularity has."""
        high = (self.bits(name, index) >> np.uint64(32)).astype(np.int64)
        return np.minimum(2**32 // (high + 1), most)


def scale(bits: Bits, bound: ArrayLike) -> Ints:
    """Bits as whole numbers from 0 to ``bound`` - 1."""
    high = bits >> np.uint64(32)
    return ((high * np.asarray(bound).astype(np.uint64)) >> np.uint64(32)).astype(np.int64)


def choose(table: NDArray[np.bool_], rows: Ints, bits: Bits) -> Ints:
    """A true column of rows of a table, by random bits; -1 where a row has none.

    >>> choose(np.array([[False, True], [False, False]]), np.array([0, 1]), np.zeros(2, np.uint64)).tolist()
    [1, -1]
    """
    counts = table.sum(1)
    flat = np.append(np.nonzero(table)[1], -1)
    place = (np.cumsum(counts) - counts)[rows] + scale(bits, counts[rows])
    return np.where(counts[rows] > 0, flat[place], -1)
