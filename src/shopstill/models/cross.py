"""Cross-encoder: query and product in one row, read together.

Shapes: ``B`` pairs, ``S`` tokens of all pairs end to end, ``T`` tokens of a padded row, ``D`` width, ``K`` outputs.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from shopstill.core.config import config
from shopstill.data.pairs import PairTexts
from shopstill.data.tokens import TextTokenizer
from shopstill.models.encoder import EncoderConfig, check_heads
from shopstill.models.foreign import AnyEncoder
from shopstill.models.pairs import JoinedFeed
from shopstill.types import Signals


@config
class Cross:
    """A cross-encoder: where it starts from, and its size.

    ``start`` is a pretrained folder, packaged name or hub id; ``"teacher"`` for the recipe's teacher; or null for
    random weights, in which case ``depth``, ``width`` and ``heads`` say its size. ``layers`` picks some of the start's
    layers, such as ``[0, 2, 5]``. ``pooling`` is what the head reads: the first token, as cross-encoders on the hub
    do, or both sides' means.
    """

    kind: Literal["cross"] = "cross"
    start: str | None = "all-minilm-l6-v2"
    layers: tuple[int, ...] | None = None
    width: int = Field(default=128, ge=8)
    depth: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    pooling: Literal["first", "sides"] = "sides"
    outputs: int = Field(default=1, ge=1)
    max_tokens: int = Field(default=64, ge=8, le=8192)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    def __post_init__(self) -> None:
        if self.start is None:
            check_heads(self.width, self.heads)


class CrossEncoder(nn.Module):
    """An encoder over both texts at once, with a head.

    Args:
        encoder: the transformer.
        config: its configuration, kept for saving.
    """

    lexical = 0
    """How many lexical features it takes: none."""

    def __init__(self, encoder: AnyEncoder, config: Cross) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        width = encoder.size.width
        self.head = FirstHead(width, config) if config.pooling == "first" else SidesHead(width, config)

    @property
    def size(self) -> EncoderConfig:
        """The encoder's size."""
        return self.encoder.size

    def forward(self, ids_S: Tensor, length_B: Tensor, second_B: Tensor) -> Signals:
        """Score pairs given end to end, padding hardly anything.

        Returns:
            logits [B] (one output) or [B, K], and the feature ``pooled`` [B, ·]: what the head reads.
        """
        start_B = torch.cumsum(length_B, 0) - length_B
        order = self.encoder.pieces(length_B.cpu())
        found = []
        for rows in (r.to(ids_S.device) for r in order):
            length, second = length_B[rows], second_B[rows]
            place = torch.arange(int(length.max()), device=ids_S.device)
            mask = place < length[:, None]
            ids = ids_S[(start_B[rows, None] + place).clamp(max=len(ids_S) - 1)] * mask
            found.append(self.pool(ids.long(), mask, second))
        back = torch.argsort(torch.cat(order)).to(ids_S.device)
        pooled = torch.cat(found)[back]
        return Signals(logits=self.head(pooled).squeeze(-1), features={"pooled": pooled})

    def pool(self, ids_BT: Tensor, mask_BT: Tensor, second_B: Tensor) -> Tensor:
        """What the head reads, of a rectangle of rows."""
        uneven = mask_BT if torch.compiler.is_exporting() or not bool(mask_BT.all()) else None
        if isinstance(self.head, FirstHead):
            return self.encoder(ids_BT, uneven, second_B, first_only=True)[:, 0]
        return both_sides(self.encoder(ids_BT, uneven, second_B), mask_BT, second_B)

    def feed(self, tokenizer: TextTokenizer, pairs: PairTexts) -> JoinedFeed:
        """Pairs made ready for ``forward``."""
        return JoinedFeed(tokenizer, pairs, self.config.max_tokens)


class FirstHead(nn.Module):
    """``out(tanh(dense(h)))`` of the first token's state ``h``: the head of BERT's own classifier."""

    def __init__(self, width: int, config: Cross) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.out = nn.Linear(width, config.outputs)
        self.dropout = nn.Dropout(config.dropout)
        _initialise(self)

    def forward(self, first_BD: Tensor) -> Tensor:
        """Logits [B, K]."""
        return self.out(self.dropout(torch.tanh(self.dense(self.dropout(first_BD)))))


class SidesHead(nn.Module):
    """``a·cos(u, v) + b + out(tanh(dense([u, v, u∘v])))``, with u and v the mean states of both sides' tokens.

    An encoder that was pretrained to compare texts by the cosine of their means already ranks with this head before it
    has seen one grade, and needs far fewer of them than with a head on the first token (see ``benchmarks/LOG.md``).
    """

    def __init__(self, width: int, config: Cross) -> None:
        super().__init__()
        self.dense = nn.Linear(3 * width, width)
        self.out = nn.Linear(width, config.outputs)
        self.dropout = nn.Dropout(config.dropout)
        self.scale = nn.Parameter(torch.full((config.outputs,), 4.0))
        self.shift = nn.Parameter(torch.full((config.outputs,), -1.0))
        _initialise(self)

    def forward(self, sides_BE: Tensor) -> Tensor:
        """Logits [B, K] from both means end to end [B, 2D]."""
        u_BD, v_BD = sides_BE.chunk(2, dim=-1)
        product_BD = u_BD * v_BD
        cosine_B1 = product_BD.sum(-1, keepdim=True)
        read = torch.cat([u_BD, v_BD, product_BD * u_BD.shape[-1] ** 0.5], -1)
        return self.scale * cosine_B1 + self.shift + self.out(self.dropout(torch.tanh(self.dense(read))))


def both_sides(states_BTD: Tensor, mask_BT: Tensor, second_B: Tensor) -> Tensor:
    """[B, 2D] the mean states of the first text's and of the second text's tokens, each of length one."""
    place = torch.arange(states_BTD.shape[1], device=states_BTD.device)
    first = (place > 0) & (place < second_B[:, None] - 1)
    second = (place >= second_B[:, None]) & mask_BT
    sides_B2T = torch.stack([first, second], 1).to(states_BTD.dtype)
    return nn.functional.normalize(sides_B2T @ states_BTD, dim=-1).flatten(1)


def _initialise(head: nn.Module) -> None:
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
