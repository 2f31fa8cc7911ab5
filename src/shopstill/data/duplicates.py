"""Rows that say the same twice: judgments of one pair, products of one content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shopstill.data.seen import hash64, mix

DUPLICATES = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False, metadata={"meaning": "a product that repeats another"}),
        pa.field("canonical_id", pa.string(), nullable=False, metadata={"meaning": "the first product like it"}),
    ]
)


@dataclass(frozen=True, kw_only=True)
class MergedPairs:
    """Judgments after those of one pair became one.

    Attributes:
        first: which rows stay.
        worth: [2, rows] grade and gain; the mean where a pair's differ.
        changed: rows of pairs whose grades differ.
        conflicting: how many such pairs there are.
    """

    first: np.ndarray
    worth: np.ndarray
    changed: np.ndarray
    conflicting: int


def merge_pairs(pairs: np.ndarray, worth: np.ndarray) -> MergedPairs:
    """Find the judgments of one pair, and the mean of their grades and gains.

    >>> merged = merge_pairs(np.array([5, 6, 5]), np.array([[1, 2, 2], [0, 1, 1]], np.float32))
    >>> merged.first.tolist(), merged.worth[0].tolist(), merged.conflicting
    ([True, True, False], [1.5, 2.0, 1.5], 1)
    """
    ordered = np.sort(pairs)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    rows = np.flatnonzero(np.isin(pairs, repeated)) if len(repeated) else np.empty(0, np.int64)
    first, changed, worth = np.ones(len(pairs), dtype=bool), np.zeros(len(pairs), dtype=bool), worth.copy()
    _, starts, group, counts = np.unique(pairs[rows], return_index=True, return_inverse=True, return_counts=True)
    first[rows] = False
    first[rows[starts]] = True
    for i in range(len(worth)):
        mean = np.bincount(group, worth[i, rows].astype(np.float64), minlength=len(counts)) / np.maximum(counts, 1)
        changed[rows] |= ~np.isclose(worth[i, rows], mean[group], rtol=1e-6, atol=0)
        worth[i, rows] = mean[group]
    return MergedPairs(first=first, worth=worth, changed=changed, conflicting=len(np.unique(pairs[changed])))


def content(products: pa.Table) -> np.ndarray:
    """A hash of what a shopper sees of each product, without regard to case; ids, prices and pictures do not count."""
    texts = [hash64(pc.utf8_lower(products[name])) for name in ("title", "description", "brand")]
    nested = [_nested_hash(products[name].combine_chunks()) for name in ("category", "attributes")]
    return mix(*texts, *nested)


def _nested_hash(rows: pa.Array) -> np.ndarray:
    if rows.null_count == len(rows):
        return np.zeros(len(rows), np.uint64)
    return np.fromiter((hash(str(row)) for row in rows.to_pylist()), np.int64, len(rows)).view(np.uint64)


def write_duplicates(folder: Path, contents: Sequence[np.ndarray]) -> int:
    """Write ``duplicates.parquet`` beside a shop: each product whose content an earlier one has, and that one's id.

    Nothing is merged: sizes and colours are often told by the picture alone.

    Args:
        folder: where ``shop`` lies.
        contents: hashes of all products, in the order they were written.

    Returns:
        How many there are.
    """
    whole = np.concatenate(contents) if contents else np.empty(0, np.uint64)
    _, first, group = np.unique(whole, return_index=True, return_inverse=True)
    canonical = first[group]
    rows = np.flatnonzero(canonical != np.arange(len(whole)))
    path = folder / "shop" / "products.parquet"
    ids = pq.read_table(path, columns=["product_id"])["product_id"] if len(rows) else pa.chunked_array([], pa.string())
    found = pa.table([ids.take(rows), ids.take(canonical[rows])], schema=DUPLICATES)
    pq.write_table(found, folder / "duplicates.parquet", compression="zstd")
    return len(rows)
