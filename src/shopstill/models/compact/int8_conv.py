"""A convolution computed in int8, from uint8 to uint8: its norm is folded in, and its ReLU is where the grid ends.

Shapes: ``B`` pictures, ``C`` channels read, ``O`` channels written, ``H`` × ``W`` places, ``k`` the filter's sides.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.models.compact._grid import WEIGHT, on_grid
from shopstill.models.compact._part import Part

Grid = tuple[float, int]
"""Step and zero point of uint8 codes."""

_BIAS = 1 << 22
"""The most steps of a sum that a bias takes: with what is multiplied, float32 still adds whole numbers exactly."""

_TINY = 1e-12


class Int8Conv(Part):
    """``step' · clamp(round(step · scale ∘ (codes(x) − zero) ∗ codes + bias) / step') + zero', 0, 255) − zero')``.

    Weights have a scale for each output, activations one grid each, fixed ahead. PyTorch computes the same in float32;
    the exported graph holds it between ``QuantizeLinear`` and ``DequantizeLinear``, which ONNX Runtime makes one
    ``QLinearConv``, and of several in a row nothing but these.

    Args:
        reads: C.
        writes: O.
        kernel: k.
        stride: of the filter.
        padding: on each side, of what stands for 0.
        groups: 1, or C where each channel is filtered alone.
    """

    kind: ClassVar[str] = "int8_conv"
    codes: Tensor
    scale_O: Tensor
    bias_O: Tensor
    step: Tensor
    zero: Tensor
    out_step: Tensor
    out_zero: Tensor

    def __init__(
        self, reads: int, writes: int, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> None:
        super().__init__()
        self.reads, self.writes, self.kernel = reads, writes, kernel
        self.stride, self.padding, self.groups = stride, padding, groups
        self.register_buffer("codes", torch.zeros(writes, reads // groups, kernel, kernel, dtype=torch.int8))
        self.register_buffer("scale_O", torch.ones(writes))
        self.register_buffer("bias_O", torch.zeros(writes, dtype=torch.int32))
        for name in ("step", "out_step"):
            self.register_buffer(name, torch.tensor(1.0))
        for name in ("zero", "out_zero"):
            self.register_buffer(name, torch.tensor(0, dtype=torch.uint8))

    @classmethod
    @torch.no_grad()
    def of(cls, conv: nn.Conv2d, norm: nn.BatchNorm2d, grid: Grid, out: Grid) -> Int8Conv:
        """A convolution with its norm, whose inputs and outputs lie on these grids; what lies beyond is cut off."""
        part = cls(
            conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.stride[0], int(conv.padding[0]), conv.groups
        )
        weight, bias_O = folded(conv, norm)
        step = torch.tensor(grid[0])
        scale_O = torch.maximum(weight.abs().flatten(1).amax(1) / WEIGHT, bias_O.abs() / (step * _BIAS)).clamp(_TINY)
        part.scale_O.copy_(scale_O)
        part.codes.copy_((weight / scale_O[:, None, None, None]).round())
        part.bias_O.copy_((bias_O / (step * scale_O)).round())
        for own, value in zip(("step", "zero", "out_step", "out_zero"), (*grid, *out), strict=True):
            getattr(part, own).fill_(value)
        return part

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty."""
        names = ("reads", "writes", "kernel", "stride", "padding", "groups")
        return {name: getattr(self, name) for name in names}

    @property
    def weight(self) -> Tensor:
        """The weight as it is computed with, float32 [O, C / groups, k, k]."""
        return self.codes.float() * self.scale_O[:, None, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, O, ·, ·]."""
        if torch.onnx.is_in_onnx_export():
            return self._graph(x)
        # Whole numbers add up exactly in float32 too, to 2^24, in whatever order a batch of this size is added up.
        whole = self._filtered(on_grid(x, self.step, self.zero.float()), self.codes.float(), self.bias_O.float())
        y = whole * (self.step * self.scale_O)[:, None, None]
        return on_grid(y, self.out_step, self.out_zero.float()) * self.out_step

    def _filtered(self, x: Tensor, weight: Tensor, bias_O: Tensor) -> Tensor:
        return F.conv2d(x, weight, bias_O, self.stride, self.padding, groups=self.groups)

    def _graph(self, x: Tensor) -> Tensor:
        near = _through(x, self.step, self.zero)
        weight = _from_codes(self.codes, self.scale_O, torch.zeros_like(self.codes[:, 0, 0, 0]))
        bias_O = _from_codes(self.bias_O, self.step * self.scale_O, torch.zeros_like(self.bias_O))
        return _through(self._filtered(near, weight, bias_O), self.out_step, self.out_zero)


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what one without a bias and the norm behind it do together."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale_O = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return conv.weight * scale_O[:, None, None, None], norm.bias - norm.running_mean * scale_O


def _through(x: Tensor, step: Tensor, zero: Tensor) -> Tensor:
    """To codes and back."""
    node = torch.onnx.ops.symbolic
    codes = node("QuantizeLinear", (x, step, zero), dtype=torch.uint8, shape=x.shape)
    found: Tensor = node("DequantizeLinear", (codes, step, zero), dtype=x.dtype, shape=x.shape)
    return found


def _from_codes(codes: Tensor, scale_O: Tensor, zero_O: Tensor) -> Tensor:
    """Whole numbers with a scale for each output, as numbers."""
    node = torch.onnx.ops.symbolic
    found: Tensor = node(
        "DequantizeLinear", (codes, scale_O, zero_O), {"axis": 0}, dtype=torch.float32, shape=codes.shape
    )
    return found


int8_conv = Int8Conv
