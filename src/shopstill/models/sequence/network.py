"""What every network of histories is: states of places, and logits of items from them.

Shapes: ``B`` histories, ``T`` items of the longest, ``P`` places to be predicted, ``C`` candidates of a place, ``V``
items, ``D`` width.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from shopstill.models.compact.low_rank_table import LowRankTable
from shopstill.models.sequence.config import BERT4Rec, GRU4Rec, ItemMean, SASRec, Sizes
from shopstill.models.sequence.items import ABSENT, Items
from shopstill.types import Signals

Config = SASRec | BERT4Rec | GRU4Rec | ItemMean


class SequenceNetwork(nn.Module):
    """A network that says which item comes next; items are numbered from 1, and 0 is none.

    Args:
        config: its family and size.
        sizes: of the shop.
    """

    masks: ClassVar[bool] = False
    """Whether a place that is to be predicted holds the mask, item V + 1; if not, it holds the item before."""

    def __init__(self, config: Config, sizes: Sizes) -> None:
        super().__init__()
        self.config, self.sizes = config, sizes
        self.items = Items(config.table, sizes, config.width)

    def states(self, item_BT: Tensor) -> Tensor:
        """States [B, T, D] of all places of histories that are filled up with 0 on the right."""
        raise NotImplementedError

    def forward(
        self,
        item_BT: Tensor,
        row_P: Tensor,
        place_P: Tensor,
        candidate_PC: Tensor | None = None,
        shift_PC: Tensor | None = None,
        own_PC: Tensor | None = None,
    ) -> Signals:
        """Which item comes after each of some places.

        Args:
            item_BT: histories from their oldest item, 0 where one has ended; ``max_items`` at most.
            row_P: the history of each place to be predicted.
            place_P: the place in it, from 0: what comes after it is predicted, or, where it holds the mask, what it is.
            candidate_PC: items [P, C] to be compared, or [C] for all places; 0 is none. None for all items.
            shift_PC: [P, C] or [C], added to the candidates' logits, such as minus log of how often each is drawn.
            own_PC: items of each place, such as the true one, that stand before the shared candidates, and are taken
                out from among them.

        Returns:
            logits [P, C], of ``own_PC`` and then of the candidates, or [P, V] of items 1 to V; and the feature
            ``hidden`` [P, D].
        """
        hidden_PD = self.states(item_BT)[row_P, place_P]
        if candidate_PC is None:
            logits = self.scores(hidden_PD)
        else:
            logits = self._among(hidden_PD, candidate_PC, shift_PC, own_PC)
        return Signals(logits=logits, features={"hidden": hidden_PD})

    def last(self, item_BT: Tensor, length_B: Tensor) -> Tensor:
        """The state [B, D] from which each history's next item is predicted.

        Args:
            item_BT: histories, as ``forward`` takes them.
            length_B: items of each, at least 1.
        """
        row_B = torch.arange(len(item_BT), device=item_BT.device)
        return self.states(item_BT)[row_B, length_B - 1]

    def scores(self, hidden_PD: Tensor) -> Tensor:
        """Logits [P, V] of all items."""
        return self.items.against(hidden_PD)

    def _among(self, hidden_PD: Tensor, candidate: Tensor, shift: Tensor | None, own_PC: Tensor | None) -> Tensor:
        logits = self.items.among(hidden_PD, candidate)
        logits = logits if shift is None else logits + shift
        if own_PC is None:
            return logits.masked_fill(candidate == 0, ABSENT)
        own = self.items.among(hidden_PD, own_PC).masked_fill(own_PC == 0, ABSENT)
        none = (candidate == 0) | stands_among(own_PC, candidate)
        return torch.cat([own, logits.masked_fill(none, ABSENT)], 1)


def stands_among(own_PC: Tensor, shared_S: Tensor) -> Tensor:
    """[P, S] whether an item that all places share is one of a place's own.

    >>> stands_among(torch.tensor([[3, 1], [2, 2]]), torch.tensor([1, 2])).tolist()
    [[True, False], [False, True]]
    """
    sorted_PC = own_PC.sort(-1).values
    shared_PS = shared_S.expand(len(own_PC), -1).contiguous()
    place_PS = torch.searchsorted(sorted_PC, shared_PS).clamp(max=own_PC.shape[1] - 1)
    return sorted_PC.gather(1, place_PS) == shared_PS


def initialise(module: nn.Module) -> None:
    """Small random weights, and no bias."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, LowRankTable):
        # Its rows come out as large as those of a full table.
        nn.init.normal_(module.widen.weight, std=module.rank**-0.5)
