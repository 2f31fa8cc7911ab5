"""A linear layer most of whose weights are zero: a bit a place, and the values that are left."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from shopstill.models.compact._bits import pack, unpack
from shopstill.models.compact._part import LinearPart


class Masked(LinearPart):
    """Stores and learns the values that are left alone; computes with the dense weight, so it saves no time.

    >>> Masked.of(torch.tensor([[0.0, 2.0]]), None).weight
    tensor([[0., 2.]], grad_fn=<WhereBackward0>)
    """

    kind: ClassVar[str] = "masked"
    mask: Tensor

    def __init__(self, in_features: int, out_features: int, kept: int, bias: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.values = nn.Parameter(torch.zeros(kept))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        self.register_buffer("mask", torch.zeros(out_features, -(-in_features // 8), dtype=torch.uint8))

    @staticmethod
    def of(weight: Tensor, bias: Tensor | None, mask: Tensor | None = None) -> Masked:
        """A weight [out, in] where a mask of its shape is set; the places that are not zero where none is given."""
        there = weight != 0 if mask is None else mask.bool()
        made = Masked(weight.shape[1], weight.shape[0], int(there.sum()), bias is not None)
        with torch.no_grad():
            made.mask.copy_(pack(there, bits=1))
            made.values.copy_(weight[there])
            if bias is not None and made.bias is not None:
                made.bias.copy_(bias)
        return made

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty."""
        shape = {"in_features": self.in_features, "out_features": self.out_features}
        return {**shape, "kept": len(self.values), "bias": self.bias is not None}

    @property
    def weight(self) -> Tensor:
        """[out, in], zero where nothing is kept."""
        there = unpack(self.mask, bits=1, columns=self.in_features)
        if not len(self.values):
            return there.to(self.values.dtype)
        place = (there.flatten().cumsum(0) - 1).clamp(min=0).view(there.shape)
        return torch.where(there.bool(), self.values[place], 0.0)


masked = Masked
