"""The vectors of items: read from a table of any kind, with what their attributes add, and compared with a state.

The same vectors are a network's input and its output (tied).

Shapes: ``V`` items, ``A`` attributes, ``L`` pairs of an item and an attribute, ``P`` places to be predicted, ``C``
candidates of a place, ``D`` width, ``M`` books of a coded table.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.core.errors import ConfigError
from shopstill.data.histories import ItemAttributes
from shopstill.models.compact._part import Table
from shopstill.models.compact.hashed import Hashed
from shopstill.models.compact.low_rank_table import LowRankTable
from shopstill.models.compact.product_table import ProductTable, summed
from shopstill.models.sequence.cold import WithCold
from shopstill.models.sequence.config import CodedItems, FullTable, HashedItems, ItemTable, LowRankItems, Sizes

ABSENT = -1e4
"""The logit of a candidate that is not there: its probability is 0 in every precision, and no difference is NaN."""


class Items(nn.Module):
    """Vectors of items numbered from 1, and their products with states.

    Args:
        table: how the items' own vectors are kept.
        sizes: of the shop.
        width: D.
    """

    code_L: Tensor
    start_V: Tensor

    def __init__(self, table: ItemTable, sizes: Sizes, width: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.table: Table = _table(table, sizes.items, width)
        self.attributes = nn.Embedding(sizes.attributes, width) if sizes.attributes else None
        if sizes.attributes:
            self.register_buffer("code_L", torch.zeros(sizes.links, dtype=torch.int32))
            self.register_buffer("start_V", torch.zeros(sizes.items + 1, dtype=torch.int64))

    def describe(self, attributes: ItemAttributes) -> None:
        """Take the items' attributes.

        Raises:
            ConfigError: there are not as many as the network was made for.
        """
        found = sizes_of(len(attributes.start_I) - 2, attributes)
        if found != replace(self.sizes, id_dropout=0.0):
            raise ConfigError(f"attributes: they are of {found}, but the network is for {self.sizes}")
        self.code_L.copy_(torch.from_numpy(attributes.code_A) - 1)
        self.start_V.copy_(torch.from_numpy(attributes.start_I[1:]))

    def forward(self, item: Tensor) -> Tensor:
        """Vectors of some items [..., D]; that of no item (0) means nothing."""
        row = (item - 1).clamp(min=0)
        found = self.table(row)
        if self.attributes is None:
            return found
        if self._forgets:
            found = found * self._kept(row).unsqueeze(-1)
        return found + self._described(row)

    def against(self, state_PD: Tensor) -> Tensor:
        """Logits [P, V] of all items; a table that is kept small is not made whole where that costs more."""
        logits = _products(self.table, state_PD)
        if self.attributes is None:
            return logits
        if self._forgets:
            logits = logits * self._kept(self.start_V[:-1])
        return logits + state_PD @ self._bags(self.code_L, self.start_V[:-1]).T

    def among(self, state_PD: Tensor, candidate: Tensor) -> Tensor:
        """Logits [P, C] of candidates that all places share [C], or that each has of its own [P, C]."""
        if candidate.dim() == 1:
            return state_PD @ self(candidate).T
        row = (candidate - 1).clamp(min=0)
        if isinstance(self.table, LowRankTable) and self.attributes is None:
            return torch.einsum("pr,pcr->pc", state_PD @ self.table.widen.weight, self.table.narrow(row))
        if isinstance(self.table, nn.Embedding) and self.attributes is None:
            return torch.einsum("pd,pcd->pc", state_PD, self.table(row))
        # A vector that is put together is put together once.
        if row.numel() < self.sizes.items:
            item, row = torch.unique(candidate, return_inverse=True)
            return torch.einsum("pd,pcd->pc", state_PD, F.embedding(row, self(item)))
        return torch.einsum("pd,pcd->pc", state_PD, F.embedding(row, self.whole()))

    def whole(self) -> Tensor:
        """All vectors [V, D]."""
        return self(torch.arange(1, self.sizes.items + 1, device=next(self.parameters()).device))

    @property
    def _forgets(self) -> bool:
        return self.training and self.sizes.id_dropout > 0

    def _kept(self, like: Tensor) -> Tensor:
        """Which own vectors are not left out this time; attributes alone say the rest, as they do of cold items."""
        return torch.rand(like.shape, device=like.device) >= self.sizes.id_dropout

    def _described(self, row: Tensor) -> Tensor:
        flat = row.flatten()
        first, length = self.start_V[flat], self.start_V[flat + 1] - self.start_V[flat]
        start = length.cumsum(0) - length
        place = torch.arange(int(length.sum()), device=row.device) - start.repeat_interleave(length)
        return self._bags(self.code_L[first.repeat_interleave(length) + place], start).view(*row.shape, -1)

    def _bags(self, code: Tensor, start: Tensor) -> Tensor:
        """The mean vector of each run of attributes; 0 where there is none."""
        assert self.attributes is not None
        return F.embedding_bag(code.long(), self.attributes.weight, start, mode="mean")


def sizes_of(items: int, attributes: ItemAttributes | None) -> Sizes:
    """What a network must know of so many items and of their attributes."""
    if attributes is None or not len(attributes.code_A):
        return Sizes(items=items)
    return Sizes(items=items, attributes=len(attributes.names), links=len(attributes.code_A))


def _table(wanted: ItemTable, items: int, width: int) -> Table:
    match wanted:
        case LowRankItems():
            return LowRankTable(items, width, wanted.rank)
        case HashedItems():
            rows = math.ceil(items ** (1 / wanted.books))
            return Hashed(items, width, wanted.books, rows + (rows**wanted.books < items), stored=False)
        case CodedItems(form="residual"):
            return Hashed(items, width, wanted.books, wanted.rows, stored=True)
        case CodedItems():
            return ProductTable(items, width, wanted.books, wanted.rows)
        case FullTable():
            return nn.Embedding(items, width)


def _products(table: Table, state_PD: Tensor) -> Tensor:
    """``state · weightᵀ`` by the cheaper way for a table of its kind and as many states."""
    if isinstance(table, WithCold):
        return F.pad(_products(table.table, state_PD), (0, table.cold))
    if isinstance(table, LowRankTable):
        return (state_PD @ table.widen.weight) @ table.narrow.weight.T
    few = len(state_PD) <= table.embedding_dim and not torch.compiler.is_exporting()
    if isinstance(table, ProductTable) and few:
        return table.products(state_PD)
    if isinstance(table, Hashed) and few:
        codes_VM = table.codes(torch.arange(table.num_embeddings, device=state_PD.device))
        return summed(table.book.weight @ state_PD.T, codes_VM, table.rows)
    return state_PD @ table.weight.T
