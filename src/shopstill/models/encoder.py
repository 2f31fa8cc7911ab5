"""A transformer encoder of the BERT family that computes only what is asked for.

Two things make it faster than the usual forward pass at equal outputs: padding is dropped before the first layer and
stands in again for attention alone; and where only the first token is wanted the last layer computes that token alone.

Shapes: ``B`` rows, ``T`` tokens of a padded row, ``S`` tokens of all rows without padding, ``D`` width, ``H`` heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.models.dropout import Dropout

_PIECE, _UNLIMITED = 4096, 1 << 62
_SLACK = 0.75
"""Padding of a piece costs attention alone, which is a few hundredths of the work at the lengths of titles."""


@config
class LayerSize:
    """Size of one layer: its heads, the width of each, and its feed-forward units."""

    heads: int = Field(ge=1)
    head_width: int = Field(ge=1)
    feed_forward: int = Field(ge=1)


@config
class EncoderConfig:
    """Size of an encoder; ``each`` says the size of every layer where they are not all ``heads`` and ``feed_forward``.

    >>> EncoderConfig(vocab=10, width=8, heads=2, feed_forward=16).layer(0)
    LayerSize(heads=2, head_width=4, feed_forward=16)
    """

    vocab: int = Field(gt=0)
    width: int = Field(default=128, gt=0)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    feed_forward: int = Field(default=512, gt=0)
    positions: int = Field(default=512, gt=0)
    segments: int = Field(default=2, ge=1)
    first_position: int = Field(default=0, ge=0)
    norm_eps: float = Field(default=1e-12, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    each: tuple[LayerSize, ...] | None = None

    def __post_init__(self) -> None:
        if self.each is not None and len(self.each) != self.layers:
            raise ConfigError(f"each: sizes of {len(self.each)} layers, but layers is {self.layers}; state every layer")

    def layer(self, index: int) -> LayerSize:
        """The size of a layer."""
        if self.each is not None:
            return self.each[index]
        return LayerSize(heads=self.heads, head_width=self.width // self.heads, feed_forward=self.feed_forward)


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Where the ``S`` tokens of a rectangle of rows stand: all but attention runs on them alone, without the padding.

    Attributes:
        rows: B.
        mask_BT: True where a token stands; None when nothing is padding.
        slot_S: place of each token in the rectangle, row by row; None when nothing is padding.
    """

    rows: int
    mask_BT: Tensor | None
    slot_S: Tensor | None

    @staticmethod
    def of(ids_BT: Tensor, mask_BT: Tensor | None) -> _Places | _Rectangle:
        if torch.compiler.is_exporting():
            return _Rectangle(ids_BT.shape, mask_BT)
        slot = None if mask_BT is None else mask_BT.flatten().nonzero().squeeze(1)
        return _Places(rows=len(ids_BT), mask_BT=mask_BT, slot_S=slot)

    def flat(self, x_BT: Tensor) -> Tensor:
        """[B, T, …] to [S, …]."""
        x = x_BT.flatten(0, 1)
        return x if self.slot_S is None else x.index_select(0, self.slot_S)

    def rectangle(self, x_SD: Tensor) -> Tensor:
        """[S, D] to [B, T, D], zero where nothing stands."""
        if self.mask_BT is None or self.slot_S is None:
            return x_SD.unflatten(0, (self.rows, -1))
        whole = x_SD.new_zeros(self.mask_BT.numel(), x_SD.shape[1])
        return whole.index_copy(0, self.slot_S, x_SD).unflatten(0, self.mask_BT.shape)

    def first(self, x_SD: Tensor) -> Tensor:
        """[S, D] to [B, D]: the first token of each row."""
        if self.mask_BT is None:
            return x_SD.unflatten(0, (self.rows, -1))[:, 0]
        length_B = self.mask_BT.sum(1)
        return x_SD.index_select(0, length_B.cumsum(0) - length_B)


@dataclass(frozen=True)
class _Rectangle:
    """The tokens of a graph, padding and all: no shape in an exported graph may depend on what a mask holds."""

    shape: torch.Size
    mask_BT: Tensor | None

    def flat(self, x_BT: Tensor) -> Tensor:
        return x_BT.flatten(0, 1)

    def rectangle(self, x_SD: Tensor) -> Tensor:
        return x_SD.unflatten(0, self.shape)

    def first(self, x_SD: Tensor) -> Tensor:
        return self.rectangle(x_SD)[:, 0]


