from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shopstill.data.histories import Histories
from shopstill.data.shop import Shop, ShopWriter

Row = tuple[str, str, str, int]
NOON = 1_700_000_000_000


@pytest.fixture
def shop_of(tmp_path: Path) -> Callable[..., Shop]:
    """A shop of events: shopper, product, kind, milliseconds after a moment of 2023."""

    def make(rows: Sequence[Row], products: list[dict] | None = None, edges: list[dict] | None = None) -> Shop:
        folder = tmp_path / f"shop{len(list(tmp_path.iterdir()))}"
        with ShopWriter(folder) as writer:
            writer.write("products", products or [{"product_id": i, "title": i} for i in sorted({r[1] for r in rows})])
            writer.write("edges", edges or [])
            if rows:
                who, what, kind, time = zip(*rows, strict=True)
                times = pa.array(np.array(time) + NOON, pa.timestamp("ms"))
                writer.write("events", pa.table({"shopper_id": who, "product_id": what, "kind": kind, "time": times}))
        return Shop(folder)

    return make


@pytest.fixture
def some() -> Callable[..., Histories]:
    """Histories of items 1, 2, … from lists of (item, time)."""

    def make(*own: Sequence[tuple[int, int]]) -> Histories:
        items = max(item for events in own for item, _ in events)
        return Histories(
            item_ids=pa.array([f"i{n}" for n in range(1, items + 1)]),
            shopper_ids=pa.array([f"u{n}" for n in range(len(own))]),
            item_E=np.array([item for events in own for item, _ in events], np.int32),
            start_U=np.cumsum([0, *map(len, own)]),
            time_E=np.array([time for events in own for _, time in events], np.int64) + NOON,
        )

    return make
