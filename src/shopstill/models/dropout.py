"""Dropout whose mask costs a processor less than half of torch's: a 64-bit draw serves four elements."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEVELS = 1 << 16


class Dropout(nn.Dropout):
    """``torch.nn.Dropout`` with a rate that is rounded to 1/65536 where it runs on a processor."""

    def forward(self, x: Tensor) -> Tensor:
        """Each element, while training, is 0 with probability ``p`` and else ``x / (1 - p)``."""
        if not self.training or self.p == 0:
            return x
        return x * mask(x, self.p) if x.device.type == "cpu" else F.dropout(x, self.p)


def mask(x: Tensor, rate: float) -> Tensor:
    """0 with probability ``rate``, else ``1 / (1 - rate)``: of the shape and type of ``x``, drawn from torch's seed.

    >>> sorted(mask(torch.ones(1000), 0.5).unique().tolist())
    [0.0, 2.0]
    """
    draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    drawn = draws.view(torch.int16)[: x.numel()].view(x.shape)
    kept = drawn >= round(rate * _LEVELS) - _LEVELS // 2
    return kept.to(x.dtype).mul_(1 / (1 - rate))
