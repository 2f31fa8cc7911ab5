"""A matrix whose every value is one of a few: a codebook, and for each place the packed number of its value."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shopstill.models.compact._bits import pack, unpack


class Coded(nn.Module):
    """``weight[r, c] = codebook[index[r, c]]``; the codebook can learn.

    Args:
        rows: R.
        columns: C.
        bits: of an index; the codebook has ``2^bits`` values.
    """

    index: Tensor

    def __init__(self, rows: int, columns: int, bits: int) -> None:
        super().__init__()
        self.bits, self.columns = bits, columns
        self.codebook = nn.Parameter(torch.zeros(1 << bits))
        self.register_buffer("index", torch.zeros(rows, -(-columns * bits // 8), dtype=torch.uint8))

    def fill(self, codebook: Tensor, index_RC: Tensor) -> None:
        """Take values and indices."""
        with torch.no_grad():
            self.codebook.copy_(nn.functional.pad(codebook, (0, len(self.codebook) - len(codebook))))
            self.index.copy_(pack(index_RC, self.bits))

    def whole(self) -> Tensor:
        """The matrix [R, C]."""
        return self.codebook[unpack(self.index, self.bits, self.columns).long()]

    def some(self, rows: Tensor) -> Tensor:
        """Some rows [..., C]."""
        return self.codebook[unpack(self.index[rows], self.bits, self.columns).long()]
