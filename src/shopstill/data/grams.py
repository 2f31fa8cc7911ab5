"""Runs of letters as numbers: what tells a class where no vocabulary knows the words, in Chinese as in English.

Shapes: ``N`` texts, ``S`` letters or runs of all of them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from shopstill.data.tokens import Ragged

_STEP, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(31)


def grams(texts: Sequence[str], buckets: int, sizes: tuple[int, int], letters: int) -> Ragged:
    """Which of some buckets each run of letters falls into; a text's shortest runs come first.

    Letters are folded to lower case and compatible forms (NFKC), and a space stands before and after each text, so that
    its first and last letters are told apart. Runs are hashed: some share a bucket (Bojanowski et al. 2017,
    arXiv:1607.04606).

    Args:
        texts: N texts.
        buckets: how many.
        sizes: the shortest and the longest run.
        letters: of each text, at most.

    >>> found = grams(["Mug", "mug", "杯"], buckets=1000, sizes=(2, 3), letters=80)
    >>> found.length_N.tolist(), found.row(0).tolist() == found.row(1).tolist()
    ([7, 7, 3], True)
    """
    folded = [f" {unicodedata.normalize('NFKC', text).lower()[:letters]} " for text in texts]
    size_N = np.fromiter(map(len, folded), np.int64, len(folded))
    letter_S = np.frombuffer("".join(folded).encode("utf-32-le", "replace"), "<u4").astype(np.uint64)
    text_S = np.repeat(np.arange(len(folded)), size_N)
    hash_S = np.zeros(len(letter_S), np.uint64)
    left_S = np.repeat(np.cumsum(size_N), size_N) - np.arange(len(letter_S))
    owners, found = [], []
    for length in range(1, sizes[1] + 1):
        # What lies beyond a text's end is hashed too, and left out below.
        hash_S = hash_S * _STEP + np.append(letter_S[length - 1 :], np.zeros(min(length - 1, len(letter_S)), np.uint64))
        if length >= sizes[0]:
            whole = left_S >= length
            owners.append(text_S[whole])
            found.append(_bucket(hash_S[whole], buckets))
    order = np.argsort(np.concatenate(owners), kind="stable")
    length_N = np.maximum(size_N[:, None] - np.arange(sizes[0], sizes[1] + 1) + 1, 0).sum(1).astype(np.int32)
    start_N = np.cumsum(length_N, dtype=np.int64) - length_N
    return Ragged(ids_S=np.concatenate(found)[order], start_N=start_N, length_N=length_N)


def _bucket(hash_S: np.ndarray, buckets: int) -> np.ndarray:
    mixed = (hash_S ^ (hash_S >> _SHIFT)) * _MIX
    return ((mixed ^ (mixed >> _SHIFT)) % np.uint64(buckets)).astype(np.int32)
