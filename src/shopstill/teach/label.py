"""Labelling: ask a teacher about the pairs that the store does not know yet, and nothing else.

Shape legend: ``N`` pairs, ``K`` outputs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import DataError
from shopstill.core.progress import progress
from shopstill.data.pairs import PairTexts
from shopstill.teach.keys import Keys
from shopstill.teach.store import LabelStore

log = logging.getLogger(__name__)

Score = Callable[[Sequence[str], Sequence[str]], ArrayLike | tuple[ArrayLike, Mapping[str, ArrayLike]]]
"""A teacher: N query texts and N product texts → logits [N] or [N, K], alone or with features name → [N, D]."""

_KEYS_AT_ONCE = 1 << 16


@config
class Labelling:
    """How pairs are labelled.

    Attributes:
        call_rows: pairs a call of the teacher; it may sort them by length within a call.
        shard_rows: pairs a shard; what is in the open shard is lost when the process is killed.
        shard_seconds: a shard is closed after this time too, so that a slow teacher loses little.
        sample: pairs that the cost is estimated from; as many more warm the teacher up. Their labels are kept.
    """

    call_rows: int = Field(default=1024, ge=1)
    shard_rows: int = Field(default=65_536, ge=1)
    shard_seconds: float = Field(default=60.0, gt=0)
    sample: int = Field(default=64, ge=1)


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """What labelling did.

    Attributes:
        labelled: pairs that the teacher was asked about.
        reused: pairs whose answer was stored already, or that repeat another.
        seconds: the time it took.
        estimate: the time that was foreseen; None where there was too little to do for an estimate.
    """

    labelled: int
    reused: int
    seconds: float
    estimate: float | None

    @property
    def rate(self) -> float:
        """Pairs a second that the teacher answered."""
        return self.labelled / max(self.seconds, 1e-9)


def label(pairs: PairTexts, score: Score, store: LabelStore, how: Labelling | None = None) -> Labelled:
    """Label the pairs that are missing from the store, shard by shard; killed at any moment, it goes on from there.

    Raises:
        DataError: the teacher answers with a wrong shape or a value that is not finite.

    >>> import tempfile
    >>> from pathlib import Path
    >>> store = LabelStore(Path(tempfile.mkdtemp()), teacher="length", preparation="none")
    >>> pairs = PairTexts(queries=["mug"], products=["red mug"], query_N=np.array([0]), product_N=np.array([0]))
    >>> label(pairs, lambda queries, products: [len(p) for p in products], store).labelled
    1
    >>> store.lookup(keys_of(pairs, store)).logits.tolist()
    [7.0]
    """

    def answer(rows: NDArray[np.int64]) -> Any:
        return score(*pairs.texts(rows))

    def named(row: int) -> str:
        query, product = (each[0] for each in pairs.texts(np.array([row])))
        return f"query {query!r} and product {product!r}"

    return ask(keys_of(pairs, store), answer, store, how, named)


def ask(
    keys: Keys,
    answer: Callable[[NDArray[np.int64]], Any],
    store: LabelStore,
    how: Labelling | None = None,
    named: Callable[[int], str] = "question {}".format,
) -> Labelled:
    """Label the questions that are missing from the store, as ``label`` does, whatever they are.

    Args:
        keys: [N, 2] of the questions.
        answer: rows of ``keys`` → logits [n] or [n, K], alone or with features name → [n, D].
        store: where the answers go.
        how: sizes of calls and shards.
        named: a row → its question in words, for errors.

    Raises:
        DataError: the teacher answers with a wrong shape or a value that is not finite.
    """
    how = how or Labelling()
    start = time.monotonic()
    missing = store.missing(keys)
    foreseen = None
    shard = _OpenShard(store, how, named)
    log.info("labels: %s of %s are stored already", f"{len(keys) - len(missing):,}", f"{len(keys):,}")
    with progress("labelling", len(missing), "questions") as bar:

        def take(rows: NDArray[np.int64]) -> None:
            shard.add(keys[rows], rows, answer(rows))
            bar.advance(len(rows))

        try:
            rest = missing
            if len(missing) > 2 * how.sample:
                rest, foreseen = _sampled(missing, take, how.sample)
            for at in range(0, len(rest), how.call_rows):
                take(rest[at : at + how.call_rows])
        finally:
            shard.close()
    return Labelled(
        labelled=len(missing), reused=len(keys) - len(missing), seconds=time.monotonic() - start, estimate=foreseen
    )


def keys_of(pairs: PairTexts, store: LabelStore) -> Keys:
    """The store's keys [N, 2] of all pairs, made piece by piece."""
    out = np.empty((len(pairs), 2), np.uint64)
    for start in range(0, len(pairs), _KEYS_AT_ONCE):
        rows = np.arange(start, min(start + _KEYS_AT_ONCE, len(pairs)))
        out[rows] = store.keys(*pairs.texts(rows))
    return out


class _OpenShard:
    """Answers that are not on disk yet."""

    def __init__(self, store: LabelStore, how: Labelling, named: Callable[[int], str]) -> None:
        self._store, self._how, self._named = store, how, named
        self._clear()

    def add(self, keys: Keys, rows: NDArray[np.int64], answer: Any) -> None:
        logits, features = answer if isinstance(answer, tuple) else (answer, {})
        logits = np.asarray(logits)
        wanted = (len(keys), *self._store.identity.shape)
        if logits.shape != wanted:
            raise DataError(f"the teacher answered {len(keys)} questions with logits {logits.shape}: must be {wanted}")
        wrong = np.argwhere(~np.isfinite(logits))
        if len(wrong):
            at = int(wrong[0][0])
            raise DataError(
                f"the teacher answered logits of {logits[at]} for {self._named(int(rows[at]))}: must be finite numbers"
            )
        self._keys.append(keys)
        self._logits.append(logits)
        self._features.append({name: np.asarray(values) for name, values in features.items()})
        self._rows += len(keys)
        if self._rows >= self._how.shard_rows or time.monotonic() - self._since >= self._how.shard_seconds:
            self.close()

    def close(self) -> None:
        if self._rows:
            features = {name: np.concatenate([f[name] for f in self._features]) for name in self._features[0]}
            keys, logits = np.concatenate(self._keys), np.concatenate(self._logits)
            self._clear()
            self._store.append(keys, logits, features)

    def _clear(self) -> None:
        self._keys: list[Keys] = []
        self._logits: list[NDArray[Any]] = []
        self._features: list[dict[str, NDArray[Any]]] = []
        self._rows = 0
        self._since = time.monotonic()


def _sampled(
    missing: NDArray[np.int64], answer: Callable[[NDArray[np.int64]], None], sample: int
) -> tuple[NDArray[np.int64], float]:
    """Label a few pairs drawn at random, foresee the cost of all, and return the pairs that remain and the seconds."""
    drawn = np.random.default_rng(0).permutation(len(missing))
    answer(missing[drawn[:sample]])
    start = time.monotonic()
    answer(missing[drawn[sample : 2 * sample]])
    seconds = (time.monotonic() - start) / sample * (len(missing) - sample)
    log.info("labels: %s pairs to label, about %s seconds", f"{len(missing):,}", f"{seconds:,.0f}")
    return missing[np.sort(drawn[2 * sample :])], seconds
