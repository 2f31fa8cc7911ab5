"""A training set whose pictures are never quite the same twice.

Shapes: ``B`` rows of a batch, ``H`` × ``W`` pixels, ``K`` classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.types import Batch, Signals

_PICTURE, _TEXT = "image_BHWC", "ids_S"
_FADED = 1e-8


class Examples(Protocol):
    """A training set that holds what a teacher said of each row of a feed."""

    @property
    def group_N(self) -> np.ndarray: ...

    @property
    def feed(self) -> Any: ...

    def saying(self, logit_N: np.ndarray) -> Examples: ...

    def batch(self, rows: np.ndarray) -> Batch: ...


@config
class Augment:
    """What is done to pictures in training.

    Half of them are turned left to right with ``flip``. Each moves by up to ``shift`` pixels a side, its edge repeated.
    With ``mixup`` α above 0 every row is mixed with another of its batch in parts λ and 1 − λ, λ drawn from
    Beta(α, α): its pixels, its class, and the probabilities that the teacher gives it (Zhang et al. 2018,
    arXiv:1710.09412; with a teacher's as in Beyer et al. 2022, arXiv:2106.05237, who ask it about the mixture instead).
    """

    flip: bool = True
    shift: int = Field(default=4, ge=0)
    mixup: float = Field(default=0.0, ge=0)


@dataclass(frozen=True, kw_only=True)
class Augmented:
    """A training set of pictures, changed anew in every batch by torch's seed, which ``fit`` sets at each step.

    Attributes:
        examples: the rows as they are.
        augment: what is done to them.
        classes: K, for mixing.
    """

    examples: Examples
    augment: Augment
    classes: int

    @property
    def group_N(self) -> np.ndarray:
        """Group of each row."""
        return self.examples.group_N

    @property
    def feed(self) -> Any:
        """The rows as they are: a teacher is asked about these."""
        return self.examples.feed

    def saying(self, logit_N: np.ndarray) -> Augmented:
        """The same rows with other logits of a teacher, and no features of it."""
        return replace(self, examples=self.examples.saying(logit_N))

    def batch(self, rows: np.ndarray) -> Batch:
        """Some rows, changed.

        Raises:
            ConfigError: they have no pictures, or texts that would have to be mixed.
        """
        batch = self.examples.batch(rows)
        if _PICTURE not in batch.inputs:
            raise ConfigError("augment: these rows have no pictures; leave it out for a model that reads texts alone")
        image = batch.inputs[_PICTURE]
        image = _flipped(image) if self.augment.flip else image
        image = _shifted(image, self.augment.shift) if self.augment.shift else image
        batch = replace(batch, inputs={**batch.inputs, _PICTURE: image})
        return _mixed(batch, self.augment.mixup, self.classes) if self.augment.mixup else batch


def _flipped(image_BHWC: Tensor) -> Tensor:
    turned_B = torch.rand(len(image_BHWC)) < 0.5
    return torch.where(turned_B[:, None, None, None], image_BHWC.flip(2), image_BHWC)


def _shifted(image_BHWC: Tensor, most: int) -> Tensor:
    rows, height, width = image_BHWC.shape[:3]
    y_B, x_B = torch.randint(-most, most + 1, (2, rows))
    y_BH = (torch.arange(height) + y_B[:, None]).clamp(0, height - 1)
    x_BW = (torch.arange(width) + x_B[:, None]).clamp(0, width - 1)
    return image_BHWC[torch.arange(rows)[:, None, None], y_BH[:, :, None], x_BW[:, None, :]]


def _mixed(batch: Batch, alpha: float, classes: int) -> Batch:
    """Every row with the one at its place in a random order; a mixture with an unjudged row is unjudged (NaN)."""
    if _TEXT in batch.inputs:
        raise ConfigError("augment: mixup mixes pixels, and there is no mean of two texts; set mixup: 0")
    image = batch.inputs[_PICTURE]
    other_B = torch.randperm(len(image))
    share_B = torch.distributions.Beta(alpha, alpha).sample((len(image),))
    # The larger part names the row, so that it is more its own than the other's.
    share_B = torch.maximum(share_B, 1 - share_B)

    def mix(value: Tensor) -> Tensor:
        part = share_B.view(-1, *[1] * (value.dim() - 1))
        return part * value.float() + (1 - part) * value[other_B].float()

    teacher = batch.teacher
    if teacher is not None:
        likely_BK = mix(teacher.logits.softmax(-1)).clamp(min=_FADED)
        features = {name: mix(value) for name, value in teacher.features.items()}
        teacher = Signals(logits=likely_BK.log(), features=features)
    return replace(
        batch,
        inputs={**batch.inputs, _PICTURE: mix(image)},
        target=mix(_shares(batch.target, classes)),
        teacher=teacher,
    )


def _shares(target_B: Tensor, classes: int) -> Tensor:
    """[B, K] one for the class of a row; NaN where nobody judged it."""
    if target_B.dim() == 2:
        return target_B
    class_B = target_B.long()
    shares = F.one_hot(class_B.clamp(min=0), classes).float()
    return shares.masked_fill((class_B < 0)[:, None], torch.nan)
