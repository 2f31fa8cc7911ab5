"""Runs of letters as numbers: what tells a class where no vocabulary knows the words, in Chinese as in English.

Shapes: ``N`` texts, ``S`` letters or runs of all of them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

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
    runs = [_bucket(hash_S, buckets) for hash_S in _hashes(letter_S, sizes)]
    length_N = np.maximum(size_N[:, None] - np.arange(sizes[0], sizes[1] + 1) + 1, 0).sum(1).astype(np.int32)
    start_N = np.cumsum(length_N, dtype=np.int64) - length_N
    ids_S = np.concatenate(runs) if len(folded) == 1 else _by_text(runs, size_N, sizes[0])
    return Ragged(ids_S=ids_S, start_N=start_N, length_N=length_N)


def _hashes(letter_S: np.ndarray, sizes: tuple[int, int]) -> Iterator[np.ndarray]:
    """Of each length in turn the hash of every run, also of those that reach into the next text."""
    hash_S = letter_S
    for length in range(1, sizes[1] + 1):
        if length > 1:
            hash_S = hash_S[: max(0, len(letter_S) - length + 1)] * _STEP + letter_S[length - 1 :]
        if length >= sizes[0]:
            yield hash_S


def _by_text(runs: Sequence[np.ndarray], size_N: np.ndarray, shortest: int) -> np.ndarray:
    """Runs text by text, without those that reach into the next one."""
    text_S = np.repeat(np.arange(len(size_N)), size_N)
    left_S = np.repeat(np.cumsum(size_N), size_N) - np.arange(len(text_S))
    whole = [left_S[: len(run)] >= length for length, run in enumerate(runs, shortest)]
    owner = np.concatenate([text_S[: len(there)][there] for there in whole])
    found = np.concatenate([run[there] for run, there in zip(runs, whole, strict=True)])
    return found[np.argsort(owner, kind="stable")]


def _bucket(hash_S: np.ndarray, buckets: int) -> np.ndarray:
    mixed = (hash_S ^ (hash_S >> _SHIFT)) * _MIX
    return ((mixed ^ (mixed >> _SHIFT)) % np.uint64(buckets)).astype(np.int32)
