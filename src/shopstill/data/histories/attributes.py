"""What is known of items beside who took them up: brand, category, attributes, as ragged lists of numbers.

I items, A entries of all items, V values.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from shopstill.core.config import config
from shopstill.data.histories.table import Histories, Int32, Int64, offsets
from shopstill.data.shop import Shop

_ROWS = 1 << 18
_STEP = "\x1f"
_HAS = "has_"
"""How a relation begins whose targets are values of their source."""

log = logging.getLogger(__name__)


@config
class AttributeConfig:
    """Which attributes of items count.

    Attributes:
        brand: the brand.
        category: every step of the category's path, named with the steps above it.
        attributes: the pairs of the products' attributes.
        relations: relations of the shop's edges whose targets are values of their source, such as ``has_attribute``;
            None for all of the shop's whose names begin with ``has_``, which the log names.
        least: values of fewer items are left out: nothing can be learnt from them.
        most: how many values are kept, those of most items.
        id_dropout: in training, the chance that an item's own vector is left out, so that its attributes speak for it
            (DropoutNet: Volkovs, Yu and Poutanen, NeurIPS 2017). None by default: on Beauty it made products that
            nobody has taken up no better, and the others worse; try it where own vectors drown what attributes say.
        cold: whether bundles also recommend products that nobody has taken up, by their attributes.
    """

    brand: bool = True
    category: bool = True
    attributes: bool = True
    relations: tuple[str, ...] | None = None
    least: int = Field(default=2, ge=1)
    most: int = Field(default=20_000, ge=1)
    id_dropout: float = Field(default=0.0, ge=0, lt=1)
    cold: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class ItemAttributes:
    """The values of each item.

    Values are numbered from 1, those of most items first, so that 0 is free for padding.

    Attributes:
        names: [V] such as ``brand=Acme``, ``category=Home > Mugs``, ``colour=red``; value 1 is at place 0.
        start_I: [I + 2] where each item's values start, by number: item 0, the padding, has none.
        code_A: the values of item after item, rising within an item.
        rare: how many values were left out.
    """

    names: pa.Array
    start_I: Int64
    code_A: Int32
    rare: int

    def codes(self, item: int) -> Int32:
        """The values of an item."""
        return self.code_A[self.start_I[item] : self.start_I[item + 1]]

    def padded(self, most: int) -> Int32:
        """[I + 1, most] the values of each item, cut at ``most`` (the rarest go), 0 where there are fewer."""
        at = self.start_I[:-1, None] + np.arange(most)
        if not len(self.code_A):
            return np.zeros(at.shape, np.int32)
        return np.where(at < self.start_I[1:, None], self.code_A[np.minimum(at, len(self.code_A) - 1)], np.int32(0))


def item_attributes(shop: Shop, histories: Histories, settings: AttributeConfig | None = None) -> ItemAttributes:
    """The attributes of the items of histories, from products and edges of their shop; one of none has no values."""
    settings = settings or AttributeConfig()
    items: list[Int64] = []
    values: list[pa.DictionaryArray] = []
    for item_A, value_A in entries(shop, histories.item_ids, settings):
        items.append(item_A)
        values.append(value_A.dictionary_encode())
    if not items:
        empty = np.zeros(histories.items + 2, np.int64)
        return ItemAttributes(names=pa.array([], pa.string()), start_I=empty, code_A=np.empty(0, np.int32), rare=0)
    unified = pa.chunked_array(values).unify_dictionaries()
    names = unified.chunk(0).dictionary
    value_A = np.concatenate([np.asarray(chunk.indices) for chunk in unified.chunks])
    pair_A = np.unique(np.concatenate(items) * len(names) + value_A)
    return _ranked(names, *np.divmod(pair_A, len(names)), histories.items, settings)


def _ranked(names: pa.Array, item_A: Int64, value_A: Int64, items: int, settings: AttributeConfig) -> ItemAttributes:
    """Values by how many items have them, without the rare."""
    count_V = np.bincount(value_A, minlength=len(names))
    order = np.argsort(-count_V, kind="stable")
    kept = order[: settings.most][count_V[order[: settings.most]] >= settings.least]
    code_V = np.zeros(len(names), np.int32)
    code_V[kept] = np.arange(1, len(kept) + 1)
    code_A = code_V[value_A]
    item_A, code_A = item_A[code_A > 0], code_A[code_A > 0]
    return ItemAttributes(
        names=names.take(pa.array(kept)),
        start_I=offsets(np.bincount(item_A, minlength=items + 1)),
        code_A=code_A[np.lexsort((code_A, item_A))],
        rare=len(names) - len(kept),
    )


def entries(shop: Shop, item_ids: pa.Array, settings: AttributeConfig) -> Iterator[tuple[Int64, pa.Array]]:
    """Items by number from 1, and a value of each, as named."""
    wanted = [name for name in ("brand", "category", "attributes") if getattr(settings, name)]
    for batch in shop.scan("products", ["product_id", *wanted], rows=_ROWS) if wanted else ():
        known, item = _known(batch, "product_id", item_ids)
        for name in wanted:
            place, value = _VALUES[name](known.column(name))
            yield item[place], value
    yield from _edges(shop, item_ids, settings.relations)


def _edges(shop: Shop, item_ids: pa.Array, relations: tuple[str, ...] | None) -> Iterator[tuple[Int64, pa.Array]]:
    taken: set[str] = set()
    for batch in shop.scan("edges", rows=_ROWS) if relations is None or relations else ():
        said = batch["relation"]
        of_values = pc.starts_with(said, _HAS) if relations is None else pc.is_in(said, pa.array(relations))
        known, item = _known(batch.filter(of_values), "source", item_ids)
        taken.update(pc.unique(known["relation"]).to_pylist())
        yield item, pc.binary_join_element_wise(known["relation"], known["target"], "=")
    if taken:
        log.info("attributes of items from the relations %s", ", ".join(sorted(taken)))


def _known(batch: pa.RecordBatch, column: str, item_ids: pa.Array) -> tuple[pa.RecordBatch, Int64]:
    """Rows about items, and the items' numbers."""
    place = pc.index_in(batch[column], value_set=item_ids)
    rows = batch.filter(pc.is_valid(place))
    return rows, np.asarray(place.drop_null(), np.int64) + 1


