"""Taobao's UserBehavior: a line an event, ``user,item,category,behaviour,seconds``, without a header."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from shopstill.core.config import config
from shopstill.data.chunk import Chunk, Raw
from shopstill.data.readers._delimited import Layout, read_delimited
from shopstill.data.readers._files import existing, one_source
from shopstill.data.readers._named import named_by_events

_LAYOUT = Layout(table="events", header=("user", "item", "category", "behaviour", "seconds"), quoted=False)
_EVENTS = {"shopper_id": "user", "product_id": "item", "kind": "behaviour", "time": "seconds"}
_KINDS = {"pv": "click", "fav": "favourite", "cart": "cart", "buy": "purchase"}


@config
class Taobao:
    """Reads ``UserBehavior.csv``: events, and a product for each item that they name.

    ``pv`` (the item's page was viewed, which the publisher calls equivalent to a click) becomes a click, ``fav`` a
    favourite, ``cart`` a cart, ``buy`` a purchase; another behaviour is rejected. Items have no names: the id is the
    title. The first category of an item counts. Some rows of the published file lie outside of its nine days
    (2017-11-25 to 2017-12-03); they are kept as they are.

    Attributes:
        path: the file, or a zip or gzip that holds it.

    Source: https://tianchi.aliyun.com/dataset/649
    """

    path: Path

    def read(self) -> Iterator[Chunk]:
        """Products and events, a piece of the file at a time.

        Raises:
            DataError: the file is missing or is not what it claims to be.
        """
        source = one_source(self.path, (".csv",))
        for raw in read_delimited(source, _LAYOUT):
            yield _products(raw, source.name)
            data = raw.select(_EVENTS)
            data = data.set_column(data.column_names.index("kind"), "kind", _kinds(data["kind"]))
            yield Chunk(table="events", data=data, file=source.name, lines=raw.lines, rejects=raw.rejects)

    def sources(self) -> list[Path]:
        """The file."""
        return [existing(self.path)]


def _products(raw: Raw, file: str) -> Chunk:
    category = raw.data["category"].combine_chunks()
    ends = pa.array(range(len(category) + 1), pa.int32())
    paths = pa.ListArray.from_arrays(ends, category, mask=pc.is_null(category))
    return named_by_events(pa.table({"product_id": raw.data["item"], "category": paths}), raw.lines, file)


def _kinds(behaviours: pa.ChunkedArray) -> pa.ChunkedArray:
    """Our names; what is unknown stays as it is, so that it is rejected under its own value."""
    at = pc.index_in(behaviours, value_set=pa.array(list(_KINDS)))
    return pc.coalesce(pc.take(pa.array(list(_KINDS.values())), at), behaviours)


taobao = Taobao
