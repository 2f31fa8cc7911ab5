"""Histories read by a transformer: forwards (SASRec), or both ways with a mask at the place in question (BERT4Rec).

Shapes: ``B`` histories, ``T`` places of the longest, ``S`` places of all, ``D`` width, ``H`` heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.models.dropout import Dropout
from shopstill.models.encoder import EncoderConfig, Layer, _Places, _Rectangle
from shopstill.models.sequence.config import BERT4Rec, SASRec, Sizes
from shopstill.models.sequence.network import SequenceNetwork, initialise


@dataclass(frozen=True, kw_only=True)
class _Ends(_Places):
    """Places of which a layer is asked for the last of each row alone, instead of the first.

    Attributes:
        length_B: places of each row.
    """

    length_B: Tensor

    def first(self, x_SD: Tensor) -> Tensor:
        """[S, D] to [B, D]."""
        return x_SD.index_select(0, self.length_B.cumsum(0) - 1)


class Forwards(Layer):
    """A layer whose places see those before them, and themselves."""

    def _attend(self, query: Tensor, key_value: Tensor, mask_BT: Tensor | None) -> Tensor:
        if query.shape[1] < key_value.shape[1]:
            # The last place of each row alone: it sees all.
            return super()._attend(query, key_value, mask_BT)
        query, key, value = (self._split(part) for part in (query, *key_value.chunk(2, dim=-1)))
        if torch.compiler.is_exporting() or (self.training and self.dropout.p):
            side = key.shape[-2]
            before_TT = torch.ones(side, side, dtype=torch.bool, device=key.device).tril()
            mixed = self._weights(query, key, before_TT) @ value
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return mixed.transpose(1, 2).flatten(2)


class _Transformer(SequenceNetwork):
    layer: ClassVar[type[Layer]]

    def __init__(self, config: SASRec | BERT4Rec, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        width = config.width
        size = EncoderConfig(
            vocab=sizes.items,
            width=width,
            layers=config.layers,
            heads=config.heads,
            feed_forward=config.feed_forward or 4 * width,
            dropout=config.dropout,
        )
        self.positions = nn.Embedding(config.max_items, width)
        self.norm = nn.LayerNorm(width, eps=size.norm_eps)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(self.layer(size, index) for index in range(config.layers))
        self.apply(initialise)

    def states(self, item_BT: Tensor) -> Tensor:
        """States [B, T, D], zero where nothing stands."""
        places = _Places.of(item_BT, item_BT > 0)
        x_SD = self._embed(item_BT, places)
        for layer in self.layers:
            x_SD = layer(x_SD, places)
        return places.rectangle(x_SD)

    def last(self, item_BT: Tensor, length_B: Tensor) -> Tensor:
        """The state [B, D] of each history's last place, the only one that the last layer computes."""
        places = _Places.of(item_BT, item_BT > 0)
        if not isinstance(places, _Places):
            return super().last(item_BT, length_B)
        x_SD = self._embed(item_BT, places)
        for layer in self.layers[:-1]:
            x_SD = layer(x_SD, places)
        ends = _Ends(rows=places.rows, mask_BT=places.mask_BT, slot_S=places.slot_S, length_B=length_B)
        return self.layers[-1](x_SD, ends, True)

    def _embed(self, item_BT: Tensor, places: _Places | _Rectangle) -> Tensor:
        place_BT = torch.arange(item_BT.shape[1], device=item_BT.device).expand(item_BT.shape)
        x_SD = self._vectors(places.flat(item_BT)) + self.positions(places.flat(place_BT))
        return self.dropout(self.norm(x_SD))

    def _vectors(self, item_S: Tensor) -> Tensor:
        return self.items(item_S)


class SASRecNetwork(_Transformer):
    """Forwards: one pass gives the states of all places, each of what came before it.

    >>> network = SASRecNetwork(SASRec(width=8), Sizes(items=5))
    >>> network(torch.tensor([[3, 1, 0]]), torch.tensor([0, 0]), torch.tensor([0, 1])).logits.shape
    torch.Size([2, 5])
    """

    layer = Forwards


class BERT4RecNetwork(_Transformer):
    """Both ways: the place in question holds the mask.

    >>> network = BERT4RecNetwork(BERT4Rec(width=8), Sizes(items=5))
    >>> network.last(torch.tensor([[3, 1, 0], [2, 4, 1]]), torch.tensor([2, 3])).shape
    torch.Size([2, 8])
    """

    masks = True
    layer = Layer

    def __init__(self, config: BERT4Rec, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.mask_D = nn.Parameter(torch.randn(config.width) * 0.02)

    def last(self, item_BT: Tensor, length_B: Tensor) -> Tensor:
        """The state [B, D] of a mask that is put behind each history of ``max_items`` − 1 items at most."""
        masked_BT = F.pad(item_BT, (0, 1)).scatter(1, length_B[:, None], self.sizes.items + 1)
        return super().last(masked_BT, length_B + 1)

    def _vectors(self, item_S: Tensor) -> Tensor:
        held = item_S <= self.sizes.items
        return torch.where(held[:, None], self.items(item_S * held), self.mask_D)
