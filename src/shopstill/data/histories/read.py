"""From a shop's events to histories, without a step of Python for an event.

Ids become numbers as Arrow hands them on, piece by piece; sorting and filtering are NumPy's. Ten million events of a
million shoppers and items need some hundred megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import DataError
from shopstill.data.histories.table import Histories, Int32, Int64, offsets
from shopstill.data.schema import EventKind
from shopstill.data.shop import Shop

_ROWS = 1 << 18
"""Events read at a time."""


@config
class HistoryConfig:
    """Which events make a history.

    Attributes:
        kinds: the kinds of events that count. A click says less than a purchase, but there are many more of them;
            impressions are what the shop did. Where only reviews are known, they are purchases.
        core: shoppers and items of fewer events are left out, again and again until none is left (the k-core);
            1 keeps all. What is left out of one part of the data is left out of all: the core looks at every event.
        repeats: what becomes of an item that a shopper takes up again. ``keep`` keeps all events. ``merge`` makes
            one, the first, of events with the same item in a row, such as a click, a cart and a purchase. ``first``
            keeps only the first event of each shopper with each item; choose it where items of the history are not
            to be recommended again.
    """

    kinds: tuple[EventKind, ...] = Field(default=("click", "cart", "purchase"), min_length=1)
    core: int = Field(default=5, ge=1)
    repeats: Literal["keep", "merge", "first"] = "merge"


def read_histories(shop: Shop, settings: HistoryConfig) -> Histories:
    """Histories of a shop's shoppers.

    Items and shoppers are numbered in the order in which the shop's events first name them. The result depends on the
    shop and the settings alone.

    Raises:
        DataError: the shop has no events of these kinds, or none is left after the k-core.
    """
    shopper_ids, shopper_E = _numbered(shop, "shopper_id", settings.kinds)
    if not len(shopper_E):
        raise DataError(f"the shop {_no_events(shop, settings.kinds)}")
    item_ids, item_E = _numbered(shop, "product_id", settings.kinds)
    events = _Events(shopper_E=shopper_E, item_E=item_E, time_E=_times(shop, settings.kinds))
    events = _cored(_once(_sorted(events), len(item_ids), settings), settings)
    if not len(events.item_E):
        raise DataError(
            f"no event of {', '.join(settings.kinds)} is left in the {settings.core}-core "
            f"(of {len(shopper_E):,} read); lower core, or count more kinds"
        )
    count_U = np.bincount(events.shopper_E, minlength=len(shopper_ids))
    present_I = np.bincount(events.item_E, minlength=len(item_ids)) > 0
    return Histories(
        item_ids=item_ids.filter(pa.array(present_I)),
        shopper_ids=shopper_ids.filter(pa.array(count_U > 0)),
        item_E=np.cumsum(present_I, dtype=np.int32)[events.item_E],
        start_U=offsets(count_U[count_U > 0]),
        time_E=events.time_E,
    )


@dataclass(frozen=True, kw_only=True)
class _Events:
    """Columns of E events."""

    shopper_E: Int32
    item_E: Int32
    time_E: Int64

    def take(self, rows: NDArray[np.bool_] | Int64) -> _Events:
        return _Events(shopper_E=self.shopper_E[rows], item_E=self.item_E[rows], time_E=self.time_E[rows])


def _numbered(shop: Shop, column: str, kinds: Sequence[str]) -> tuple[pa.Array, Int32]:
    """The different ids of a column in the order they appear, and each event's number among them."""
    pieces = [batch.column(0).dictionary_encode() for batch in _scan(shop, column, kinds)]
    if not pieces:
        return pa.array([], pa.string()), np.empty(0, np.int32)
    unified = pa.chunked_array(pieces).unify_dictionaries()
    del pieces
    return unified.chunk(0).dictionary, np.concatenate([np.asarray(chunk.indices) for chunk in unified.chunks])


def _times(shop: Shop, kinds: Sequence[str]) -> Int64:
    return np.concatenate([np.asarray(batch.column(0).cast(pa.int64())) for batch in _scan(shop, "time", kinds)])


def _scan(shop: Shop, column: str, kinds: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """A column of the events of some kinds, in pieces."""
    wanted = pa.array(kinds, pa.string())
    for batch in shop.scan("events", [column, "kind"], rows=_ROWS):
        kept = batch.filter(pc.is_in(batch.column(1), value_set=wanted))
        if kept.num_rows:
            yield kept


def _sorted(events: _Events) -> _Events:
    """By shopper, then time; events of one moment stay in the order of the file."""
    shopper_E, time_E = events.shopper_E, events.time_E
    rising = (shopper_E[1:] > shopper_E[:-1]) | ((shopper_E[1:] == shopper_E[:-1]) & (time_E[1:] >= time_E[:-1]))
    return events if rising.all() else events.take(np.lexsort((time_E, shopper_E)))


def _once(events: _Events, items: int, settings: HistoryConfig) -> _Events:
    """Without what a shopper took up before, where only the first time counts."""
    if settings.repeats != "first":
        return events
    pair = events.shopper_E * np.int64(items) + events.item_E
    first = np.zeros(len(pair), dtype=bool)
    first[np.unique(pair, return_index=True)[1]] = True
    return events.take(first)


def _cored(events: _Events, settings: HistoryConfig) -> _Events:
    """Without rare shoppers and items, and without repeats in a row, until nothing changes."""
    while True:
        shopper_E, item_E = events.shopper_E, events.item_E
        rare_U, rare_I = (np.bincount(column) < settings.core for column in (shopper_E, item_E))
        keep = ~(rare_U[shopper_E] | rare_I[item_E])
        if settings.repeats == "merge":
            # What is left out between two events of one item brings them together: this belongs in the loop.
            keep[1:] &= (shopper_E[1:] != shopper_E[:-1]) | (item_E[1:] != item_E[:-1])
        if keep.all():
            return events
        events = events.take(keep)


def _no_events(shop: Shop, kinds: Sequence[str]) -> str:
    if not shop.count("events"):
        return f"has no events, and histories are made of them; its tables: {', '.join(shop.tables) or 'none'}"
    there: set[str] = set()
    for batch in shop.scan("events", ["kind"]):
        there |= set(batch.column(0).unique().to_pylist())
    return f"has no events of {', '.join(kinds)}; its events are of {', '.join(sorted(there))}: set kinds"
