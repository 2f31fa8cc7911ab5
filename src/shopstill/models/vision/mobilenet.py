"""Networks of inverted residuals for phones.

Shapes: ``B`` pictures, ``C`` channels, ``H`` × ``W`` places.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from shopstill.models.vision.config import MobileNet
from shopstill.models.vision.layers import PIXELS, Body, Channels, ConvNorm, Inverted, Style, Widths, eighths


@dataclass(frozen=True)
class Stage:
    """Blocks of one size; the first of them strides.

    Attributes:
        expand: how many times wider the middle of a block is.
        channels: what a block writes.
        blocks: how many.
        stride: of the first.
        kernel: of the filters.
    """

    expand: int
    channels: int
    blocks: int
    stride: int
    kernel: int = 3


_STEM, _LAST = 32, 1280
_STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)
_SQUEEZED = 4


class MobileNetBody(Body):
    """A stem, inverted residuals, and a last convolution.

    >>> import torch
    >>> body = MobileNetBody(MobileNet(width=0.25, last=64), Widths())
    >>> {stride: tuple(found.shape[1:]) for stride, found in body(torch.zeros(1, 3, 80, 60)).items()}
    {2: (8, 40, 30), 4: (8, 20, 15), 8: (8, 10, 8), 16: (24, 5, 4), 32: (64, 3, 2)}
    """

    def __init__(self, config: MobileNet, widths: Widths) -> None:
        super().__init__()
        style = Style(activation=config.activation)
        self._first = 2 if config.stem == "image" else 1
        stem = widths("stem", eighths(_STEM * config.width))
        self.stem = ConvNorm(PIXELS, stem, style, 3, self._first)
        stages = [Stage(s.expand, eighths(s.channels * config.width), s.blocks, s.stride, s.kernel) for s in _STAGES]
        self.blocks, before = inverted(stages, stem, widths, style, config.squeeze)
        self.out = widths("last", config.last or max(_LAST, eighths(_LAST * config.width)))
        self.last = ConvNorm(before, self.out, style)

    def forward(self, x_BCHW: Tensor) -> dict[int, Tensor]:
        """The last map of each size."""
        return through(self.stem(x_BCHW), self._first, self.blocks, self.last)


def inverted(
    stages: Sequence[Stage], before: Channels, widths: Widths, style: Style, squeeze: bool = False
) -> tuple[nn.ModuleList, Channels]:
    """The blocks of all stages, and the channels that the last of them writes."""
    made = nn.ModuleList()
    for at, stage in enumerate(stages):
        writes = widths(f"stage{at}", stage.channels)
        for number in range(stage.blocks):
            usual = before.count if number == 0 else stage.channels
            middle = before if stage.expand == 1 else widths(f"stage{at}.{number}", stage.expand * usual)
            inner = widths(f"stage{at}.{number}.squeeze", eighths(middle.count / _SQUEEZED)) if squeeze else None
            stride = 1 if number else stage.stride
            made.append(Inverted((before, writes), middle, style, stage.kernel, stride, inner))
            before = writes
    return made, before


def through(x_BCHW: Tensor, stride: int, blocks: Iterable[nn.Module], last: nn.Module) -> dict[int, Tensor]:
    """What the last block of each size gives, by its stride; of the last size what ``last`` makes of it."""
    found: dict[int, Tensor] = {}
    for block in blocks:
        x_BCHW, rows = block(x_BCHW), x_BCHW.shape[2]
        stride *= 2 if x_BCHW.shape[2] < rows else 1
        found[stride] = x_BCHW
    found[stride] = last(x_BCHW)
    return found
