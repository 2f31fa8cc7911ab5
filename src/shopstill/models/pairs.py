"""Pairs of texts made ready for a model: each text tokenised once, each batch put together from ids.

Shapes: ``N`` pairs, ``B`` rows of a batch, ``F`` lexical features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shopstill.data.tokens import Pairs, Ragged, TextTokenizer


@dataclass(frozen=True, kw_only=True)
class PairTexts:
    """Pairs by number: pair n is ``queries[query_N[n]]`` with ``products[product_N[n]]``.

    Attributes:
        queries: distinct query texts.
        products: distinct product texts.
        query_N: which query.
        product_N: which product.
        lexical_NF: exact lexical features of each pair, for models that take them.
    """

    queries: Sequence[str]
    products: Sequence[str]
    query_N: np.ndarray
    product_N: np.ndarray
    lexical_NF: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.query_N)


class JoinedFeed:
    """Pairs joined into one row each, for a cross-encoder. ``cost_N`` is the tokens of each row."""

    def __init__(self, tokenizer: TextTokenizer, pairs: PairTexts, limit: int) -> None:
        queries, products = tokenizer.encode(pairs.queries), tokenizer.encode(pairs.products)
        self._pairs: Pairs = tokenizer.pairs(queries, products, pairs.query_N, pairs.product_N, limit)
        self.cost_N = self._pairs.rows.length_N

    def __len__(self) -> int:
        return len(self.cost_N)

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """``ids_S``, ``length_B`` and ``second_B`` of some rows."""
        taken = self._pairs.rows.take(rows)
        return {**_ragged("", taken, "B"), "second_B": torch.from_numpy(self._pairs.second_N[rows]).long()}


class ApartFeed:
    """Pairs whose sides are read apart: a batch holds each of its queries and products once."""

    def __init__(self, tokenizer: TextTokenizer, pairs: PairTexts, limits: tuple[int, int]) -> None:
        self._queries = _single(tokenizer, pairs.queries, limits[0])
        self._products = _single(tokenizer, pairs.products, limits[1])
        self._pairs = pairs
        self.cost_N = self._products.length_N[pairs.product_N]

    def __len__(self) -> int:
        return len(self._pairs)

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Distinct queries and products of some rows, which of them each row has, and its lexical features."""
        query_Q, query_B = np.unique(self._pairs.query_N[rows], return_inverse=True)
        product_P, product_B = np.unique(self._pairs.product_N[rows], return_inverse=True)
        lexical = self._pairs.lexical_NF
        return {
            **_ragged("query_", self._queries.take(query_Q), "Q"),
            **_ragged("product_", self._products.take(product_P), "P"),
            "query_B": torch.from_numpy(query_B),
            "product_B": torch.from_numpy(product_B),
            "lexical_BF": torch.zeros(len(rows), 0) if lexical is None else torch.from_numpy(lexical[rows]),
        }


def _single(tokenizer: TextTokenizer, texts: Sequence[str], limit: int) -> Ragged:
    return tokenizer.singles(tokenizer.encode(texts), np.arange(len(texts)), limit)


def _ragged(prefix: str, rows: Ragged, legend: str) -> dict[str, Tensor]:
    return {
        f"{prefix}ids_S": torch.from_numpy(rows.ids_S).long(),
        f"{prefix}length_{legend}": torch.from_numpy(rows.length_N).long(),
    }
