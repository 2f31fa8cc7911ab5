"""Two towers: query and product are read apart, so that products are encoded ahead of time.

Each tower gives token vectors and one pooled vector. The ``dot`` head compares the pooled vectors; the ``interaction``
head also matches every query token with its best product tokens, takes exact lexical features, and lets a small network
weigh it all, so that scoring a candidate costs a few dot products.

Shapes: ``B`` pairs, ``Q`` queries, ``P`` products, ``T`` tokens of a padded text, ``D`` width of the vectors, ``F``
lexical features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.core.config import config
from shopstill.data.pairs import PairTexts
from shopstill.data.tokens import TextTokenizer
from shopstill.models._sides import Features, Pooled, Side
from shopstill.models.compact._part import Table
from shopstill.models.encoder import check_heads
from shopstill.models.foreign import AnyEncoder
from shopstill.models.pairs import ApartFeed
from shopstill.types import Signals


@config
class Static:
    """A tower of token embeddings alone: the mean of the tokens' vectors, each with a learned weight.

    Its vectors begin as the ``input`` of the start's first layer, or as the ``output`` of its last one for each token
    by itself (as in Model2Vec, https://github.com/MinishLab/model2vec), which takes a minute.
    """

    kind: Literal["static"] = "static"
    start: str | None = "all-minilm-l6-v2"
    vectors: Literal["input", "output"] = "input"
    max_tokens: int = Field(default=48, ge=4, le=512)


@config
class Transformer:
    """A tower with a transformer: a pretrained ``start`` (all its layers, or some), or random weights."""

    kind: Literal["transformer"] = "transformer"
    start: str | None = "splade-tiny"
    layers: tuple[int, ...] | None = None
    width: int = Field(default=128, ge=8)
    depth: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    max_tokens: int = Field(default=48, ge=4, le=512)

    def __post_init__(self) -> None:
        if self.start is None:
            check_heads(self.width, self.heads)


Tower = Annotated[Static | Transformer, Field(discriminator="kind")]


@config
class Towers:
    """Two towers and the head that compares them.

    With ``shared`` one tower reads both sides; with ``shared: tokens`` both have the same tokens' vectors, and each
    side weighs them by an importance of its own: a word that says much in a query may say little in a title.
    """

    kind: Literal["towers"] = "towers"
    query: Tower = Field(default_factory=Static)
    product: Tower = Field(default_factory=Static)
    shared: bool | Literal["tokens"] = False
    width: int = Field(default=64, ge=8)
    head: Literal["dot", "interaction"] = "dot"
    hidden: int = Field(default=64, ge=4)
    dropout: float = Field(default=0.1, ge=0, lt=1)


class TokenTower(nn.Module):
    """Texts to ``Side``: from a token table, or from an encoder.

    Args:
        body: a token table, or an encoder.
        width: D.
    """

    def __init__(self, body: Table | AnyEncoder, width: int) -> None:
        super().__init__()
        self.body = body
        inner = body.embedding_dim if isinstance(body, Table) else body.size.width
        self.project = nn.Linear(inner, width, bias=False)
        vocab = body.num_embeddings if isinstance(body, Table) else body.size.vocab
        self.importance = nn.Embedding(vocab, 1)
        nn.init.zeros_(self.importance.weight)
        nn.init.orthogonal_(self.project.weight)

    def forward(self, ids_S: Tensor, length_N: Tensor) -> Side:
        """Texts given end to end."""
        ids, mask = rectangle(ids_S, length_N)
        hidden = self.body(ids) if isinstance(self.body, Table) else self._encode(ids, mask, length_N)
        return self._side(ids, hidden, mask)

    def padded(self, ids_NT: Tensor, mask_NT: Tensor) -> Side:
        """Texts given as a rectangle, in steps whose shapes depend on no values: what an exported graph holds."""
        vectors = self.project(self.body(ids_NT) if isinstance(self.body, Table) else self.body(ids_NT, mask_NT))
        weight = self.importance(ids_NT).squeeze(-1).masked_fill(~mask_NT, -torch.inf).softmax(-1)
        pooled = F.normalize((weight.unsqueeze(1) @ vectors).squeeze(1), dim=-1)
        return Side(F.normalize(vectors * mask_NT.unsqueeze(-1), dim=-1), weight, pooled)

    def pool(self, ids_S: Tensor, length_N: Tensor) -> Tensor:
        """Their pooled vectors [·, D] alone, averaged before they are projected: no vector is made for each token."""
        ids, mask = rectangle(ids_S, length_N)
        weight = self._weight(ids, mask)
        if isinstance(self.body, nn.Embedding):
            start = torch.cumsum(length_N, 0) - length_N
            mean = F.embedding_bag(ids_S, self.body.weight, start, mode="sum", per_sample_weights=weight[mask])
        else:
            hidden = self.body(ids) if isinstance(self.body, Table) else self._encode(ids, mask, length_N)
            mean = (weight.unsqueeze(1) @ hidden).squeeze(1)
        return F.normalize(self.project(mean), dim=-1)

    def one(self, ids_T: Tensor) -> Side:
        """A single text, without what several need."""
        ids = ids_T.unsqueeze(0)
        return self._side(ids, self.body(ids), None)

    def _side(self, ids_NT: Tensor, hidden: Tensor, mask_NT: Tensor | None) -> Side:
        vectors, weight = self.project(hidden), self._weight(ids_NT, mask_NT)
        pooled = F.normalize((weight.unsqueeze(1) @ vectors).squeeze(1), dim=-1)
        return Side(F.normalize(vectors, dim=-1), weight, pooled)

    def _weight(self, ids_NT: Tensor, mask_NT: Tensor | None) -> Tensor:
        if mask_NT is None:
            return self.importance(ids_NT).squeeze(-1).softmax(-1)
        slot_S = mask_NT.flatten().nonzero().squeeze(1)
        weight_S = self.importance.weight.squeeze(-1).index_select(0, ids_NT.flatten().index_select(0, slot_S))
        whole = weight_S.new_full((mask_NT.numel(),), -torch.inf).index_copy(0, slot_S, weight_S)
        return whole.view(mask_NT.shape).softmax(-1)

    def _encode(self, ids_NT: Tensor, mask_NT: Tensor, length_N: Tensor) -> Tensor:
        assert not isinstance(self.body, Table)
        return encoded(self.body, ids_NT, mask_NT, length_N)


def encoded(encoder: AnyEncoder, ids_NT: Tensor, mask_NT: Tensor, length_N: Tensor) -> Tensor:
    """An encoder's states [·, T, D], run in pieces of texts of like length and put back into one rectangle."""
    out, order = [], encoder.pieces(length_N.cpu())
    for rows in (r.to(ids_NT.device) for r in order):
        longest = int(length_N[rows].max())
        mask = mask_NT[rows, :longest]
        states = encoder(ids_NT[rows, :longest], None if bool(mask.all()) else mask)
        out.append(F.pad(states, (0, 0, 0, ids_NT.shape[1] - longest)))
    return torch.cat(out)[torch.argsort(torch.cat(order)).to(ids_NT.device)]


def rectangle(ids_S: Tensor, length_N: Tensor) -> tuple[Tensor, Tensor]:
    """Ids [·, T] of texts given end to end, and where they stand."""
    start = torch.cumsum(length_N, 0) - length_N
    place = torch.arange(int(length_N.max()), device=ids_S.device)
    mask = place < length_N[:, None]
    return (ids_S[(start[:, None] + place).clamp(max=len(ids_S) - 1)] * mask).long(), mask


LEVELS = (0.9, 0.6, 0.3, 0.0)
SPREAD = 0.15
ABSENT = -1.0
"""Levels of cosine around which matches are counted, how wide, and the cosine that padding stands for."""


class InteractionHead(nn.Module):
    """Score of a pair from its token matches, its pooled vectors and its lexical features.

    A query token's match with a title is read as its best cosine and as soft counts around a few levels of cosine
    (kernel pooling: Xiong et al. 2017, https://arxiv.org/abs/1706.06613); the tokens' weights average both.
    """

    levels: Tensor

    def __init__(self, width: int, lexical: int, hidden: int, dropout: float) -> None:
        super().__init__()
        read = 2 + len(LEVELS) + lexical
        self.norm = nn.BatchNorm1d(read)
        self.matched = nn.Linear(read, hidden)
        self.product_of = nn.Linear(width, hidden, bias=False)
        self.query_alone = nn.Linear(width, hidden, bias=False)
        self.product_alone = nn.Linear(width, hidden, bias=False)
        self.middle = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 1)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("levels", torch.tensor(LEVELS), persistent=False)

    def forward(self, query: Side, product: Side, lexical_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [B] and the last hidden layer [B, hidden]; one query against all products, or one for each."""
        read = self.norm(torch.cat([self.match(query, product), lexical_BF], -1))
        scaled = query.pooled * query.pooled.shape[-1] ** 0.5
        mixed = self.matched(read) + self.product_of(scaled * product.pooled)
        mixed = mixed + self.query_alone(query.pooled) + self.product_alone(product.pooled)
        hidden = F.relu(self.middle(self.dropout(F.relu(mixed))))
        return self.out(self.dropout(hidden)).squeeze(-1), hidden

    def match(self, query: Side, product: Side) -> Tensor:
        """[B, 2 + levels]: mean and least of the query tokens' best cosines, and their soft counts, weighted."""
        cosine = _cosines(product.tokens, query.tokens).masked_fill((product.weight == 0).unsqueeze(-1), ABSENT)
        best = cosine.amax(1)
        away = cosine.unsqueeze(1) - self.levels[:, None, None]
        counts = torch.exp(away * away * (-0.5 / SPREAD**2)).sum(2).log1p()
        means = (torch.cat([best.unsqueeze(1), counts], 1) * query.weight.unsqueeze(1)).sum(-1)
        worst = best.masked_fill(query.weight == 0, 1.0).amin(-1, keepdim=True)
        return torch.cat([means, worst], -1)


def _cosines(product_BTD: Tensor, query_BTD: Tensor) -> Tensor:
    """[B, T of the product, T of the query]; one query against all products is a single matrix product."""
    if len(query_BTD) == 1:
        return (product_BTD.flatten(0, 1) @ query_BTD[0].T).unflatten(0, product_BTD.shape[:2])
    return product_BTD @ query_BTD.transpose(1, 2)


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
        if self.config.head == "dot":
            query = Pooled(self.query.pool(query_ids_S, query_length_Q), query_B)
            return self._compared(query, Pooled(self.product.pool(product_ids_S, product_length_P), product_B))
        query = self.query(query_ids_S, query_length_Q).take(query_B)
        product = self.product(product_ids_S, product_length_P).take(product_B)
        return self.score(query, product, lexical_BF)

    def feed(self, tokenizer: TextTokenizer, pairs: PairTexts) -> ApartFeed:
        """Pairs made ready for ``forward``."""
        return ApartFeed(tokenizer, pairs, (self.config.query.max_tokens, self.config.product.max_tokens))

    def score(self, query: Side, product: Side, lexical_BF: Tensor) -> Signals:
        """Score encoded pairs; one query may stand against all products, or one for each."""
        if self.config.head == "dot":
            cosine_B = (query.pooled * product.pooled).sum(-1)
            return self._scaled(cosine_B, {"query": query.pooled, "product": product.pooled})
        logits, hidden = self.head(query, product, lexical_BF)
        return Signals(logits=logits, features={"query": query.pooled, "product": product.pooled, "hidden": hidden})

    def _compared(self, query: Pooled, product: Pooled) -> Signals:
        features = Features(query=query, product=product)
        if len(query.row_B) <= len(query.vectors) + len(product.vectors):
            return self._scaled((features["query"] * features["product"]).sum(-1), features)
        # More pairs than texts, such as all queries of a batch with all its products: one product of matrices.
        return self._scaled((query.vectors @ product.vectors.T)[query.row_B, product.row_B], features)

    def _scaled(self, cosine_B: Tensor, features: Mapping[str, Tensor]) -> Signals:
        return Signals(logits=cosine_B * self.scale + self.bias, features=features)
