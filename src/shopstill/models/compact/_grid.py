"""Grids of whole numbers that weights and activations are rounded to.

Shapes: ``O`` outputs, ``I`` inputs, ``R`` rows of a matrix, ``C`` its columns or a group's, ``G`` groups of columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.models.compact._bits import pack, unpack

LEAST, MOST = 0, 255
"""Codes of an activation, uint8."""

WEIGHT = 64
"""Largest code of a weight that is multiplied as int8. A chip without VNNI adds two products of uint8 and int8 in 16
bits, which hold 2 · 255 · 64 = 32,640: with all 8 bits of a weight, sums would be cut off there and not elsewhere, and
a model would score differently from chip to chip."""

_TINY = 1e-12
_LEAST_SCALE = 2.0**-14
"""The least number that float16 has at its full precision."""
_SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)


def rounded(x: Tensor) -> Tensor:
    """The nearest whole numbers, ties to even; the gradient goes straight through (Bengio et al. 2013,
    https://arxiv.org/abs/1308.3432)."""
    return x + (x.round() - x).detach() if x.requires_grad else x.round()


def on_grid(x: Tensor, step: Tensor, zero: Tensor) -> Tensor:
    """Activations as whole numbers of steps: ``clamp(round(x / step) + zero, 0, 255) − zero``.

    >>> on_grid(torch.tensor([-0.2, 0.26, 90.0]), torch.tensor(0.1), torch.tensor(1.0))
    tensor([ -1.,   3., 254.])
    """
    return (rounded(x / step) + zero).clamp(LEAST, MOST) - zero


def grid_of(low: float, high: float) -> tuple[float, int]:
    """Step and zero point of the uint8 grid from ``low`` to ``high``, which holds 0 exactly.

    >>> grid_of(-1.0, 254.0)
    (1.0, 1)
    """
    low, high = min(low, 0.0), max(high, 0.0)
    step = max((high - low) / (MOST - LEAST), _TINY)
    return step, round(-low / step)


def codes_of(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """Codes int8 [I, O] within ±``WEIGHT``, as they are multiplied, and the scale [O] of each output.

    >>> codes, scale = codes_of(torch.tensor([[0.5, -1.0]]))
    >>> codes.tolist(), scale.tolist()
    ([[32], [-64]], [0.015625])
    """
    weight_OI = weight_OI.detach()
    scale_O = (weight_OI.abs().amax(1) / WEIGHT).clamp(min=_TINY)
    codes_OI = (weight_OI / scale_O.unsqueeze(1)).round().to(torch.int8)
    return codes_OI.T.contiguous(), scale_O


class Grouped(nn.Module):
    """A matrix in few bits: ``codes ∘ scale``, whole numbers within ±(2^(bits − 1) − 1) and a scale for each group.

    Args:
        rows: R.
        columns: C.
        bits: of a code: 8 or 4.
        group: columns that share a scale; 0 for all of a row.
    """

    codes: Tensor
    scale: Tensor

    def __init__(self, rows: int, columns: int, bits: int, group: int) -> None:
        super().__init__()
        self.columns, self.bits, self.group = columns, bits, group
        groups = -(-columns // group) if group else 1
        self.register_buffer("codes", torch.zeros(rows, -(-columns * bits // 8), dtype=torch.uint8))
        self.register_buffer("scale", torch.zeros(rows, groups, dtype=torch.float16))

    @property
    def _top(self) -> int:
        return (1 << (self.bits - 1)) - 1

    def fill(self, weight_RC: Tensor) -> None:
        """Take a dense matrix; each group's scale is the one, of a few, with the least error."""
        apart_RGC = self._grouped(weight_RC.detach().float())
        self.scale.copy_(_best_scale(apart_RGC, self._top))
        codes = _nearest(apart_RGC, self.scale.float().unsqueeze(-1), self._top) + self._top
        self.codes.copy_(pack(codes.flatten(1)[:, : self.columns].to(torch.int32), self.bits))

    def whole(self) -> Tensor:
        """The matrix, float32 [R, C]."""
        return self._values(self.codes, self.scale)

    def some(self, rows: Tensor) -> Tensor:
        """Some rows, float32 [..., C]."""
        return self._values(self.codes[rows], self.scale[rows])

    def _values(self, packed: Tensor, scale: Tensor) -> Tensor:
        codes = (unpack(packed, self.bits, self.columns) - self._top).float()
        if scale.shape[-1] == 1:
            return codes * scale.float()
        return (self._grouped(codes) * scale.float().unsqueeze(-1)).flatten(-2)[..., : self.columns]

    def _grouped(self, matrix: Tensor) -> Tensor:
        """[..., G, columns of a group]; the last group is filled up with zeros."""
        size = self.group or max(self.columns, 1)
        return F.pad(matrix, (0, -self.columns % size)).unflatten(-1, (-1, size))


def _best_scale(apart_RGC: Tensor, top: int) -> Tensor:
    """[R, G] in float16, as it is stored: a smaller scale cuts the largest values off, and is finer for all others."""
    widest = (apart_RGC.abs().amax(-1) / top).clamp(min=_LEAST_SCALE)
    best, least = widest.half(), torch.full_like(widest, torch.inf)
    for share in _SHARES:
        scale = (widest * share).clamp(min=_LEAST_SCALE).half()
        wide = scale.float().unsqueeze(-1)
        error = (_nearest(apart_RGC, wide, top) * wide - apart_RGC).square().sum(-1)
        best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    return best


def _nearest(apart: Tensor, scale: Tensor, top: int) -> Tensor:
    return (apart / scale).round().clamp(-top, top)
