"""Shop: named Arrow tables in a folder of Parquet files, read lazily, with a fingerprint of their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from shopstill.core.errors import DataError, nearest
from shopstill.core.fingerprint import fingerprint
from shopstill.data.schema import SCHEMAS

MANIFEST = "shop.json"
_ROW_GROUP = 65_536


class Shop:
    """A shop that was read: its tables lie in ``path/<table>.parquet`` and are opened when asked for.

    Args:
        path: the folder that a ``ShopWriter`` wrote.

    Raises:
        DataError: there is no shop in the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            stated = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
            self.counts: dict[str, int] = dict(stated["counts"])
            self.fingerprint: str = stated["fingerprint"]
        except FileNotFoundError:
            cause = f"{MANIFEST} is missing"
            raise DataError(f"{self.path}: no shop here ({cause}); make one with: shopstill prepare") from None
        except (ValueError, KeyError, TypeError) as fault:
            raise DataError(f"{self.path / MANIFEST}: not a shop's manifest ({fault!r}); prepare it again") from None

    @property
    def tables(self) -> list[str]:
        """Names of the tables that have rows."""
        return [name for name in SCHEMAS if self.counts.get(name)]

    def count(self, table: str) -> int:
        """Rows of a table; 0 where the shop has none."""
        _known(table)
        return self.counts.get(table, 0)

    def read(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A whole table, or some columns of it, in memory."""
        batches = list(self.scan(table, columns))
        wanted = _columns(table, columns)
        return pa.Table.from_batches(batches, pa.schema([SCHEMAS[table].field(c) for c in wanted]).remove_metadata())

    def scan(
        self, table: str, columns: Sequence[str] | None = None, rows: int = _ROW_GROUP
    ) -> Iterator[pa.RecordBatch]:
        """A table piece by piece, so that one larger than memory passes through.

        Args:
            table: its name.
            columns: the columns wanted; all of them when None.
            rows: rows a piece, at most.
        """
        wanted = _columns(table, columns)
        if not self.count(table):
            return
        schema = pa.schema([SCHEMAS[table].field(c) for c in wanted]).remove_metadata()
        for batch in pq.ParquetFile(self.path / f"{table}.parquet").iter_batches(rows, columns=wanted):
            arrays = [batch.column(c).cast(schema.field(c).type) for c in wanted]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def dataset(self, table: str) -> ds.Dataset:
        """A table as an Arrow dataset, for filters and joins."""
        _known(table)
        return ds.dataset(self.path / f"{table}.parquet")


class ShopWriter:
    """Writes a shop's tables piece by piece.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with ShopWriter(folder) as writer:
    ...     writer.write("queries", [{"query_id": "1", "text": "red mug"}])
    >>> Shop(folder).count("queries")
    1
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, pq.ParquetWriter] = {}
        self._digests: dict[str, TableDigest] = {}
        self.counts: dict[str, int] = {}

    def write(self, table: str, rows: pa.Table | pa.RecordBatch | list[dict[str, Any]]) -> None:
        """Append rows: Arrow data with the table's columns (nullable ones may be missing), or dicts."""
        data = conform(table, rows)
        if not data.num_rows:
            return
        if table not in self._files:
            self._files[table] = pq.ParquetWriter(self.path / f"{table}.parquet", SCHEMAS[table], compression="zstd")
            self._digests[table] = TableDigest(SCHEMAS[table])
        self._files[table].write_table(data, row_group_size=_ROW_GROUP)
        self._digests[table].update(data)
        self.counts[table] = self.counts.get(table, 0) + data.num_rows

    def close(self) -> None:
        """Finish the files and write the manifest; without it the folder is no shop."""
        for file in self._files.values():
            file.close()
        stated = {
            "counts": self.counts,
            "fingerprint": fingerprint({name: digest.hexdigest() for name, digest in self._digests.items()}),
        }
        (self.path / MANIFEST).write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")

    def __enter__(self) -> ShopWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            for file in self._files.values():
                file.close()


