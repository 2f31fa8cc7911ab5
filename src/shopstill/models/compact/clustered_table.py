"""A token table whose values are those of a codebook."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from shopstill.models.compact._coded import Coded
from shopstill.models.compact._part import TablePart


class ClusteredTable(TablePart):
    """``codebook[index[ids]]``; only the rows that are asked for are unpacked.

    >>> import torch
    >>> ClusteredTable(num_embeddings=5, embedding_dim=3, bits=4)(torch.tensor([1, 2])).shape
    torch.Size([2, 3])
    """

    kind: ClassVar[str] = "clustered_table"

    def __init__(self, num_embeddings: int, embedding_dim: int, bits: int) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.coded = Coded(num_embeddings, embedding_dim, bits)

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty."""
        return {
            "num_embeddings": self.num_embeddings,
            "embedding_dim": self.embedding_dim,
            "bits": self.coded.bits,
        }

    @property
    def weight(self) -> Tensor:
        """[num_embeddings, embedding_dim]."""
        return self.coded.whole()

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of some ids."""
        return self.coded.some(ids)


clustered_table = ClusteredTable
