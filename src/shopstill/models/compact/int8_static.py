"""A linear layer computed in int8, whose grid of activations is fixed ahead: a row's result depends on no other row.

Shapes: ``O`` outputs, ``I`` inputs.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from shopstill.models.compact._grid import codes_of, on_grid
from shopstill.models.compact._part import LinearPart


class Int8Static(LinearPart):
    """``step · scale ∘ ((codes(x) − zero) · codes_IO) + bias`` with uint8 codes of ``x`` and int8 codes of the weight.

    PyTorch computes the same in float32; the exported graph holds the int8 weight between ``QuantizeLinear`` and
    ``DequantizeLinear``, where ONNX Runtime multiplies integers (``MatMulIntegerToFloat``).

    Args:
        in_features: I.
        out_features: O.
        bias: whether a bias is added.
    """

    kind: ClassVar[str] = "int8_static"
    codes_IO: Tensor
    scale_O: Tensor
    step: Tensor
    zero: Tensor

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.register_buffer("codes_IO", torch.zeros(in_features, out_features, dtype=torch.int8))
        self.register_buffer("scale_O", torch.ones(out_features))
        self.register_buffer("step", torch.tensor(1.0))
        self.register_buffer("zero", torch.tensor(0, dtype=torch.uint8))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    @classmethod
    def of(cls, weight_OI: Tensor, bias: Tensor | None, step: float, zero: int) -> Int8Static:
        """A dense layer whose inputs lie on the grid ``(code − zero) · step``; what lies beyond is cut off."""
        part = cls(weight_OI.shape[1], weight_OI.shape[0], bias is not None)
        part.codes_IO, part.scale_O = codes_of(weight_OI)
        with torch.no_grad():
            part.step.fill_(step)
            part.zero.fill_(zero)
            if part.bias is not None and bias is not None:
                part.bias.copy_(bias)
        return part

    @property
    def sizes(self) -> dict[str, Any]:
        """Inputs, outputs and whether there is a bias."""
        return {"in_features": self.in_features, "out_features": self.out_features, "bias": self.bias is not None}

    @property
    def weight(self) -> Tensor:
        """The weight as it is computed with, float32 [O, I]."""
        return (self.codes_IO.float() * self.scale_O).T

    def forward(self, x: Tensor) -> Tensor:
        """[…, I] to […, O]."""
        if torch.onnx.is_in_onnx_export():
            return self._graph(x)
        # Whole numbers add up exactly in float32 too, to 2^24, in whatever order a batch of this size is added up.
        whole = on_grid(x, self.step, self.zero.float()) @ self.codes_IO.float()
        y = whole * (self.step * self.scale_O)
        return y if self.bias is None else y + self.bias

    def _graph(self, x: Tensor) -> Tensor:
        node = torch.onnx.ops.symbolic
        codes = node("QuantizeLinear", (x, self.step, self.zero), dtype=torch.uint8, shape=x.shape)
        near = node("DequantizeLinear", (codes, self.step, self.zero), dtype=x.dtype, shape=x.shape)
        weight_IO = node(
            "DequantizeLinear",
            (self.codes_IO, self.scale_O),
            {"axis": 1},
            dtype=x.dtype,
            shape=self.codes_IO.shape,
        )
        y = near @ weight_IO
        return y if self.bias is None else y + self.bias


int8_static = Int8Static
