"""A token table stored in 8 or 4 bits, of which only the rows that are asked for are unpacked."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from shopstill.models.compact._grid import Grouped
from shopstill.models.compact._part import TablePart


class PackedTable(TablePart):
    """``codes[ids] ∘ scale[ids]``, with a scale for each row, or for each group of its numbers.

    Args:
        num_embeddings: rows.
        embedding_dim: numbers a row.
        bits: 8 or 4.
        group: numbers of a row that share a scale; 0 for all.

    >>> import torch
    >>> PackedTable(num_embeddings=5, embedding_dim=4, bits=4)(torch.tensor([[1, 2]])).shape
    torch.Size([1, 2, 4])
    """

    kind: ClassVar[str] = "packed_table"

    def __init__(self, num_embeddings: int, embedding_dim: int, bits: int = 8, group: int = 0) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.stored = Grouped(num_embeddings, embedding_dim, bits, group)

    @classmethod
    def of(cls, weight: Tensor, bits: int, group: int) -> PackedTable:
        """A dense table."""
        part = cls(weight.shape[0], weight.shape[1], bits, group)
        part.stored.fill(weight)
        return part

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty."""
        shape = {"num_embeddings": self.num_embeddings, "embedding_dim": self.embedding_dim}
        return {**shape, "bits": self.stored.bits, "group": self.stored.group}

    @property
    def weight(self) -> Tensor:
        """All rows, float32."""
        return self.stored.whole()

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of some ids [..., embedding_dim]."""
        return self.stored.some(ids)


packed_table = PackedTable
