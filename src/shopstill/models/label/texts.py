"""Networks that read one text.

Shapes: ``B`` texts, ``S`` ids of all of them end to end, ``T`` ids of the longest, ``D`` width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.models.compact._part import Table
from shopstill.models.encoder import Encoder
from shopstill.models.foreign import AnyEncoder
from shopstill.models.label.config import Bag, TextEncoder
from shopstill.models.towers import encoded, rectangle


class BagBody(nn.Module):
    """A table of vectors: those of tokens, then those of the buckets that runs of letters fall into.

    Args:
        table: V tokens and as many buckets as the configuration says.
        config: kept for the feed.
    """

    def __init__(self, table: Table, config: Bag) -> None:
        super().__init__()
        self.table, self.config = table, config

    @property
    def width(self) -> int:
        """D."""
        return self.table.embedding_dim

    def pool(self, ids_S: Tensor, length_B: Tensor) -> Tensor:
        """The mean of each text's vectors [B, D]; 0 where it has none."""
        if isinstance(self.table, nn.Embedding):
            start = torch.cumsum(length_B, 0) - length_B
            return F.embedding_bag(ids_S, self.table.weight, start, mode="mean")
        ids_BT, mask_BT = rectangle(ids_S, length_B)
        return self.mean(self.table(ids_BT), mask_BT)

    def states(self, ids_S: Tensor, length_B: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors [B, T, D], and where one stands."""
        ids_BT, mask_BT = rectangle(ids_S, length_B)
        return self.table(ids_BT), mask_BT

    def padded(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """The vectors [B, T, D] of a rectangle, in steps whose shapes depend on no values."""
        return self.table(ids_BT)

    def mean(self, states_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """The mean of the vectors that stand [B, D]."""
        return _mean(states_BTD, mask_BT)


class EncoderBody(nn.Module):
    """A transformer.

    Args:
        encoder: our own, or one of another family.
        config: kept for the feed.
    """

    def __init__(self, encoder: AnyEncoder, config: TextEncoder) -> None:
        super().__init__()
        self.encoder, self.config = encoder, config

    @property
    def width(self) -> int:
        """D."""
        return self.encoder.size.width

    def pool(self, ids_S: Tensor, length_B: Tensor) -> Tensor:
        """What a head reads of each text [B, D]: its first state, or the mean of all."""
        return self.mean(*self.states(ids_S, length_B))

    def states(self, ids_S: Tensor, length_B: Tensor) -> tuple[Tensor, Tensor]:
        """The states [B, T, D], and where a token stands."""
        ids_BT, mask_BT = rectangle(ids_S, length_B)
        return encoded(self.encoder, ids_BT, mask_BT, length_B), mask_BT

    def padded(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """The states [B, T, D] of a rectangle, in steps whose shapes depend on no values."""
        return self.encoder(ids_BT, mask_BT)

    def mean(self, states_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """The first state, or the mean of those that stand [B, D]."""
        return states_BTD[:, 0] if self.config.pooling == "first" else _mean(states_BTD, mask_BT)


TextBody = BagBody | EncoderBody


def positions(body: TextBody) -> int | None:
    """How many tokens a network can read at most; None where it sets no bound."""
    if isinstance(body, EncoderBody) and isinstance(body.encoder, Encoder):
        return body.encoder.size.positions - body.encoder.size.first_position
    return None


def _mean(states_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    there_BT = mask_BT.to(states_BTD.dtype)
    total_BD = (there_BT.unsqueeze(1) @ states_BTD).squeeze(1)
    return total_BD / there_BT.sum(1, keepdim=True).clamp(min=1)
