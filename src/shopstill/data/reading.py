"""How a network of classes reads texts: tokens, runs of letters, or both; the same where it learns and is served.

Shapes: ``N`` texts, ``S`` ids of all of them end to end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.data.grams import grams
from shopstill.data.tokens import Ragged, TextTokenizer


@config
class Reading:
    """What becomes of a text; a bundle states it, and its server does the same.

    Attributes:
        tokens: how many are read, at most; 0 for none.
        marked: whether a token stands before and behind them, which then count.
        buckets: that runs of letters fall into, with ids behind those of the tokens; 0 leaves them out.
        shortest: letters of a run.
        longest: letters of a run.
        letters: how many are read, at most.
    """

    tokens: int = Field(default=0, ge=0)
    marked: bool = False
    buckets: int = Field(default=0, ge=0)
    shortest: int = Field(default=1, ge=1)
    longest: int = Field(default=1, ge=1)
    letters: int = Field(default=0, ge=0)

    def __post_init__(self) -> None:
        if not (self.tokens or self.buckets):
            raise ConfigError("reading: neither tokens nor runs of letters; state some of one")
        if self.shortest > self.longest:
            raise ConfigError(
                f"reading: shortest {self.shortest} is more than longest {self.longest}; give it at most that"
            )


def read_texts(texts: Sequence[str], tokenizer: TextTokenizer | None, reading: Reading) -> Ragged:
    """The ids of texts.

    Args:
        texts: N texts.
        tokenizer: whose tokens are read; None where none are.
        reading: how.

    Raises:
        ConfigError: tokens are to be read, and there is no tokenizer.

    >>> read_texts(["mug", "杯"], None, Reading(buckets=100, shortest=2, longest=3, letters=80)).length_N.tolist()
    [7, 3]
    """
    if not reading.tokens:
        return _grams(texts, reading)
    if tokenizer is None:
        raise ConfigError("reading: it reads tokens, and has no tokenizer; load the model from its folder")
    tokens, every = tokenizer.encode(texts), np.arange(len(texts))
    if reading.marked:
        return tokenizer.singles(tokens, every, reading.tokens)
    tokens = tokens.take(every, reading.tokens)
    return _joined(tokens, _grams(texts, reading), tokenizer.vocab) if reading.buckets else tokens


def _grams(texts: Sequence[str], reading: Reading) -> Ragged:
    return grams(texts, reading.buckets, (reading.shortest, reading.longest), reading.letters)


def _joined(one: Ragged, other: Ragged, shift: int) -> Ragged:
    """The rows of two side by side; the ids of the second count from ``shift``."""
    ids_S = np.concatenate([one.ids_S, other.ids_S + np.int32(shift)])
    if len(one) > 1:
        owner_S = np.concatenate([np.repeat(np.arange(len(part)), part.length_N) for part in (one, other)])
        ids_S = ids_S[np.argsort(owner_S, kind="stable")]
    length_N = one.length_N + other.length_N
    return Ragged(ids_S=ids_S, start_N=np.cumsum(length_N, dtype=np.int64) - length_N, length_N=length_N)
