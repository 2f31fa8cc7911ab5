"""A linear layer whose weight is stored in float16, and computed with in float32."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from shopstill.models.compact._part import LinearPart


class Half(LinearPart):
    """``x · weightᵀ + bias``: half as large on disk; a runtime widens it once, when it loads the graph.

    >>> Half(in_features=4, out_features=2).stored.dtype
    torch.float16
    """

    kind: ClassVar[str] = "half"
    stored: Tensor

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.register_buffer("stored", torch.zeros(out_features, in_features, dtype=torch.float16))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None) -> Half:
        """A dense layer."""
        part = cls(weight.shape[1], weight.shape[0], bias is not None)
        part.stored.copy_(weight.detach())
        if part.bias is not None and bias is not None:
            part.bias.data.copy_(bias)
        return part

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty."""
        return {"in_features": self.in_features, "out_features": self.out_features, "bias": self.bias is not None}

    @property
    def weight(self) -> Tensor:
        """The weight as it is computed with, float32 [out, in]."""
        return self.stored.float()


half = Half
