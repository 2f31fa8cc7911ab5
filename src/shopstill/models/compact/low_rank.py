"""A linear layer as the product of two narrow ones."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from shopstill.models.compact._part import LinearPart


class LowRank(LinearPart):
    """``widen(narrow(x))`` through ``rank`` numbers: ``rank · (in + out)`` weights instead of ``in · out``.

    Both are plain linear layers, which passes that come later may store or compute in other ways.

    >>> LowRank(in_features=4, out_features=6, rank=2, bias=True).weight.shape
    torch.Size([6, 4])
    """

    kind: ClassVar[str] = "low_rank"

    def __init__(self, in_features: int, out_features: int, rank: int, bias: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.rank, self._biased = rank, bias
        self.narrow = nn.Linear(in_features, rank, bias=False)
        self.widen = nn.Linear(rank, out_features, bias=bias)

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty."""
        shape = {"in_features": self.in_features, "out_features": self.out_features}
        return {**shape, "rank": self.rank, "bias": self._biased}

    @property
    def weight(self) -> Tensor:
        """[out, in]."""
        return self.widen.weight @ self.narrow.weight

    @property
    def bias(self) -> Tensor | None:  # type: ignore[override]  # it is the second layer's
        """[out], or None."""
        return self.widen.bias

    def forward(self, x: Tensor) -> Tensor:
        """Through the narrow middle: the dense weight is never made."""
        return self.widen(self.narrow(x))


low_rank = LowRank