def _brands(column: pa.Array) -> tuple[Int64, pa.Array]:
    place = np.flatnonzero(np.asarray(pc.is_valid(column)))
    return place, pc.binary_join_element_wise("brand", column.take(pa.array(place)), "=")


def _categories(column: pa.Array) -> tuple[Int64, pa.Array]:
    """Each step of paths; there are few different paths, so each is cut once."""
    paths = pc.binary_join(column, _STEP).dictionary_encode()
    steps = [_prefixes(path) for path in paths.dictionary.to_pylist()]
    names = pa.array([name for path in steps for name in path], pa.string())
    start = offsets(np.array([len(path) for path in steps], np.int64))
    place = np.flatnonzero(np.asarray(pc.is_valid(paths.indices)))
    path = np.asarray(paths.indices.drop_null(), np.int64)
    count = (start[1:] - start[:-1])[path]
    at = np.repeat(start[path] - (np.cumsum(count) - count), count) + np.arange(count.sum())
    return np.repeat(place, count), names.take(pa.array(at))


def _prefixes(path: str) -> list[str]:
    steps = path.split(_STEP)
    return [f"category={' > '.join(steps[: depth + 1])}" for depth in range(len(steps))]


def _pairs(column: pa.Array) -> tuple[Int64, pa.Array]:
    entries = column.cast(pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())])))
    flat, place = entries.flatten(), np.asarray(pc.list_parent_indices(entries), np.int64)
    return place, pc.binary_join_element_wise(flat.field(0), flat.field(1), "=")


_VALUES = {"brand": _brands, "category": _categories, "attributes": _pairs}
