"""Two towers: query and product are read apart, so that products are encoded ahead of time.

Each tower gives token vectors and one pooled vector. The ``dot`` head compares the pooled vectors; the ``interaction`` head
also matches every query token with its best product tokens, takes exact lexical features, and lets a small network weigh
it all, so that scoring a candidate costs a few dot products.

Shapes: ``B`` pairs, ``Q`` queries, ``P`` products, ``T`` tokens of a padded text, ``D`` width of the vectors, ``F`` lexical features.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.core.config import config
from shopstill.data.tokens import TextTokenizer
from shopstill.models.encoder import Encoder, pieces
from shopstill.models.pairs import ApartFeed, PairTexts
from shopstill.types import Signals


@config
class Static:
    """A tower of token embeddings alone: the mean of the tokens' vectors, each with a learned weight."""

    kind: Literal["static"] = "static"
    start: str | None = "all-minilm-l6-v2"
    max_tokens: int = Field(default=48, ge=4, le=512)


@config
class Transformer:
    """A tower with a transformer: a pretrained ``start`` (all its layers, or some), or random weights of the given size."""

    kind: Literal["transformer"] = "transformer"
    start: str | None = "splade-tiny"
    layers: tuple[int, ...] | None = None
    width: int = Field(default=128, ge=8)
    depth: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    max_tokens: int = Field(default=48, ge=4, le=512)


Tower = Annotated[Static | Transformer, Field(discriminator="kind")]


@config
class Towers:
    """Two towers and the head that compares them. With ``shared`` the product tower's weights serve both sides."""

    kind: Literal["towers"] = "towers"
    query: Tower = Field(default_factory=Static)
    product: Tower = Field(default_factory=Static)
    shared: bool = False
    width: int = Field(default=64, ge=8)
    head: Literal["dot", "interaction"] = "dot"
    hidden: int = Field(default=64, ge=4)
    dropout: float = Field(default=0.1, ge=0, lt=1)


class TokenTower(nn.Module):
    """Texts to token vectors [·, T, D] of length one, their weights [·, T] that sum to one, and pooled vectors [·, D].

    Args:
        body: a token table, or an encoder.
        width: D.
    """

    def __init__(self, body: nn.Embedding | Encoder, width: int) -> None:
        super().__init__()
        self.body = body
        inner = body.size.width if isinstance(body, Encoder) else body.embedding_dim
        self.project = nn.Linear(inner, width, bias=False)
        vocab = body.size.vocab if isinstance(body, Encoder) else body.num_embeddings
        self.importance = nn.Embedding(vocab, 1)
        nn.init.zeros_(self.importance.weight)
        nn.init.orthogonal_(self.project.weight)

    def forward(self, ids_S: Tensor, length_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Token vectors, their weights (0 at padding) and pooled vectors of texts given end to end."""
        start = torch.cumsum(length_N, 0) - length_N
        place = torch.arange(int(length_N.max()), device=ids_S.device)
        mask = place < length_N[:, None]
        ids = (ids_S[(start[:, None] + place).clamp(max=len(ids_S) - 1)] * mask).long()
        hidden = self._encode(ids, mask, length_N) if isinstance(self.body, Encoder) else self.body(ids)
        vectors = self.project(hidden)
        weight = self.importance(ids).squeeze(-1).masked_fill(~mask, -torch.inf).softmax(-1)
        pooled = F.normalize((weight.unsqueeze(-1) * vectors).sum(1), dim=-1)
        return F.normalize(vectors, dim=-1) * mask.unsqueeze(-1), weight, pooled

    def _encode(self, ids_NT: Tensor, mask_NT: Tensor, length_N: Tensor) -> Tensor:
        """The encoder's states, run in pieces of like length and put back into one rectangle."""
        out, order = [], pieces(length_N.cpu())
        for rows in (r.to(ids_NT.device) for r in order):
            longest = int(length_N[rows].max())
            mask = mask_NT[rows, :longest]
            states = self.body(ids_NT[rows, :longest], None if bool(mask.all()) else mask)
            out.append(F.pad(states, (0, 0, 0, ids_NT.shape[1] - longest)))
        return torch.cat(out)[torch.argsort(torch.cat(order)).to(ids_NT.device)]


_KERNELS = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1, -0.1, -0.3)
_SHARPNESS = 0.1


