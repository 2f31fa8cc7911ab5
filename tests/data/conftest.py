from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shopstill.data.chunk import Chunk, Scale
from shopstill.data.ingest import IngestReport, ingest
from shopstill.data.shop import Shop

SHARED = Path(os.environ.get("SHOPSTILL_DATA", Path(__file__).resolve().parents[2] / ".." / "shared" / "data"))


@pytest.fixture
def real() -> Callable[[str], Path]:
    """The path of real data, or a skip that says what is missing."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"no real data at {path}; set SHOPSTILL_DATA to the folder that holds {name}")
        return path

    return find


@pytest.fixture
def chunk() -> Callable[..., Chunk]:
    """A chunk from columns, with lines from 2 as under a header."""

    def make(
        table: str, file: str = "shop.csv", scale: Scale | None = None, repeats: bool = False, **columns: Sequence
    ):
        data = pa.table(columns)
        lines = pa.array(range(2, 2 + data.num_rows), pa.int64())
        return Chunk(table=table, data=data, file=file, lines=lines, scale=scale, repeats=repeats)

    return make


class Ingested:
    """A shop that was taken in: its report, its rows and what was left out."""

    def __init__(self, folder: Path, report: IngestReport) -> None:
        self.folder, self.report, self.shop = folder, report, Shop(folder / "shop")

    def rows(self, table: str, *columns: str) -> list:
        found = self.shop.read(table, columns or None).to_pylist()
        return [row[columns[0]] for row in found] if len(columns) == 1 else found

    def rejects(self) -> list[dict]:
        return pq.read_table(self.folder / "rejected.parquet").to_pylist()

    def duplicates(self) -> list[dict]:
        return pq.read_table(self.folder / "duplicates.parquet").to_pylist()


@pytest.fixture
def take_in(tmp_path: Path) -> Callable[..., Ingested]:
    def run(*chunks: Chunk, strict: bool = False) -> Ingested:
        return Ingested(tmp_path / "in", ingest(chunks, tmp_path / "in", strict))

    return run
