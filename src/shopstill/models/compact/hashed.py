"""A token table whose rows are sums of rows of a few small tables.

Shapes: ``V`` tokens, ``M`` small tables (books), ``K`` rows of each, ``D`` width.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from shopstill.models.compact._part import TablePart


class Hashed(TablePart):
    """``Σ_m book_m[code_m(id)]``, each code a digit of the id in base ``K``, or stored for each token.

    Digits are quotients and remainders (Shi et al. 2020, https://arxiv.org/abs/1909.02107) and need no memory; stored
    codes (Shu and Nakayama 2018, https://arxiv.org/abs/1711.01068) let tokens that are alike share their rows.

    >>> Hashed(num_embeddings=9, embedding_dim=4, books=2, rows=3, stored=False)(torch.tensor([7])).shape
    torch.Size([1, 4])
    """

    kind: ClassVar[str] = "hashed"
    codes_VM: Tensor

    def __init__(self, num_embeddings: int, embedding_dim: int, books: int, rows: int, stored: bool) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.books, self.rows, self.stored = books, rows, stored
        self.book = nn.Embedding(books * rows, embedding_dim)
        if stored:
            kind = torch.uint8 if rows <= 1 << 8 else torch.int16
            self.register_buffer("codes_VM", torch.zeros(num_embeddings, books, dtype=kind))

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty."""
        shape = {"num_embeddings": self.num_embeddings, "embedding_dim": self.embedding_dim}
        return {**shape, "books": self.books, "rows": self.rows, "stored": self.stored}

    @property
    def weight(self) -> Tensor:
        """[V, D]."""
        return self(torch.arange(self.num_embeddings, device=self.book.weight.device))

    def codes(self, ids: Tensor) -> Tensor:
        """Which row of each book a token has [..., M]."""
        if self.stored:
            return self.codes_VM[ids].long()
        digits = [torch.div(ids, self.rows**at, rounding_mode="floor") % self.rows for at in range(self.books)]
        return torch.stack(digits, -1)

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of some ids [..., D]."""
        first = torch.arange(self.books, device=ids.device) * self.rows
        return self.book(self.codes(ids) + first).sum(-2)


hashed = Hashed
