"""A token table stored in float16, of which only the rows that are asked for are widened."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from shopstill.models.compact._part import TablePart


class HalfTable(TablePart):
    """``stored[ids]`` as float32.

    >>> HalfTable(num_embeddings=5, embedding_dim=4)(torch.tensor([1, 2])).dtype
    torch.float32
    """

    kind: ClassVar[str] = "half_table"
    stored: Tensor

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.register_buffer("stored", torch.zeros(num_embeddings, embedding_dim, dtype=torch.float16))

    @classmethod
    def of(cls, weight: Tensor) -> HalfTable:
        """A dense table."""
        part = cls(weight.shape[0], weight.shape[1])
        part.stored.copy_(weight.detach())
        return part

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty."""
        return {"num_embeddings": self.num_embeddings, "embedding_dim": self.embedding_dim}

    @property
    def weight(self) -> Tensor:
        """All rows, float32."""
        return self.stored.float()

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of some ids [..., embedding_dim]."""
        return self.stored[ids].float()


half_table = HalfTable