class InteractionHead(nn.Module):
    """Score of a pair from its token matches, its pooled vectors and its lexical features.

    A query token's match with a title is read as its best cosine and as soft counts around a few levels of cosine
    (kernel pooling: Xiong et al. 2017, https://arxiv.org/abs/1706.06613); the tokens' weights average both.
    """

    def __init__(self, width: int, lexical: int, hidden: int, dropout: float) -> None:
        super().__init__()
        matches = 2 + len(_KERNELS)
        self.match_norm = nn.BatchNorm1d(matches + lexical)
        self.matched = nn.Linear(matches + lexical, hidden)
        self.product_of = nn.Linear(width, hidden, bias=False)
        self.query_alone = nn.Linear(width, hidden, bias=False)
        self.product_alone = nn.Linear(width, hidden, bias=False)
        self.middle = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, query: tuple[Tensor, Tensor, Tensor], product: tuple[Tensor, Tensor, Tensor], lexical_BF: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Scores [B] and the last hidden layer [B, hidden]; both sides are given per pair."""
        matched = torch.cat([self.match(query, product), lexical_BF], -1)
        q_BD, p_BD = query[2], product[2]
        mixed = self.matched(self.match_norm(matched)) + self.product_of(q_BD * p_BD * q_BD.shape[-1] ** 0.5)
        mixed = mixed + self.query_alone(q_BD) + self.product_alone(p_BD)
        hidden = F.relu(self.middle(self.dropout(F.relu(mixed))))
        return self.out(self.dropout(hidden)).squeeze(-1), hidden

    def match(self, query: tuple[Tensor, Tensor, Tensor], product: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """[B, 2 + kernels]: weighted mean and minimum of the best cosines, weighted soft counts."""
        tokens, weight_BT, _ = query
        cosine = product[0] @ tokens.transpose(1, 2)
        present = (product[1] > 0).unsqueeze(-1)
        best = cosine.masked_fill(~present, -1.0).amax(1)
        worst = best.masked_fill(weight_BT == 0, 1.0).amin(-1)
        counts = [
            (torch.exp(-((cosine - level) ** 2) / (2 * _SHARPNESS**2)) * present).sum(1).log1p() for level in _KERNELS
        ]
        means = [(weight_BT * value).sum(-1) for value in (best, *counts)]
        return torch.stack([*means, worst], -1)


class TwoTowers(nn.Module):
    """Query tower, product tower, head.

    Args:
        query: tower of the queries.
        product: tower of the products; the same object where weights are shared.
        config: the configuration, kept for saving.
        lexical: F, the number of lexical features the head takes (0 for the ``dot`` head).
    """

    def __init__(self, query: TokenTower, product: TokenTower, config: Towers, lexical: int) -> None:
        super().__init__()
        self.config = config
        self.query = query
        self.product = product
        self.lexical = lexical
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.bias = nn.Parameter(torch.tensor(0.0))
        if config.head == "interaction":
            self.head = InteractionHead(config.width, lexical, config.hidden, config.dropout)

    def forward(
        self,
        query_ids_S: Tensor,
        query_length_Q: Tensor,
        product_ids_S: Tensor,
        product_length_P: Tensor,
        query_B: Tensor,
        product_B: Tensor,
        lexical_BF: Tensor,
    ) -> Signals:
        """Score pairs whose query and product are rows of the texts given.

        Returns:
            logits [B]; features ``query`` and ``product`` [B, D]: the pooled vectors.
        """
        queries = self.query(query_ids_S, query_length_Q)
        products = self.product(product_ids_S, product_length_P)
        return self.score(tuple(x[query_B] for x in queries), tuple(x[product_B] for x in products), lexical_BF)

    def feed(self, tokenizer: TextTokenizer, pairs: PairTexts) -> ApartFeed:
        """Pairs made ready for ``forward``."""
        return ApartFeed(tokenizer, pairs, (self.config.query.max_tokens, self.config.product.max_tokens))

    def score(self, query: tuple[Tensor, ...], product: tuple[Tensor, ...], lexical_BF: Tensor) -> Signals:
        """Score pairs whose sides are encoded: (token vectors, weights, pooled vectors), a row a pair."""
        features = {"query": query[2], "product": product[2]}
        if self.config.head == "interaction":
            logits, hidden = self.head(query, product, lexical_BF)
            return Signals(logits=logits, features={**features, "hidden": hidden})
        cosine = (query[2] * product[2]).sum(-1)
        return Signals(logits=cosine * self.scale + self.bias, features=features)