class TableDigest:
    """A digest of a table's content that does not depend on how it was cut into pieces."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._parts: dict[str, Any] = {}

    def update(self, data: pa.Table) -> None:
        """Take in more rows."""
        for name in self._schema.names:
            for chunk in data.column(name).chunks:
                self._array(name, chunk)

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        return fingerprint({name: part.hexdigest() for name, part in sorted(self._parts.items())})

    def _array(self, name: str, array: pa.Array) -> None:
        self._feed(f"{name}/valid", np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=np.uint8))
        kind = array.type
        if pa.types.is_map(kind) or pa.types.is_list(kind):
            self._feed(f"{name}/length", _lengths(array))
            self._nested(name, (array.cast(_entries(kind)) if pa.types.is_map(kind) else array).flatten())
        elif pa.types.is_string(kind):
            self._feed(f"{name}/length", _lengths(array))
            self._feed(f"{name}/data", _bytes(array))
        else:
            filled = array.cast(pa.int64()) if pa.types.is_timestamp(kind) else array
            self._feed(f"{name}/data", filled.fill_null(0).to_numpy(zero_copy_only=False))

    def _nested(self, name: str, inner: pa.Array) -> None:
        if pa.types.is_struct(inner.type):
            for index, field in enumerate(inner.type):
                self._array(f"{name}.{field.name}", inner.field(index))
        else:
            self._array(f"{name}.item", inner)

    def _feed(self, part: str, values: np.ndarray) -> None:
        if part not in self._parts:
            self._parts[part] = hashlib.blake2b(digest_size=16)
        self._parts[part].update(np.ascontiguousarray(values).data)


def conform(table: str, rows: pa.Table | pa.RecordBatch | list[dict[str, Any]]) -> pa.Table:
    """Rows as a table of exactly the schema's columns and types.

    Raises:
        DataError: a required column is missing or holds nulls, or a value does not fit its type.
    """
    _known(table)
    schema = SCHEMAS[table]
    data = pa.Table.from_pylist(rows, schema=schema) if isinstance(rows, list) else rows
    data = pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
    columns = []
    for field in schema:
        present = field.name in data.column_names
        column = data.column(field.name) if present else pa.chunked_array([pa.nulls(data.num_rows, field.type)])
        if not field.nullable and column.null_count:
            lacking = f"{column.null_count} of {len(column)} rows have none"
            raise DataError(f"{table}.{field.name}: is required, but {lacking}")
        try:
            columns.append(column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as cause:
            raise DataError(f"{table}.{field.name}: values do not fit {field.type} ({cause})") from None
    return pa.Table.from_arrays(columns, schema=schema)


def _lengths(array: pa.Array) -> np.ndarray:
    measure = pc.binary_length if pa.types.is_string(array.type) else pc.list_value_length
    if pa.types.is_map(array.type):
        array = array.cast(_entries(array.type))
    return measure(array).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int32)


def _bytes(array: pa.Array) -> np.ndarray:
    """The bytes of all texts, end to end."""
    # A null may lie over bytes that are no one's.
    array = array.fill_null("") if array.null_count else array
    _, offsets, data = array.buffers()
    if not len(array) or data is None:
        return np.empty(0, np.uint8)
    at = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, np.uint8)[at[0] : at[-1]]


def _entries(kind: pa.MapType) -> pa.ListType:
    """A map as the list of its entries, which knows where a slice begins."""
    return pa.list_(pa.struct([("key", kind.key_type), ("item", kind.item_type)]))


def _known(table: str) -> None:
    if table not in SCHEMAS:
        raise DataError(f"unknown table {table!r}: {nearest(table, SCHEMAS)}")


def _columns(table: str, columns: Sequence[str] | None) -> list[str]:
    _known(table)
    names = SCHEMAS[table].names
    for column in columns or ():
        if column not in names:
            raise DataError(f"table {table} has no column {column!r}: {nearest(column, names)}")
    return list(columns) if columns is not None else names
