"""The file of rejected rows: written as they come, counted by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shopstill.core.errors import DataError
from shopstill.data.chunk import Reject, shown
from shopstill.data.schema import REJECTED


class Rejects:
    """Writes rejected rows as they come, and counts them."""

    def __init__(self, path: Path, strict: bool) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, Reject] = {}
        self._strict = strict
        self._file = pq.ParquetWriter(path, REJECTED, compression="zstd")

    def add(self, rejects: Iterable[Reject]) -> None:
        """Write rows down.

        Raises:
            DataError: strict, and there is one.
        """
        rows = list(rejects)
        if rows and self._strict:
            raise DataError(f"{rows[0]}; strict stops at the first bad row")
        for reject in rows:
            self.counts[f"{reject.table}: {reject.reason.partition(':')[0]}"] += 1
            self.first.setdefault(reject.table, reject)
        if rows:
            listed = [{**asdict(reject), "value": shown(reject.value)} for reject in rows]
            self._file.write_table(pa.Table.from_pylist(listed, schema=REJECTED))

    def __enter__(self) -> Rejects:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
