"""Products that nobody has taken up, told by their attributes, in the words that items of histories are told in.

I items, A entries of all items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopstill.data.histories.attributes import AttributeConfig, ItemAttributes, entries
from shopstill.data.histories.table import Histories, offsets
from shopstill.data.shop import Shop


@dataclass(frozen=True, kw_only=True, eq=False)
class ColdItems:
    """Products without an event.

    Attributes:
        ids: the shop's id of each; the first is item 1 of ``attributes``.
        attributes: their values, by the numbers that values have for items of histories.
    """

    ids: pa.Array
    attributes: ItemAttributes

    def __len__(self) -> int:
        return len(self.ids)


def cold_items(
    shop: Shop, histories: Histories, known: ItemAttributes, settings: AttributeConfig | None = None
) -> ColdItems:
    """The products of a shop that stand in no history, and share a value with items that do; in the shop's order.

    Args:
        shop: whose products and edges are read.
        histories: what was taken up.
        known: the attributes of the items of these histories.
        settings: as for ``known``.
    """
    ids = _others(shop, histories.item_ids)
    pieces = [_coded(*each, known.names) for each in entries(shop, ids, settings or AttributeConfig())]
    item_A, code_A = (np.concatenate([np.zeros(0, np.int64), *column]) for column in zip(*pieces, strict=True))
    pair_A = np.unique(item_A * (len(known.names) + 1) + code_A)
    item_A, code_A = np.divmod(pair_A, len(known.names) + 1)
    told, item_A = np.unique(item_A, return_inverse=True)
    attributes = ItemAttributes(
        names=known.names,
        start_I=offsets(np.bincount(item_A + 1, minlength=len(told) + 1)),
        code_A=code_A.astype(np.int32),
        rare=0,
    )
    return ColdItems(ids=ids.take(pa.array(told - 1)), attributes=attributes)


def _others(shop: Shop, item_ids: pa.Array) -> pa.Array:
    """Ids of products that are none of the items."""
    found = []
    for batch in shop.scan("products", ["product_id"]):
        ids = batch.column(0)
        found.append(ids.filter(pc.invert(pc.is_in(ids, value_set=item_ids))))
    return pa.concat_arrays(found) if found else pa.array([], pa.string())


def _coded(item_A: np.ndarray, value_A: pa.Array, names: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Entries whose value has a number, and that number."""
    place = pc.index_in(value_A, value_set=names)
    there = np.asarray(pc.is_valid(place))
    return item_A[there], np.asarray(place.drop_null(), np.int64) + 1
