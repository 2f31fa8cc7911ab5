"""Pairs of a query and a product, each text held once.

Shapes: ``N`` pairs, ``F`` lexical features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopstill.core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class PairTexts:
    """Pairs by number: pair n is ``queries[query_N[n]]`` with ``products[product_N[n]]``.

    Attributes:
        queries: query texts.
        products: product texts.
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

    @staticmethod
    def of(pairs: pa.Table, queries: pa.Table, products: pa.Table, *, text: str = "title") -> PairTexts:
        """Pairs from tables of ids: ``pairs`` (query_id, product_id), ``queries`` (query_id, text) and ``products``.

        Args:
            pairs: the pairs, in the order that is kept.
            queries: their queries.
            products: their products.
            text: the column of ``products`` that is read.

        Raises:
            DataError: a pair names a query or product that is not there.

        >>> queries = pa.table({"query_id": ["q"], "text": ["mug"]})
        >>> products = pa.table({"product_id": ["a", "b"], "title": ["red mug", "chair"]})
        >>> PairTexts.of(pa.table({"query_id": ["q"], "product_id": ["b"]}), queries, products).texts([0])
        (['mug'], ['chair'])
        """
        return PairTexts(
            queries=queries.column("text").to_pylist(),
            products=products.column(text).to_pylist(),
            query_N=places(pairs.column("query_id"), queries.column("query_id"), "query_id"),
            product_N=places(pairs.column("product_id"), products.column("product_id"), "product_id"),
        )

    def texts(self, rows: Sequence[int] | np.ndarray) -> tuple[list[str], list[str]]:
        """Query texts and product texts of some pairs."""
        query, product = (np.asarray(side)[np.asarray(rows, np.int64)] for side in (self.query_N, self.product_N))
        return [self.queries[i] for i in query], [self.products[i] for i in product]


def places(values: pa.ChunkedArray, among: pa.Array | pa.ChunkedArray, what: str) -> np.ndarray:
    """Where each value stands among others [N].

    Raises:
        DataError: a value is not there.
    """
    among = among.combine_chunks() if isinstance(among, pa.ChunkedArray) else among
    found = pc.index_in(values, value_set=among)
    if found.null_count:
        unknown = values.filter(pc.is_null(found))[0].as_py()
        raise DataError(f"pairs: {found.null_count:,} rows have a {what} that is not known, such as {unknown!r}")
    return np.asarray(found.to_numpy(), np.int64)
