"""Pictures and texts made ready for a network: each text tokenised once, pictures read batch by batch.

Shapes: ``N`` rows, ``B`` rows of a batch, ``M`` pictures, ``H`` × ``W`` pixels, ``S`` ids of all texts end to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from shopstill.core.errors import ConfigError
from shopstill.data.reading import Reading, read_texts
from shopstill.data.tokens import Ragged, TextTokenizer
from shopstill.models.label.config import Bag, TextEncoder


class Pictures(Protocol):
    """M pictures, of which some can be read as uint8 [·, H, W, 3]: an array, or something that lies on disk."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


@dataclass(frozen=True, kw_only=True)
class Sight:
    """The pictures of N rows: ``pictures[picture_N]``."""

    pictures: Pictures
    picture_N: np.ndarray


@dataclass(frozen=True, kw_only=True)
class LabelRows:
    """What there is of N rows: their pictures, their texts, or both.

    Attributes:
        pictures: M pictures, all of one size; None where no network asks for them.
        picture_N: which picture each row has.
        texts: different texts; None where no network asks for them.
        text_N: which text each row has.
    """

    pictures: Pictures | None = None
    picture_N: np.ndarray | None = None
    texts: Sequence[str] | None = None
    text_N: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> LabelRows:
        """Some of the rows."""
        picture_N = None if self.picture_N is None else self.picture_N[rows]
        text_N = None if self.text_N is None else self.text_N[rows]
        return LabelRows(pictures=self.pictures, picture_N=picture_N, texts=self.texts, text_N=text_N)

    def sight(self) -> Sight:
        """The pictures.

        Raises:
            ConfigError: there are none.
        """
        if self.pictures is None or self.picture_N is None:
            raise ConfigError("this model reads pictures, and these rows have none; use one that reads texts alone")
        return Sight(pictures=self.pictures, picture_N=self.picture_N)

    def reading(self, tokenizer: TextTokenizer | None, config: Bag | TextEncoder) -> Ragged:
        """The ids of each row's text, as a network reads them.

        Raises:
            ConfigError: there are no texts.
        """
        if self.texts is None or self.text_N is None:
            raise ConfigError("this model reads texts, and these rows have none; use one that reads pictures alone")
        used, place_N = np.unique(self.text_N, return_inverse=True)
        return ids_of([self.texts[i] for i in used.tolist()], tokenizer, config).take(place_N)


class LabelFeed:
    """Rows of a picture, a text, or both; ``cost_N`` is the ids of each text, or 1.

    Args:
        sight: the pictures.
        reading: the ids of the texts.
    """

    def __init__(self, sight: Sight | None, reading: Ragged | None = None) -> None:
        self._sight, self._reading = sight, reading
        pictures = None if sight is None else np.ones(len(sight.picture_N), np.int32)
        texts = None if reading is None else reading.length_N
        cost_N = pictures if texts is None else texts
        assert cost_N is not None, "neither pictures nor texts"
        assert pictures is None or len(pictures) == len(cost_N), (len(pictures), len(cost_N))
        self.cost_N = cost_N

    def __len__(self) -> int:
        return len(self.cost_N)

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """``image_BHWC`` uint8, and ``ids_S`` with ``length_B``, as far as the network takes them."""
        found: dict[str, Tensor] = {}
        if self._sight is not None:
            pictures = self._sight.pictures[self._sight.picture_N[rows]]
            found["image_BHWC"] = torch.from_numpy(np.ascontiguousarray(pictures))
        if self._reading is not None:
            texts = self._reading.take(rows)
            found["ids_S"] = torch.from_numpy(texts.ids_S).long()
            found["length_B"] = torch.from_numpy(texts.length_N).long()
        return found


def reading_of(config: Bag | TextEncoder) -> Reading:
    """How a network of that configuration reads texts.

    >>> reading_of(TextEncoder(max_tokens=12))
    Reading(tokens=12, marked=True, buckets=0, shortest=1, longest=1, letters=0)
    """
    if isinstance(config, TextEncoder):
        return Reading(tokens=config.max_tokens, marked=True)
    tokens = config.max_tokens if config.tokens else 0
    if not config.buckets:
        return Reading(tokens=tokens)
    return Reading(
        tokens=tokens,
        buckets=config.buckets,
        shortest=config.shortest,
        longest=config.longest,
        letters=config.max_letters,
    )


def ids_of(texts: Sequence[str], tokenizer: TextTokenizer | None, config: Bag | TextEncoder) -> Ragged:
    """The ids of texts, as a network of that configuration reads them: tokens, then runs of letters.

    Raises:
        ConfigError: it reads tokens, and there is no tokenizer.
    """
    return read_texts(texts, tokenizer, reading_of(config))
