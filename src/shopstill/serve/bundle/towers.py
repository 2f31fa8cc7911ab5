"""Two towers' scores: products encoded ahead of time, static towers and the head in numpy.

Shapes: ``N`` candidates, ``T`` tokens, ``U`` tokens of the query, ``F`` lexical features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from shopstill.data.lexical import LexicalIndex
from shopstill.data.tokens import Ragged, TextTokenizer, padded
from shopstill.data.vectors import Codec
from shopstill.serve.bundle import lean
from shopstill.serve.bundle.cross import pieces
from shopstill.serve.bundle.lean import Asked, Products
from shopstill.serve.bundle.sessions import Sessions

_KEPT = 64
"""Queries that stay encoded."""


class Tower(Protocol):
    """One side."""

    def one(self, ids_U: np.ndarray) -> Asked:
        """Encode one query's ids."""
        ...

    def products(self, rows: Ragged) -> Products:
        """Encode products."""
        ...


class Towers:
    """Both towers and their head, with the tokenizer.

    Args:
        sessions: the bundle's graphs.
        tokenizer: its tokenizer.
        limits: tokens of a ``query`` and of a ``product``, at most.
        lexical: rarity of words, where the head takes lexical features.
    """

    def __init__(
        self, sessions: Sessions, tokenizer: TextTokenizer, limits: dict[str, int], lexical: LexicalIndex | None
    ) -> None:
        self.tokenizer, self.limits, self.lexical = tokenizer, limits, lexical
        arrays = sessions.constants("lean") if "lean" in sessions else {}
        self.query: Tower = _tower("query", arrays, sessions, tokenizer.pad)
        shared = "product" not in sessions
        self.product: Tower = self.query if shared else _tower("product", arrays, sessions, tokenizer.pad)
        self.head = lean.head(arrays) or GraphHead(sessions)
        self._asked: dict[str, Asked] = {}

    def ask(self, query: str) -> Asked:
        """A query, encoded; what was asked just now is kept, since a search finds with it and then scores with it."""
        kept = self._asked.get(query)
        if kept is None:
            kept = self.query.one(self.tokenizer.single(query, self.limits["query"]))
            if len(self._asked) >= _KEPT:
                self._asked.clear()
            self._asked[query] = kept
        return kept

    def encode(self, texts: Sequence[str]) -> Products:
        """Products, encoded."""
        ids = self.tokenizer.encode(texts)
        return self.product.products(self.tokenizer.singles(ids, np.arange(len(texts)), self.limits["product"]))


class TowersAhead:
    """Towers whose products are encoded ahead of time.

    Args:
        towers: the towers.
        products: P encoded products.
        lexical: index of the same products, where the head takes lexical features.
    """

    def __init__(self, towers: Towers, products: Products, lexical: LexicalIndex | None) -> None:
        self._towers, self.products, self.lexical = towers, products, lexical

    @classmethod
    def of(cls, towers: Towers, texts: Sequence[str], codec: Codec | None = None) -> TowersAhead:
        """Products from their texts, kept by a codec where one is given."""
        products = towers.encode(texts)
        if isinstance(towers.head, lean.Dot):
            products = products.without_tokens()
        if codec is not None and len(texts):
            products.keep(codec)
        return cls(towers, products, None if towers.lexical is None else towers.lexical.others(texts))

    def extend(self, texts: Sequence[str]) -> None:
        """Add products, kept as they are encoded; those that were there keep their places."""
        more = TowersAhead.of(self._towers, texts)
        self.products = self.products.joined(more.products)
        if self.lexical is not None:
            self.lexical.extend(texts)

    def score(self, query: str, candidates: np.ndarray, lexical: np.ndarray | None = None) -> np.ndarray:
        """Scores [N] of some products, given as positions, for a query; its lexical features may be given."""
        towers = self._towers
        asked = towers.ask(query)
        if self.lexical is not None and lexical is None:
            lexical = self.lexical.features(query, candidates)
        return towers.head(asked, self.products, candidates, lexical)


class GraphTower:
    """A side whose tokens' vectors depend on each other: its graph is run.

    Args:
        name: of the graph.
        sessions: the bundle's graphs.
        pad: id that fills a row.
    """

    def __init__(self, name: str, sessions: Sessions, pad: int) -> None:
        self._name, self._sessions, self._pad = name, sessions, pad

    def one(self, ids_U: np.ndarray) -> Asked:
        """Encode one query's ids."""
        ids = ids_U[None]
        tokens, weight, pooled = self._sessions.run(self._name, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return Asked(tokens=tokens[0], weight=weight[0], pooled=pooled[0])

    def products(self, rows: Ragged) -> Products:
        """Encode products, in pieces of like length."""
        order = np.argsort(rows.length_N, kind="stable")
        found = [self._piece(rows.take(order[cut])) for cut in pieces(rows.length_N[order])]
        if not found:
            return Products(np.zeros((0, 1), np.float32), np.zeros(0, np.int64), np.zeros((0, 1), np.float32))
        tokens, length, pooled = (np.concatenate(part) for part in zip(*found, strict=True))
        back = np.argsort(order)
        places = Ragged(ids_S=np.arange(len(tokens)), start_N=np.cumsum(length) - length, length_N=length).take(back)
        return Products(tokens[places.ids_S], places.length_N, pooled[back])

    def _piece(self, rows: Ragged) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ids, mask = padded(rows, self._pad)
        inputs = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        tokens, weight, pooled = self._sessions.run(self._name, inputs)
        return tokens[weight != 0], (weight != 0).sum(axis=1), pooled


class GraphHead:
    """A head that its dense weights do not say all of, such as one computed in int8: its graph is run."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def __call__(
        self, query: Asked, products: Products, candidates: np.ndarray, lexical: np.ndarray | None
    ) -> np.ndarray:
        """Scores [N]."""
        tokens, there = products.padded(candidates)
        inputs = {
            "query_tokens": query.tokens[None],
            "query_weight": query.weight[None],
            "query_pooled": query.pooled[None],
            "product_tokens": tokens,
            "product_weight": there,
            "product_pooled": products.pooled(candidates),
            "lexical": np.zeros((len(candidates), 0), np.float32) if lexical is None else lexical,
        }
        return self._sessions.run("head", inputs)[0]


def _tower(side: str, arrays: dict[str, np.ndarray], sessions: Sessions, pad: int) -> Tower:
    return lean.words(arrays, side) or GraphTower(side, sessions, pad)
