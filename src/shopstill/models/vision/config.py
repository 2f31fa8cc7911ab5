"""What a network of pictures may be: its family, its size, and where it starts from.

Pictures are read at whatever size they have; all of a batch have one. ``start`` is ``"teacher"`` for the picture
network of the recipe's teacher, the folder of a model whose picture network is of the same sizes, or null for random
weights.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import ConfigError

Width = Annotated[float, Field(gt=0, le=4)]
"""Factor of all numbers of channels, which are rounded to multiples of 8."""

Dropout = Annotated[float, Field(ge=0, lt=1)]
"""Part of the pooled features that training drops before the head."""

PUBLISHED = {"lite0": "efficientnet-lite0", "lite2": "efficientnet-lite2"}
"""Variant → the name of its weights."""

Stem = Literal["image", "small"]
"""``image`` halves the picture twice before the first stage, as is usual at 224 pixels; ``small`` once."""


@config
class ResNet:
    """A residual network: basic blocks at depth 18 and 34, bottlenecks at 50 (He et al. 2016, arXiv:1512.03385).

    A bottleneck halves the picture in its middle convolution, which the field calls version 1.5.
    """

    kind: Literal["resnet"] = "resnet"
    depth: Literal[18, 34, 50] = 18
    width: Width = 1.0
    stem: Stem = "image"
    dropout: Dropout = 0.0
    start: str | None = None


@config
class MobileNet:
    """Inverted residuals, as in MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381).

    ``squeeze`` weighs the channels of each block by what the whole picture shows, and ``activation: hard_swish`` bends
    instead of cutting off, both as in MobileNetV3 (Howard et al. 2019, arXiv:1905.02244). ``last`` channels are pooled:
    null for 1280 times the width, 1280 at least.
    """

    kind: Literal["mobilenet"] = "mobilenet"
    width: Width = 1.0
    last: int | None = Field(default=None, ge=8)
    stem: Stem = "image"
    squeeze: bool = False
    activation: Literal["relu6", "hard_swish"] = "relu6"
    dropout: Dropout = 0.2
    start: str | None = None


@config
class EfficientNetLite:
    """EfficientNet-Lite 0 or 2, of which weights trained on ImageNet are to be had.

    No squeezing, ReLU6, and padding as TensorFlow does it (Liu 2020, https://blog.tensorflow.org/2020/03/
    higher-accuracy-on-vision-models-with-efficientnet-lite.html; Tan and Le 2019, arXiv:1905.11946). ``start`` may also
    be ``efficientnet-lite0`` or ``efficientnet-lite2``, or a ``.pth`` file of these. The weights know pictures of about
    224 pixels: inside the network they are made ``scale`` times as wide and high. Of its seven stages the first
    ``stages`` are kept: those behind them see a small picture at a few places, and hold most of the weights. ``last``
    channels are pooled. Where the start has more stages, or other ``last`` channels, the rest of it is taken.
    """

    kind: Literal["efficientnet_lite"] = "efficientnet_lite"
    variant: Literal["lite0", "lite2"] = "lite0"
    scale: float = Field(default=1.0, ge=0.125, le=8)
    stages: int = Field(default=7, ge=2, le=7)
    last: int = Field(default=1280, ge=8)
    dropout: Dropout = 0.2
    start: str | None = "efficientnet-lite0"

    def __post_init__(self) -> None:
        if self.start in PUBLISHED.values() and self.start != PUBLISHED[self.variant]:
            raise ConfigError(f"start {self.start!r}: it is no {self.variant}; use {PUBLISHED[self.variant]!r}")


@config
class SmallCNN:
    """A few convolutions, each of which halves the picture: as many channels as ``channels`` says."""

    kind: Literal["small_cnn"] = "small_cnn"
    channels: tuple[Annotated[int, Field(ge=4)], ...] = Field(default=(16, 32, 64, 96), min_length=1, max_length=6)
    dropout: Dropout = 0.1
    start: str | None = None


Vision = Annotated[ResNet | MobileNet | EfficientNetLite | SmallCNN, Field(discriminator="kind")]
"""Configuration of a network that reads pictures."""

Picture = ResNet | MobileNet | EfficientNetLite | SmallCNN
