"""A token table as a narrower one and the layer that widens its rows."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from shopstill.models.compact._part import TablePart


class LowRankTable(TablePart):
    """``widen(narrow[ids])`` (ALBERT's factorised embedding: Lan et al. 2020, https://arxiv.org/abs/1909.11942).

    >>> import torch
    >>> LowRankTable(num_embeddings=9, embedding_dim=4, rank=2)(torch.tensor([3])).shape
    torch.Size([1, 4])
    """

    kind: ClassVar[str] = "low_rank_table"

    def __init__(self, num_embeddings: int, embedding_dim: int, rank: int) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim, self.rank = num_embeddings, embedding_dim, rank
        self.narrow = nn.Embedding(num_embeddings, rank)
        self.widen = nn.Linear(rank, embedding_dim, bias=False)

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty."""
        return {"num_embeddings": self.num_embeddings, "embedding_dim": self.embedding_dim, "rank": self.rank}

    @property
    def weight(self) -> Tensor:
        """[num_embeddings, embedding_dim]."""
        return self.widen(self.narrow.weight)

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of some ids, widened."""
        return self.widen(self.narrow(ids))


low_rank_table = LowRankTable
