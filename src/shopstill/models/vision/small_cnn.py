"""A tiny network of pictures.

Shapes: ``B`` pictures, ``C`` channels, ``H`` × ``W`` places.
"""

from __future__ import annotations

from torch import Tensor, nn

from shopstill.models.vision.config import SmallCNN
from shopstill.models.vision.layers import PIXELS, Body, ConvNorm, Style, Widths


class SmallCNNBody(Body):
    """Convolutions one after the other, each of which halves the picture.

    >>> import torch
    >>> [found.shape[1] for found in SmallCNNBody(SmallCNN(), Widths())(torch.zeros(1, 3, 80, 60)).values()]
    [16, 32, 64, 96]
    """

    def __init__(self, config: SmallCNN, widths: Widths) -> None:
        super().__init__()
        style, before = Style(), PIXELS
        self.layers = nn.ModuleList()
        for at, count in enumerate(config.channels):
            writes = widths(f"layer{at}", count)
            self.layers.append(ConvNorm(before, writes, style, 3, 2))
            before = writes
        self.out = before

    def forward(self, x_BCHW: Tensor) -> dict[int, Tensor]:
        """The map of each convolution."""
        found = {}
        for at, layer in enumerate(self.layers):
            x_BCHW = layer(x_BCHW)
            found[2 ** (at + 1)] = x_BCHW
        return found
