"""Parquet files in pieces, each row with its number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shopstill.core.errors import DataError, nearest
from shopstill.data.chunk import BROKEN, Raw, Reject
from shopstill.data.readers._files import existing, kind_of

ROWS = 32_768


def read_parquet(path: Path, columns: Sequence[str], *, table: str) -> Iterator[Raw]:
    """Chosen columns of a Parquet file, at most 32,768 rows at a time; lines are row numbers from 1.

    Raises:
        DataError: the file is missing, no Parquet, truncated or damaged, or lacks a column.
    """
    file = _open(path, columns)
    done = 0
    try:
        for batch in file.iter_batches(ROWS, columns=list(columns)):
            lines = pa.array(range(done + 1, done + 1 + batch.num_rows), pa.int64())
            yield _sound({c: _plain(batch.column(c)) for c in columns}, lines, str(path), table)
            done += batch.num_rows
    except (pa.ArrowException, OSError) as cause:
        raise DataError(f"{path}: is damaged behind row {done:,} ({_first(cause)}); get the file again") from None


def parquet_columns(path: Path, wanted: Sequence[str] = ()) -> list[str]:
    """Names of a Parquet file's columns, some of which must be there.

    Raises:
        DataError: the file is missing or no Parquet, or lacks a wanted column.
    """
    return list(_open(path, wanted).schema_arrow.names)


def _open(path: Path, columns: Sequence[str]) -> pq.ParquetFile:
    with existing(path).open("rb") as stream:
        start = stream.read(4096)
    if not start.startswith(b"PAR1"):
        wanted = f" with the columns {', '.join(columns)}" if columns else ""
        raise DataError(f"{path}: found {kind_of(start)}; expected a Parquet file{wanted}")
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as cause:
        raise DataError(f"{path}: is truncated or damaged ({_first(cause)}); get the file again") from None
    names = file.schema_arrow.names
    for column in columns:
        if column not in names:
            raise DataError(f"{path}: lacks the column {column!r}; found: {', '.join(names)}; {nearest(column, names)}")
    return file


def _plain(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _plain(array.dictionary_decode())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    return array


def _sound(columns: dict[str, pa.Array], lines: pa.Array, file: str, table: str) -> Raw:
    """Rows whose text is UTF-8; the others as rejects. Parquet readers do not look."""
    rejects: list[Reject] = []
    sound = np.ones(len(lines), dtype=bool)
    for name, array in columns.items():
        for row in _broken_rows(array):
            value = array[row].cast(pa.binary()).as_py().decode("utf-8", "backslashreplace")
            rejects.append(
                Reject(file=file, line=lines[row].as_py(), table=table, field=name, value=value, reason=BROKEN)
            )
            sound[row] = False
    data = pa.table(columns)
    if rejects:
        data, lines = data.filter(pa.array(sound)), lines.filter(pa.array(sound))
    texts = [pa.string() if pa.types.is_binary(kind) else kind for kind in data.schema.types]
    data = data.cast(pa.schema(zip(data.column_names, texts, strict=True)))
    return Raw(data=data, lines=lines, rejects=tuple(rejects))


def _broken_rows(array: pa.Array) -> list[int]:
    if not (pa.types.is_string(array.type) or pa.types.is_binary(array.type)):
        return []
    try:
        array.cast(pa.string()).validate(full=True)
    except pa.ArrowInvalid:
        values = array.cast(pa.binary()).to_pylist()
        return [row for row, value in enumerate(values) if value is not None and not _is_text(value)]
    return []


def _is_text(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _first(cause: BaseException) -> str:
    return str(cause).splitlines()[0][:200]
