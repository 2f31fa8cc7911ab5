"""Histories read by gated recurrent units (GRU4Rec).

Shapes: ``B`` histories, ``T`` places of the longest, ``D`` width.
"""

from __future__ import annotations

from torch import Tensor, nn

from shopstill.models.dropout import Dropout
from shopstill.models.sequence.config import GRU4Rec, Sizes
from shopstill.models.sequence.network import SequenceNetwork, initialise


class GRU4RecNetwork(SequenceNetwork):
    """Item by item, with a memory.

    >>> import torch
    >>> network = GRU4RecNetwork(GRU4Rec(width=8, hidden=12), Sizes(items=5))
    >>> network.last(torch.tensor([[3, 1, 0]]), torch.tensor([2])).shape
    torch.Size([1, 8])
    """

    def __init__(self, config: GRU4Rec, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        hidden = config.hidden or config.width
        self.dropout = Dropout(config.dropout)
        self.units = nn.GRU(config.width, hidden, config.layers, batch_first=True)
        self.out = nn.Linear(hidden, config.width)
        self.apply(initialise)

    def states(self, item_BT: Tensor) -> Tensor:
        """States [B, T, D]; what stands after a history's end changes nothing before it."""
        found, _ = self.units(self.dropout(self.items(item_BT)))
        return self.out(self.dropout(found))
