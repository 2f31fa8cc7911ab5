"""Pairs of texts made ready for a model: each text tokenised once, each batch put together from ids.

Shapes: ``B`` rows of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from shopstill.data.pairs import PairTexts
from shopstill.data.tokens import Ragged, TextTokenizer


class JoinedFeed:
    """Pairs joined into one row each, for a cross-encoder. ``cost_N`` is the tokens of each row."""

    def __init__(self, tokenizer: TextTokenizer, pairs: PairTexts, limit: int) -> None:
        self._tokenizer, self._limit = tokenizer, limit
        self._queries, self._query_N = _tokens(tokenizer, pairs.queries, pairs.query_N)
        self._products, self._product_N = _tokens(tokenizer, pairs.products, pairs.product_N)
        self.cost_N = tokenizer.pair_lengths(self._queries, self._products, self._query_N, self._product_N, limit)

    def __len__(self) -> int:
        return len(self.cost_N)

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """``ids_S``, ``length_B`` and ``second_B`` of some rows."""
        query_B, product_B = self._query_N[rows], self._product_N[rows]
        joined = self._tokenizer.pairs(self._queries, self._products, query_B, product_B, self._limit)
        return {**_ragged("", joined.rows, "B"), "second_B": torch.from_numpy(joined.second_N).long()}


class ApartFeed:
    """Pairs whose sides are read apart: a batch holds each of its queries and products once."""

    def __init__(self, tokenizer: TextTokenizer, pairs: PairTexts, limits: tuple[int, int]) -> None:
        queries, self._query_N = _tokens(tokenizer, pairs.queries, pairs.query_N)
        products, self._product_N = _tokens(tokenizer, pairs.products, pairs.product_N)
        self._queries = tokenizer.singles(queries, np.arange(len(queries)), limits[0])
        self._products = tokenizer.singles(products, np.arange(len(products)), limits[1])
        self._lexical_NF = pairs.lexical_NF
        self.cost_N = self._products.length_N[self._product_N]

    def __len__(self) -> int:
        return len(self.cost_N)

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Distinct queries and products of some rows, which of them each row has, and its lexical features."""
        query_Q, query_B = np.unique(self._query_N[rows], return_inverse=True)
        product_P, product_B = np.unique(self._product_N[rows], return_inverse=True)
        lexical = self._lexical_NF
        features = torch.zeros(len(rows), 0) if lexical is None else torch.from_numpy(lexical[rows])
        return self._inputs(query_Q, product_P, query_B, product_B) | {"lexical_BF": features}

    def across(self, rows: np.ndarray) -> tuple[dict[str, Tensor], np.ndarray]:
        """All queries of some rows with all their products, for models without lexical features.

        Returns:
            The inputs, a query's pairs together; and [B] which row of the feed has the pair, -1 where none has.
        """
        query_Q, product_P = np.unique(self._query_N[rows]), np.unique(self._product_N[rows])
        query_B = np.repeat(np.arange(len(query_Q)), len(product_P))
        product_B = np.tile(np.arange(len(product_P)), len(query_Q))
        inputs = self._inputs(query_Q, product_P, query_B, product_B)
        key_B = query_Q[query_B] * len(self._products) + product_P[product_B]
        key_N, row_N = self._known
        place_B = np.minimum(np.searchsorted(key_N, key_B), len(key_N) - 1)
        row_B = np.where(key_N[place_B] == key_B, row_N[place_B], -1)
        return inputs | {"lexical_BF": torch.zeros(len(query_B), 0)}, row_B

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """A number of each pair, in order, and its row; of a pair that stands in several rows, the first."""
        return np.unique(self._query_N * len(self._products) + self._product_N, return_index=True)

    def _inputs(
        self, query_Q: np.ndarray, product_P: np.ndarray, query_B: np.ndarray, product_B: np.ndarray
    ) -> dict[str, Tensor]:
        return {
            **_ragged("query_", self._queries.take(query_Q), "Q"),
            **_ragged("product_", self._products.take(product_P), "P"),
            "query_B": torch.from_numpy(query_B),
            "product_B": torch.from_numpy(product_B),
        }


def _tokens(tokenizer: TextTokenizer, texts: Sequence[str], text_N: np.ndarray) -> tuple[Ragged, np.ndarray]:
    """The texts that some pair has, tokenised, and which of these each pair has."""
    used, place_N = np.unique(text_N, return_inverse=True)
    return tokenizer.encode([texts[i] for i in used.tolist()]), place_N


def _ragged(prefix: str, rows: Ragged, legend: str) -> dict[str, Tensor]:
    return {
        f"{prefix}ids_S": torch.from_numpy(rows.ids_S).long(),
        f"{prefix}length_{legend}": torch.from_numpy(rows.length_N).long(),
    }
