"""A linear layer computed in int8, whose grid of activations is found as it runs: nothing is calibrated.

Shapes: ``O`` outputs, ``I`` inputs, ``R`` rows of all that the layer reads at once.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from shopstill.models.compact._grid import LEAST, MOST, codes_of, on_grid
from shopstill.models.compact._part import LinearPart

_MIDDLE, _SIDE = 128.0, 127.0
_TINY = 1e-12


class Int8Dynamic(LinearPart):
    """``step · scale ∘ ((codes(x) − zero) · codes_IO) + bias``, with the step of each row, or one of all rows.

    With ``rows`` each row has a grid of its own, and its result depends on no other; without, the grid spans whatever
    happens to be computed together, so that a score changes with its company.

    Args:
        in_features: I.
        out_features: O.
        bias: whether a bias is added.
        rows: a grid for each row.
    """

    kind: ClassVar[str] = "int8_dynamic"
    codes_IO: Tensor
    scale_O: Tensor

    def __init__(self, in_features: int, out_features: int, bias: bool = True, rows: bool = False) -> None:
        super().__init__()
        self.in_features, self.out_features, self.rows = in_features, out_features, rows
        self.batch_invariant = rows
        self.register_buffer("codes_IO", torch.zeros(in_features, out_features, dtype=torch.int8))
        self.register_buffer("scale_O", torch.ones(out_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    @classmethod
    def of(cls, weight_OI: Tensor, bias: Tensor | None, rows: bool = False) -> Int8Dynamic:
        """A dense layer."""
        part = cls(weight_OI.shape[1], weight_OI.shape[0], bias is not None, rows)
        part.codes_IO, part.scale_O = codes_of(weight_OI)
        with torch.no_grad():
            if part.bias is not None and bias is not None:
                part.bias.copy_(bias)
        return part

    @property
    def sizes(self) -> dict[str, Any]:
        """Inputs, outputs, whether there is a bias, and whether each row has its own grid."""
        bias = self.bias is not None
        return {"in_features": self.in_features, "out_features": self.out_features, "bias": bias, "rows": self.rows}

    @property
    def weight(self) -> Tensor:
        """The weight as it is computed with, float32 [O, I]."""
        return (self.codes_IO.float() * self.scale_O).T

    def forward(self, x: Tensor) -> Tensor:
        """[…, I] to […, O]."""
        if torch.onnx.is_in_onnx_export():
            y = self._rows_graph(x) if self.rows else self._graph(x)
        else:
            step, zero = _row_grid(x) if self.rows else _grid(x)
            # Whole numbers add up exactly in float32 too, to 2^24, in whatever order a batch of this size is added up.
            y = on_grid(x, step, zero) @ self.codes_IO.float() * self.scale_O * step
        return y if self.bias is None else y + self.bias

    def _graph(self, x: Tensor) -> Tensor:
        codes, step, zero = torch.onnx.ops.symbolic_multi_out(
            "DynamicQuantizeLinear", (x,), dtypes=(torch.uint8, x.dtype, torch.uint8), shapes=(x.shape, (), ())
        )
        whole = torch.onnx.ops.symbolic(
            "MatMulInteger",
            (codes, self.codes_IO, zero, torch.tensor(0, dtype=torch.int8)),
            dtype=torch.int32,
            shape=(*x.shape[:-1], self.out_features),
        )
        return whole.to(x.dtype) * (step * self.scale_O)

    def _rows_graph(self, x: Tensor) -> Tensor:
        node = torch.onnx.ops.symbolic
        step, zero = _row_grid(x)
        grid = (torch.tensor(1.0), zero.to(torch.uint8))
        codes = node("QuantizeLinear", (x / step, *grid), dtype=torch.uint8, shape=x.shape)
        whole = node("DequantizeLinear", (codes, *grid), dtype=x.dtype, shape=x.shape)
        weight = (self.codes_IO, self.scale_O)
        weight_IO = node("DequantizeLinear", weight, {"axis": 1}, dtype=x.dtype, shape=self.codes_IO.shape)
        return (whole @ weight_IO) * step


def _grid(x: Tensor) -> tuple[Tensor, Tensor]:
    """Step and zero point as ``DynamicQuantizeLinear`` finds them, for all of ``x``."""
    low, high = x.detach().amin().clamp(max=0), x.detach().amax().clamp(min=0)
    step = (high - low) / (MOST - LEAST)
    step = torch.where(step == 0, torch.ones_like(step), step)
    return step, (-low / step).round().clamp(LEAST, MOST)


def _row_grid(x: Tensor) -> tuple[Tensor, Tensor]:
    """The step [..., 1] of each row, and the zero point of all."""
    return (x.detach().abs().amax(-1, keepdim=True) / _SIDE).clamp(min=_TINY), torch.tensor(_MIDDLE)


int8_dynamic = Int8Dynamic
