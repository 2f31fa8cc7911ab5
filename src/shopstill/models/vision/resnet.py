"""Residual networks.

Shapes: ``B`` pictures, ``C`` channels, ``H`` × ``W`` places.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.models.vision.config import ResNet
from shopstill.models.vision.layers import PIXELS, Body, Channels, ConvNorm, Style, Widths, eighths

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
_STEM, _WIDER = 64, 4


class ResNetBody(Body):
    """A stem and four stages; what the blocks of a stage add to has one name.

    >>> import torch
    >>> body = ResNetBody(ResNet(width=0.125), Widths())
    >>> [tuple(found.shape[2:]) for found in body(torch.zeros(1, 3, 80, 60)).values()]
    [(20, 15), (10, 8), (5, 4), (3, 2)]
    """

    def __init__(self, config: ResNet, widths: Widths) -> None:
        super().__init__()
        style = Style()
        self._pools = config.stem == "image"
        stem = widths("stem", eighths(_STEM * config.width))
        self.stem = ConvNorm(PIXELS, stem, style, 7 if self._pools else 3, 2)
        self.stages = nn.ModuleList()
        before = stem
        for at, blocks in enumerate(_BLOCKS[config.depth]):
            inner = eighths(_STEM * 2**at * config.width)
            # The first basic blocks add to what the stem gives; every other stage has channels of its own.
            own = at > 0 or config.depth == 50
            writes = widths(f"stage{at}", inner * (_WIDER if config.depth == 50 else 1)) if own else stem
            made = nn.Sequential()
            for number in range(blocks):
                block = _Bottleneck if config.depth == 50 else _Basic
                stride = 2 if at and not number else 1
                made.append(block((before, writes), f"stage{at}.{number}", inner, widths, style, stride))
                before = writes
            self.stages.append(made)
        self.out = before

    def forward(self, x_BCHW: Tensor) -> dict[int, Tensor]:
        """Maps of the four stages."""
        x_BCHW, stride = self.stem(x_BCHW), 2
        if self._pools:
            x_BCHW, stride = F.max_pool2d(x_BCHW, 3, 2, 1), 4
        found = {}
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
            found[stride] = x_BCHW
            stride *= 2
        return found


class _Residual(nn.Module):
    """``relu(shortcut(x) + block(x))``; the shortcut is a convolution where the channels become others."""

    def __init__(self, ends: tuple[Channels, Channels], block: nn.Sequential, style: Style, stride: int) -> None:
        super().__init__()
        reads, writes = ends
        self.block = block
        changes = reads.name != writes.name
        self.shortcut = ConvNorm(reads, writes, style, 1, stride, linear=True) if changes else nn.Identity()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return F.relu(self.shortcut(x_BCHW) + self.block(x_BCHW))


class _Basic(_Residual):
    def __init__(
        self, ends: tuple[Channels, Channels], name: str, inner: int, widths: Widths, style: Style, stride: int
    ) -> None:
        reads, writes = ends
        middle = widths(f"{name}.a", inner)
        first = ConvNorm(reads, middle, style, 3, stride)
        super().__init__(ends, nn.Sequential(first, ConvNorm(middle, writes, style, 3, linear=True)), style, stride)


class _Bottleneck(_Residual):
    def __init__(
        self, ends: tuple[Channels, Channels], name: str, inner: int, widths: Widths, style: Style, stride: int
    ) -> None:
        reads, writes = ends
        narrow, middle = widths(f"{name}.a", inner), widths(f"{name}.b", inner)
        block = nn.Sequential(
            ConvNorm(reads, narrow, style),
            ConvNorm(narrow, middle, style, 3, stride),
            ConvNorm(middle, writes, style, linear=True),
        )
        super().__init__(ends, block, style, stride)
