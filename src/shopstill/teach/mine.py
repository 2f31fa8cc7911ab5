"""Augmentation: pairs that no human judged, mined from the catalogue for the teacher to label.

Shape legend: ``Q`` queries, ``K`` candidates a query.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import DataError
from shopstill.core.progress import progress
from shopstill.data.bm25 import BM25
from shopstill.data.shop import Shop
from shopstill.teach.pseudo import cut_queries, varied_queries

MINED = pa.schema(
    [
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
    ]
)
"""``source`` is bm25, others, neighbours or random: the first that gave the pair."""

_QUERIES_AT_ONCE = 512
_SEEDS = 2
_SPARE = 8


@config
class Mine:
    """How many pairs are mined for each query, at most, from each source.

    Attributes:
        bm25: the best of the catalogue by BM25 on titles.
        others: products judged for the most similar other queries given: near misses.
        neighbours: products whose titles are most similar to those judged for the query: near duplicates.
        random: products drawn from the whole catalogue.
        cut_queries: how many queries to make of words that stand together in titles; they are mined like the others.
        varied_queries: how many queries to make of training queries, with a word left out, added or changed.
    """

    bm25: int = Field(default=20, ge=0)
    others: int = Field(default=4, ge=0)
    neighbours: int = Field(default=4, ge=0)
    random: int = Field(default=4, ge=0)
    cut_queries: int = Field(default=0, ge=0)
    varied_queries: int = Field(default=0, ge=0)


@dataclass(frozen=True, kw_only=True)
class Mined:
    """What was mined.

    Attributes:
        pairs: query_id, product_id, source; each pair once.
        queries: the queries that were made up: query_id, text.
    """

    pairs: pa.Table
    queries: pa.Table


def mine(shop: Shop, query_ids: Sequence[str], how: Mine | None = None, seed: int = 0) -> Mined:
    """Mine pairs for the queries given, and for no other; never a pair that was judged.

    What is drawn for a query depends on the seed and the query alone, not on the queries beside it.

    Args:
        shop: the catalogue, queries and judgments.
        query_ids: the training queries; judgments of other queries are not looked at.
        how: how many of which kind.
        seed: of everything drawn.

    Raises:
        DataError: a query id is unknown or given twice, or the shop has no products.
    """
    how = how or Mine()
    products = shop.read("products", ["product_id", "title"])
    titles = products.column("title").to_pylist()
    if not titles:
        raise DataError(f"{shop.path}: has no products to mine; check the catalogue's reader")
    texts = _texts(shop, query_ids)
    judged = _judged(shop, query_ids, products.column("product_id"))
    known = shop.read("queries", ["text"]).column("text").to_pylist()
    cut = cut_queries(titles, how.cut_queries, seed, known)
    varied = varied_queries(texts, how.varied_queries, seed, [*known, *cut.column("text").to_pylist()])
    pseudo = pa.concat_tables([cut, varied])
    ids = [*query_ids, *pseudo.column("query_id").to_pylist()]
    miner = _Miner(titles, [*texts, *pseudo.column("text").to_pylist()], [*judged, *([[]] * len(pseudo))], how)
    pieces = [pa.RecordBatch.from_pylist([], MINED)]
    with progress("mining", len(ids), "queries") as bar:
        for start in range(0, len(ids), _QUERIES_AT_ONCE):
            these = range(start, min(start + _QUERIES_AT_ONCE, len(ids)))
            found = list(miner.mine(these, [_random(seed, ids[q]) for q in these]))
            pieces.append(_batch(ids, products.column("product_id"), found))
            bar.advance(len(these))
    return Mined(pairs=pa.Table.from_batches(pieces, MINED), queries=pseudo)


class _Miner:
    """The sources, over one BM25 index of titles and one of queries."""

    def __init__(self, titles: list[str], texts: list[str], judged: Sequence[Sequence[int]], how: Mine) -> None:
        self._titles, self._texts, self._judged, self._how = titles, texts, judged, how
        self._products = BM25.build(titles)
        self._queries = BM25.build(texts) if how.others else None

    def mine(self, queries: range, randoms: Sequence[np.random.Generator]) -> Iterator[tuple[int, int, str]]:
        """(query, product, source) as positions, for a run of queries."""
        drawn = [
            {
                "neighbours": neighbours,
                "random": random.integers(len(self._titles), size=self._how.random + _SPARE).tolist(),
            }
            for neighbours, random in zip(self._neighbours(queries, randoms), randoms, strict=True)
        ]
        best, others = self._best(queries), self._others(queries)
        for place, query in enumerate(queries):
            seen = set(self._judged[query])
            sources = {"bm25": best[place], "others": others[place], **drawn[place]}
            for source, candidates in sources.items():
                fresh = [p for p in dict.fromkeys(candidates) if p >= 0 and p not in seen][: getattr(self._how, source)]
                seen.update(fresh)
                yield from ((query, product, source) for product in fresh)

    def _best(self, queries: range) -> list[list[int]]:
        if not self._how.bm25:
            return [[]] * len(queries)
        # Judged products take places among the best; as many more are asked for.
        most = max(len(self._judged[query]) for query in queries)
        found, _ = self._products.top([self._texts[query] for query in queries], self._how.bm25 + most)
        return [list(row) for row in found.tolist()]

    def _others(self, queries: range) -> list[list[int]]:
        if self._queries is None:
            return [[]] * len(queries)
        near, _ = self._queries.top([self._texts[query] for query in queries], 1 + self._how.others)
        return [
            [product for other in row if other >= 0 and other != query for product in self._judged[other]]
            for query, row in zip(queries, near.tolist(), strict=True)
        ]

    def _neighbours(self, queries: range, randoms: Sequence[np.random.Generator]) -> list[list[int]]:
        """Titles most like those of a few judged products, in turn."""
        if not self._how.neighbours:
            return [[]] * len(queries)
        seeds = [
            random.permutation(np.asarray(self._judged[query], np.int64))[:_SEEDS].tolist()
            for query, random in zip(queries, randoms, strict=True)
        ]
        flat = [self._titles[product] for each in seeds for product in each]
        near, _ = self._products.top(flat, self._how.neighbours + _SPARE)
        rows = iter(near.tolist())
        found = [[next(rows) for _ in each] for each in seeds]
        return [[product for turn in zip(*each, strict=True) for product in turn] for each in found]


def _texts(shop: Shop, query_ids: Sequence[str]) -> list[str]:
    table = shop.read("queries", ["query_id", "text"])
    if len(set(query_ids)) != len(query_ids):
        raise DataError("mine: a query id is given twice; give each once")
    place = pc.index_in(pa.array(query_ids, pa.string()), table.column("query_id").combine_chunks())
    if place.null_count:
        unknown = query_ids[place.is_null().index(True).as_py()]
        raise DataError(f"mine: query {unknown!r} is not in the shop; give ids from its queries table")
    texts: list[str] = table.column("text").take(place).to_pylist()
    return texts


def _judged(shop: Shop, query_ids: Sequence[str], product_ids: pa.ChunkedArray) -> list[list[int]]:
    """Positions of the products judged for each query."""
    judged: list[list[int]] = [[] for _ in query_ids]
    ids, products = pa.array(query_ids, pa.string()), product_ids.combine_chunks()
    for batch in shop.scan("judgments", ["query_id", "product_id"]):
        query = pc.index_in(batch.column(0), ids).fill_null(-1).to_pylist()
        product = pc.index_in(batch.column(1), products).fill_null(-1).to_pylist()
        for q, p in zip(query, product, strict=True):
            if q >= 0 and p >= 0:
                judged[q].append(p)
    return judged


def _batch(ids: list[str], product_ids: pa.ChunkedArray, found: list[tuple[int, int, str]]) -> pa.RecordBatch:
    query, product, source = zip(*found, strict=True) if found else ((), (), ())
    columns: list[Any] = [
        pa.array([ids[q] for q in query], pa.string()),
        product_ids.take(pa.array(product, pa.int64())).combine_chunks(),
        pa.array(source, pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=MINED)


def _random(seed: int, query_id: str) -> np.random.Generator:
    digest = blake2b(query_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(digest, "little")])
