"""What tests of readers share: raw files taken in, and what was set aside."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from shopstill.data.ingest import ingest
from shopstill.data.shop import Shop


def shop_of(reader, folder: Path) -> Shop:
    ingest(reader.read(), folder / "out")
    return Shop(folder / "out" / "shop")


def rejected(folder: Path) -> list[dict]:
    return pq.read_table(folder / "out" / "rejected.parquet").to_pylist()
