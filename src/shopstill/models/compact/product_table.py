"""A token table whose rows are put together from rows of narrow tables: product quantization whose books learn.

Shapes: ``V`` tokens, ``M`` narrow tables (books), ``K`` rows of each, ``D`` width, ``S`` = ⌈D / M⌉ width of a book.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from shopstill.models.compact._part import TablePart

_LEAST = 4


class ProductTable(TablePart):
    """``[book_1[code_1(id)], …, book_M[code_M(id)]]``: M bytes a token, and K vectors for each part of the width.

    Codes are stored and fixed (Jégou et al. 2011, https://doi.org/10.1109/TPAMI.2010.57); the books can learn.

    >>> ProductTable(num_embeddings=9, embedding_dim=4, books=2, rows=3)(torch.tensor([7])).shape
    torch.Size([1, 4])
    """

    kind: ClassVar[str] = "product_table"
    codes_VM: Tensor

    def __init__(self, num_embeddings: int, embedding_dim: int, books: int, rows: int) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.books, self.rows = books, rows
        self.book = nn.Embedding(books * rows, -(-embedding_dim // books))
        self.register_buffer("codes_VM", torch.zeros(num_embeddings, books, dtype=torch.uint8))

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty."""
        shape = {"num_embeddings": self.num_embeddings, "embedding_dim": self.embedding_dim}
        return {**shape, "books": self.books, "rows": self.rows}

    @property
    def weight(self) -> Tensor:
        """[V, D]."""
        return self._joined(self.codes_VM)

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of some ids [..., D]."""
        return self._joined(self.codes_VM[ids])

    def products(self, state_PD: Tensor) -> Tensor:
        """``state · weightᵀ`` [P, V] by products with the books alone, looked up by code."""
        short = self.books * self.book.embedding_dim - self.embedding_dim
        parts_PMS = nn.functional.pad(state_PD, (0, short)).unflatten(1, (self.books, -1))
        held_MKP = torch.einsum("pms,mks->mkp", parts_PMS, self.book.weight.view(self.books, self.rows, -1))
        return summed(held_MKP.flatten(0, 1), self.codes_VM, self.rows)

    def _joined(self, codes: Tensor) -> Tensor:
        return self.book(self._places(codes)).flatten(-2)[..., : self.embedding_dim]

    def _places(self, codes: Tensor) -> Tensor:
        return codes.long() + torch.arange(self.books, device=codes.device) * self.rows


def summed(held_NP: Tensor, codes_VM: Tensor, rows: int) -> Tensor:
    """[P, V] the sum, for each token, of the rows that its codes name, one of each book of as many ``rows``."""
    count = held_NP.shape[1]
    places_VM = codes_VM.int() + torch.arange(codes_VM.shape[1], device=codes_VM.device, dtype=torch.int32) * rows
    # Rows of fewer than four numbers take torch's bag tens of times as long.
    wide_NP = nn.functional.pad(held_NP, (0, max(0, _LEAST - count)))
    return nn.functional.embedding_bag(places_VM, wide_NP, mode="sum")[:, :count].T


product_table = ProductTable
