"""Histories as nothing but the mean of their items, each weighted by how long ago it was.

Shapes: ``B`` histories, ``T`` places of the longest, ``D`` width, ``A`` ages of an item.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shopstill.models.dropout import Dropout
from shopstill.models.sequence.config import ItemMean, Sizes
from shopstill.models.sequence.network import SequenceNetwork, initialise

_FADE = 0.3


class ItemMeanNetwork(SequenceNetwork):
    """``h_t = map(Σ_{s ≤ t} w(t − s) · e_s)``, with w the softmax of a learned number for each age.

    Without dropout and before training, an item weighs ``exp(−0.3)`` of the one after it.

    >>> network = ItemMeanNetwork(ItemMean(width=8, map=False), Sizes(items=5)).eval()
    >>> one = torch.tensor([[3]])
    >>> bool(torch.allclose(network.states(one), network.items(one)))
    True
    """

    def __init__(self, config: ItemMean, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.dropout = Dropout(config.dropout)
        self.age_A = nn.Parameter(-_FADE * torch.arange(config.max_items))
        self.map = nn.Linear(config.width, config.width) if config.map else None
        self.apply(initialise)
        if self.map is not None:
            nn.init.eye_(self.map.weight)

    def states(self, item_BT: Tensor) -> Tensor:
        """States [B, T, D]; what stands after a history's end changes nothing before it."""
        place_T = torch.arange(item_BT.shape[1], device=item_BT.device)
        age_TT = place_T[:, None] - place_T
        weight_TT = self.age_A[age_TT.clamp(min=0)].masked_fill(age_TT < 0, -torch.inf).softmax(-1)
        mean = weight_TT @ self.dropout(self.items(item_BT))
        return mean if self.map is None else self.map(mean)
