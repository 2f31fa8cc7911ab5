"""A linear layer whose weights are values of a codebook."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from shopstill.models.compact._coded import Coded
from shopstill.models.compact._part import LinearPart


class Clustered(LinearPart):
    """``x · codebook[index]ᵀ + bias`` (Han et al. 2016, https://arxiv.org/abs/1510.00149).

    >>> Clustered(in_features=3, out_features=2, bits=4, bias=True)(torch.ones(1, 3))
    tensor([[0., 0.]], grad_fn=<AddmmBackward0>)
    """

    kind: ClassVar[str] = "clustered"

    def __init__(self, in_features: int, out_features: int, bits: int, bias: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.coded = Coded(out_features, in_features, bits)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty."""
        shape = {"in_features": self.in_features, "out_features": self.out_features}
        return {**shape, "bits": self.coded.bits, "bias": self.bias is not None}

    @property
    def weight(self) -> Tensor:
        """[out, in]."""
        return self.coded.whole()


clustered = Clustered