class Layer(nn.Module):
    """Self-attention and a feed-forward network, each followed by a residual sum and a norm."""

    def __init__(self, size: EncoderConfig, index: int = 0) -> None:
        super().__init__()
        own = size.layer(index)
        self.heads, mixed = own.heads, own.heads * own.head_width
        self.query = nn.Linear(size.width, mixed)
        self.key_value = nn.Linear(size.width, 2 * mixed)
        self.out = nn.Linear(mixed, size.width)
        self.norm_attention = nn.LayerNorm(size.width, eps=size.norm_eps)
        self.up = nn.Linear(size.width, own.feed_forward)
        self.down = nn.Linear(own.feed_forward, size.width)
        self.norm_output = nn.LayerNorm(size.width, eps=size.norm_eps)
        self.dropout = Dropout(size.dropout)

    def forward(self, x_SD: Tensor, places: _Places | _Rectangle, first_only: bool = False) -> Tensor:
        """The layer's output at every token [S, D], or at the first of each row [B, D]."""
        asked = places.first(x_SD) if first_only else x_SD
        query = self.query(asked)
        query = query.unsqueeze(1) if first_only else places.rectangle(query)
        mixed = self._attend(query, places.rectangle(self.key_value(x_SD)), places.mask_BT)
        mixed = self.out(mixed.squeeze(1) if first_only else places.flat(mixed))
        asked = self.norm_attention(asked + self.dropout(mixed))
        return self.norm_output(asked + self.dropout(self.down(F.gelu(self.up(asked)))))

    def _attend(self, query: Tensor, key_value: Tensor, mask_BT: Tensor | None) -> Tensor:
        query, key, value = (self._split(part) for part in (query, *key_value.chunk(2, dim=-1)))
        mask = None if mask_BT is None else mask_BT[:, None, None, :]
        if torch.compiler.is_exporting() or (self.training and self.dropout.p):
            mixed = self._weights(query, key, mask) @ value
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return mixed.transpose(1, 2).flatten(2)

    def _weights(self, query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
        """Attention weights, of which training drops some; torch's fused attention does it too, with a dearer mask."""
        score = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if mask is not None:
            score = score + torch.zeros_like(mask, dtype=score.dtype).masked_fill(~mask, -torch.inf)
        return self.dropout(score.softmax(-1))

    def _split(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Encoder(nn.Module):
    """Token, position and segment embeddings, then layers.

    >>> encoder = Encoder(EncoderConfig(vocab=10, width=8, heads=2, feed_forward=16))
    >>> encoder(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, size: EncoderConfig) -> None:
        super().__init__()
        self.size = size
        self.tokens = nn.Embedding(size.vocab, size.width)
        self.positions = nn.Embedding(size.positions, size.width)
        self.segments = nn.Embedding(size.segments, size.width)
        self.norm = nn.LayerNorm(size.width, eps=size.norm_eps)
        self.dropout = Dropout(size.dropout)
        self.layers = nn.ModuleList(Layer(size, index) for index in range(size.layers))
        self.apply(_initialise)

    def forward(
        self,
        ids_BT: Tensor,
        mask_BT: Tensor | None = None,
        second_B: Tensor | None = None,
        first_only: bool = False,
    ) -> Tensor:
        """Hidden states of the last layer.

        Args:
            ids_BT: token ids.
            mask_BT: True where a token stands; None when nothing is padding.
            second_B: position at which the second text of each row begins; None for single texts.
            first_only: compute the first token alone.

        Returns:
            [B, T, D], zero at padding; or [B, 1, D] where only the first token is asked for.
        """
        places = _Places.of(ids_BT, mask_BT)
        x_SD = self._embed(ids_BT, second_B, places)
        for layer in self.layers[:-1]:
            x_SD = layer(x_SD, places)
        x_SD = self.layers[-1](x_SD, places, first_only)
        return x_SD.unsqueeze(1) if first_only else places.rectangle(x_SD)

    def pieces(self, length_B: Tensor) -> list[Tensor]:
        """Rows to run together; few pieces in training, where each costs a gradient of the whole token table."""
        return pieces(length_B, tokens=_UNLIMITED if self.training else _PIECE, slack=_SLACK)

    def _embed(self, ids_BT: Tensor, second_B: Tensor | None, places: _Places | _Rectangle) -> Tensor:
        """[S, D] sum of the three embeddings, normed."""
        place_BT = torch.arange(ids_BT.shape[1], device=ids_BT.device).expand(ids_BT.shape)
        summed = self.tokens(places.flat(ids_BT)) + self.positions(places.flat(place_BT) + self.size.first_position)
        if second_B is None or self.size.segments == 1:
            summed = summed + self.segments.weight[0]
        else:
            summed = summed + self.segments(places.flat((place_BT >= second_B[:, None]).long()))
        return self.dropout(self.norm(summed))


def check_heads(width: int, heads: int) -> None:
    """That a width can be parted among so many heads.

    Raises:
        ConfigError: it cannot.
    """
    if width % heads:
        raise ConfigError(f"heads: {heads} does not divide width {width}; use a divisor of the width")


def pieces(length_B: Tensor, tokens: int = 4096, slack: float = 0.06) -> list[Tensor]:
    """Rows in pieces of nearly equal length: positions sorted by length, cut where padding would exceed ``slack``.

    Args:
        length_B: tokens of each row.
        tokens: tokens a piece, padding included, at most (one row always fits).
        slack: padding allowed in a piece, as a part of its tokens.

    >>> [p.tolist() for p in pieces(torch.tensor([2, 9, 2, 9]))]
    [[0, 2], [1, 3]]
    """
    order = torch.argsort(length_B, stable=True)
    lengths = length_B[order].tolist()
    cuts, start, real = [], 0, 0
    for at, length in enumerate(lengths):
        area = length * (at - start + 1)
        if at > start and (area > tokens or area - (real + length) > slack * area):
            cuts.append(at - start)
            start, real = at, 0
        real += length
    cuts.append(len(lengths) - start)
    return list(order.split(cuts)) if len(lengths) else []


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
