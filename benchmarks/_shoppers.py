"""Made-up shoppers for a benchmark of size: events whose items are of every popularity, and follow one another.

Shapes: ``U`` shoppers of a piece, ``T`` events of the longest of them, ``E`` events of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopstill.data.shop import Shop, ShopWriter

_PIECE = 1 << 16
_START, _YEAR = 1_700_000_000_000, 365 * 86_400_000
_SPREAD = 2_654_435_761
"""Knuth's multiplier: what is popular is not what has a low number."""

_LEAST, _NEAR, _FOLLOWS = 4, 8, 0.6


@dataclass(frozen=True, kw_only=True)
class Shoppers:
    """How many of what.

    A shopper starts at an item; there are so many shoppers that every item is where one starts. The next item is near
    the one before it with probability .6; else it is drawn, an item of popularity rank r about as often as 1 / r.
    """

    items: int
    shoppers: int
    events: int

    def __post_init__(self) -> None:
        if self.shoppers < self.items or self.events < _LEAST * self.shoppers:
            raise SystemExit(
                f"--items {self.items:,}, --shoppers {self.shoppers:,}, --events {self.events:,}: needed are as many "
                f"shoppers as items, and {_LEAST} events a shopper"
            )


def write(wanted: Shoppers, folder: Path) -> Shop:
    """A shop of products with titles, and of events, piece by piece."""
    with ShopWriter(folder) as writer:
        for first in range(0, wanted.items, _PIECE):
            item = np.arange(first, min(first + _PIECE, wanted.items))
            title = pc.binary_join_element_wise("Product number", pa.array(item).cast(pa.string()), " ")
            writer.write("products", pa.table({"product_id": _ids("p", item), "title": title}))
        for shopper_E, item_E, time_E in _pieces(wanted):
            columns = {
                "shopper_id": _ids("s", shopper_E),
                "product_id": _ids("p", item_E),
                "kind": pa.repeat("click", len(item_E)),
                "time": pa.array(time_E, pa.timestamp("ms")),
            }
            writer.write("events", pa.table(columns))
    return Shop(folder)


def _pieces(wanted: Shoppers) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Shoppers, items and times of events, those of a piece of shoppers in order of time."""
    draw = np.random.default_rng(0)
    more = wanted.events - _LEAST * wanted.shoppers
    for first in range(0, wanted.shoppers, _PIECE):
        shopper_U = np.arange(first, min(first + _PIECE, wanted.shoppers))
        # What is still to be dealt out, so that the sum is the one wanted.
        count = round(more * len(shopper_U) / (wanted.shoppers - first))
        more -= count
        length_U = _LEAST + np.bincount(draw.integers(len(shopper_U), size=count), minlength=len(shopper_U))
        item_UT = _walks(wanted, shopper_U, int(length_U.max()), draw)
        there_UT = np.arange(item_UT.shape[1]) < length_U[:, None]
        time_UT = _START + np.sort(draw.integers(_YEAR, size=item_UT.shape), 1)
        time_E = time_UT[there_UT]
        order = np.argsort(time_E)
        yield np.repeat(shopper_U, length_U)[order], item_UT[there_UT][order], time_E[order]


def _walks(wanted: Shoppers, shopper_U: np.ndarray, length: int, draw: np.random.Generator) -> np.ndarray:
    """[U, T] items that shoppers take up one after the other."""
    items, size = wanted.items, len(shopper_U)
    item_UT = np.empty((size, length), np.int64)
    item_UT[:, 0] = shopper_U % items
    for place in range(1, length):
        near_U = (item_UT[:, place - 1] + draw.integers(1, _NEAR + 1, size)) % items
        rank_U = (items + 1) ** draw.random(size) - 1
        drawn_U = rank_U.astype(np.int64) * _SPREAD % items
        item_UT[:, place] = np.where(draw.random(size) < _FOLLOWS, near_U, drawn_U)
    return item_UT


def _ids(prefix: str, number: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(number).cast(pa.string()), "")
