"""A linear layer whose weight is stored in 8 or 4 bits, and computed with in float32.

Shapes: ``O`` outputs, ``I`` inputs, ``G`` groups of inputs.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from shopstill.models.compact._grid import Grouped
from shopstill.models.compact._part import LinearPart


class Packed(LinearPart):
    """``x · (codes ∘ scale)ᵀ + bias``: small on disk; a runtime unpacks it once, when it loads the graph.

    Args:
        in_features: I.
        out_features: O.
        bias: whether a bias is added.
        bits: 8 or 4.
        group: inputs that share a scale; 0 for all of an output.

    >>> part = Packed(in_features=6, out_features=2, bits=4, group=4)
    >>> part.stored.codes.shape, part(torch.ones(3, 6)).shape
    (torch.Size([2, 3]), torch.Size([3, 2]))
    """

    kind: ClassVar[str] = "packed"

    def __init__(self, in_features: int, out_features: int, bias: bool = True, bits: int = 8, group: int = 0) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.stored = Grouped(out_features, in_features, bits, group)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    @classmethod
    def of(cls, weight_OI: Tensor, bias: Tensor | None, bits: int, group: int) -> Packed:
        """A dense layer."""
        part = cls(weight_OI.shape[1], weight_OI.shape[0], bias is not None, bits, group)
        part.stored.fill(weight_OI)
        if part.bias is not None and bias is not None:
            part.bias.data.copy_(bias)
        return part

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty."""
        shape = {"in_features": self.in_features, "out_features": self.out_features, "bias": self.bias is not None}
        return {**shape, "bits": self.stored.bits, "group": self.stored.group}

    @property
    def weight(self) -> Tensor:
        """The weight as it is computed with, float32 [O, I]."""
        return self.stored.whole()


packed = Packed
