"""Scoring one query at a time, with everything about the products done ahead of time: what a shopper waits for.

Shapes: ``P`` products, ``N`` candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from shopstill.data.lexical import LexicalIndex
from shopstill.data.tokens import Ragged
from shopstill.models._sides import Side
from shopstill.models.build import TextModel
from shopstill.models.cross import CrossEncoder
from shopstill.models.joint import JointModel
from shopstill.models.lean import arrays, fits
from shopstill.models.towers import TokenTower, TwoTowers
from shopstill.serve.bundle import lean
from shopstill.serve.bundle.lean import Asked, Products

_ENCODED_AT_ONCE = 512
_NO_FEATURES = np.zeros((0, 0), np.float32)


class CrossAhead:
    """A cross-encoder whose titles are tokenised ahead of time.

    Args:
        model: the cross-encoder with its tokenizer.
        products: P product texts.
    """

    def __init__(self, model: TextModel, products: Sequence[str]) -> None:
        assert isinstance(model.network, CrossEncoder)
        self._network, self._tokenizer = model.network.eval(), model.tokenizer
        self._products = model.tokenizer.encode(products)

    @torch.inference_mode()
    def score(self, query: str, candidates: np.ndarray) -> np.ndarray:
        """Scores [N] of some products, given as positions, for a query."""
        asked = self._tokenizer.encode([query])
        limit = self._network.config.max_tokens
        pairs = self._tokenizer.pairs(asked, self._products, np.zeros(len(candidates), np.int64), candidates, limit)
        signals = self._network(
            torch.from_numpy(pairs.rows.ids_S).long(),
            torch.from_numpy(pairs.rows.length_N).long(),
            torch.from_numpy(pairs.second_N).long(),
        )
        return np.asarray(signals.logits.float().numpy())


class TowersAhead:
    """Two towers whose products are encoded ahead of time.

    Args:
        model: the towers with their tokenizer.
        products: P product texts.
        lexical: index of the same products, in the same order, for the ``interaction`` head.
    """

    @torch.inference_mode()
    def __init__(self, model: TextModel, products: Sequence[str], lexical: LexicalIndex | None = None) -> None:
        assert isinstance(model.network, TwoTowers)
        self._network, self._tokenizer, self._lexical = model.network.eval(), model.tokenizer, lexical
        self._query_limit = model.network.config.query.max_tokens
        given = arrays(model.network, fits(model.network))
        held = {name: np.array(value.float().numpy(), order="C") for name, value in given.items()}
        self._head = lean.head(held) or _Head(model.network)
        one = model.network.config.shared is True
        sides = {side: lean.words(held, side) for side in ("query", "query" if one else "product")}
        self._query = sides["query"] or _Reader(model.network.query)
        rows = self._tokenizer.singles(
            self._tokenizer.encode(products), np.arange(len(products)), model.network.config.product.max_tokens
        )
        words = sides.get("product", sides["query"])
        self._products = self._encode(rows) if words is None else words.products(rows)

    @torch.inference_mode()
    def score(self, query: str, candidates: np.ndarray) -> np.ndarray:
        """Scores [N] of some products, given as positions, for a query."""
        asked = self._query.one(self._tokenizer.single(query, self._query_limit))
        lexical = _NO_FEATURES if self._lexical is None else self._lexical.features(query, candidates)
        return self._head(asked, self._products, candidates, lexical)

    def _encode(self, rows: Ragged) -> Products:
        parts, longest = [], int(rows.length_N.max(initial=0))
        for at in range(0, len(rows), _ENCODED_AT_ONCE):
            piece = rows.take(np.arange(at, min(at + _ENCODED_AT_ONCE, len(rows))))
            ids, length = torch.from_numpy(piece.ids_S).long(), torch.from_numpy(piece.length_N).long()
            vectors, weight, pooled = self._network.product(ids, length)
            short = longest - weight.shape[1]
            pad = torch.nn.functional.pad
            parts.append((pad(vectors, (0, 0, 0, short)), pad(weight, (0, short)), pooled))
        return Products.of(*(torch.cat(side).float().numpy() for side in zip(*parts, strict=True)))


class _Reader:
    """A query tower with an encoder, in PyTorch."""

    def __init__(self, tower: TokenTower) -> None:
        self._tower = tower

    def one(self, ids_U: np.ndarray) -> Asked:
        """Encode one query's ids."""
        side = self._tower.one(torch.from_numpy(ids_U))
        return Asked(**{name: part[0].float().numpy() for name, part in side._asdict().items()})


class _Head:
    """A head that its dense weights do not say all of, in PyTorch."""

    def __init__(self, network: TwoTowers) -> None:
        self._network = network

    def __call__(
        self, query: Asked, products: Products, candidates: np.ndarray, lexical: np.ndarray | None
    ) -> np.ndarray:
        """Scores [N]."""
        tokens, there = products.padded(candidates)
        asked = (torch.from_numpy(part)[None] for part in (query.tokens, query.weight, query.pooled))
        held = (torch.from_numpy(part) for part in (tokens, there, products.pooled(candidates)))
        given = torch.from_numpy(_NO_FEATURES if lexical is None else lexical)
        return np.asarray(self._network.score(Side(*asked), Side(*held), given).logits.numpy())


class JointAhead:
    """A joint model: its cross-encoder and its towers, each with the products done.

    Args:
        model: the joint model with its tokenizer and what its lexical features were learned with.
        products: P product texts.
    """

    def __init__(self, model: TextModel, products: Sequence[str]) -> None:
        assert isinstance(model.network, JointModel)
        self._parts = [ahead(replace(model, network=n), products) for n in (model.network.cross, model.network.towers)]

    def score(self, query: str, candidates: np.ndarray) -> np.ndarray:
        """Scores [N] of some products, given as positions, for a query."""
        return np.asarray(np.add(*(part.score(query, candidates) for part in self._parts)))


Ahead = CrossAhead | TowersAhead | JointAhead


def ahead(model: TextModel, products: Sequence[str]) -> Ahead:
    """A model with everything about the products done: titles tokenised, or encoded with their lexical features."""
    if isinstance(model.network, JointModel):
        return JointAhead(model, products)
    if isinstance(model.network, CrossEncoder):
        return CrossAhead(model, products)
    return TowersAhead(model, products, None if model.lexical is None else model.lexical.others(products))
