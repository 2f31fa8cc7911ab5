"""The rows of a file of scores, whatever its format: as they stand there, each with its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shopstill.core.errors import DataError, nearest
from shopstill.data.chunk import broken

ID, QUERY = "query_id", "query"
ROWS_AT_ONCE = 65_536
_RUN_FIELDS = 6
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Row:
    """A score as a file has it, unchecked.

    Attributes:
        line: line or row, from 1.
        query: the query's id, or its text.
        product: the product's id.
        score: the score.
        by_text: whether the file names queries by their text.
    """

    line: int
    query: Any
    product: Any
    score: Any
    by_text: bool = False


def read_rows(path: Path, names: tuple[str, str, str]) -> Iterator[Row]:
    """The rows of a file.

    Args:
        path: a file whose suffix names the format.
        names: the columns of query id, product id and score; ``query``, the text, may stand for ``query_id``.

    Raises:
        DataError: there is no such file or format, a column is missing, or a line is not what it must be.
    """
    readers = {
        ".parquet": _parquet,
        ".jsonl": _jsonl,
        ".csv": _csv,
        ".tsv": _csv,
        ".run": _run,
        ".trec": _run,
        ".txt": _run,
    }
    if path.suffix not in readers:
        raise DataError(f"{path}: a file of scores cannot end in {path.suffix!r}: {nearest(path.suffix, readers)}")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file of scores; check the path")
    return readers[path.suffix](path, names)


def _columns(path: Path, present: Iterable[str], names: Sequence[str]) -> list[str]:
    """The columns to read: those that are named, or ``query`` in place of ``query_id``."""
    present = list(present)
    found = [QUERY if _by_text(name, present) else name for name in names]
    for name in found:
        if name not in present:
            raise DataError(f"{path}: has no column {name!r}: {nearest(name, present)}")
    return found


def _by_text(name: str, present: Container[str]) -> bool:
    return name == ID and ID not in present and QUERY in present


def _row(line: int, row: Mapping[str, Any], names: tuple[str, str, str]) -> Row:
    query, product, score = names
    by_text = _by_text(query, row)
    return Row(line, row.get(QUERY if by_text else query), row[product], row[score], by_text)


def _parquet(path: Path, names: tuple[str, str, str]) -> Iterator[Row]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as cause:
        raise DataError(f"{path}: not a Parquet file ({cause})") from None
    found = _columns(path, file.schema_arrow.names, names)
    line = 0
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=found):
        try:
            rows = batch.select(found).to_pylist()
        except UnicodeDecodeError as cause:
            last = line + batch.num_rows
            raise DataError(f"{path}: rows {line + 1} to {last}: a text among them is not UTF-8 ({cause})") from None
        for row in rows:
            line += 1
            yield _row(line, row, names)


def _jsonl(path: Path, names: tuple[str, str, str]) -> Iterator[Row]:
    for line, text in _lines(path):
        try:
            row = json.loads(text)
        except json.JSONDecodeError as cause:
            raise DataError(f"{path}: line {line}: {text[:_SHOWN]!r}: not JSON ({cause})") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {line}: {text[:_SHOWN]!r}: must be a JSON object")
        for name in names:
            if name not in row and not _by_text(name, row):
                raise DataError(f"{path}: line {line}: has no field {name!r}: {nearest(name, row)}")
        yield _row(line, row, names)


def _csv(path: Path, names: tuple[str, str, str]) -> Iterator[Row]:
    # Bytes that are no text come as lone surrogates, so that the line that holds them can be named.
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as handle:
        rows = csv.DictReader(handle, delimiter="\t" if path.suffix == ".tsv" else ",")
        try:
            header = rows.fieldnames or []
            _whole(path, 1, (("header", name) for name in header))
            _columns(path, header, names)
            for row in rows:
                _whole(path, rows.line_num, row.items())
                yield _row(rows.line_num, row, names)
        except csv.Error as cause:
            raise DataError(f"{path}: line {rows.line_num + 1}: not readable as CSV ({cause})") from None


def _whole(path: Path, line: int, values: Iterable[tuple[str, Any]]) -> None:
    """Stop at a value that was no text."""
    for name, value in values:
        if broken(value):
            raise DataError(f"{path}: line {line}: {name}: {value[:_SHOWN]!r}: is not UTF-8; write the file as that")


def _run(path: Path, names: tuple[str, str, str]) -> Iterator[Row]:
    for line, text in _lines(path):
        parts = text.split()
        if len(parts) != _RUN_FIELDS:
            raise DataError(
                f"{path}: line {line}: {text[:_SHOWN]!r}: has {len(parts)} fields; a TREC run has six: query Q0 "
                "product rank score tag"
            )
        yield Row(line, parts[0], parts[2], parts[4])


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1."""
    with open(path, "rb") as handle:
        for line, raw in enumerate(handle, start=1):
            try:
                text = raw.decode("utf-8-sig" if line == 1 else "utf-8").strip()
            except UnicodeDecodeError as cause:
                raise DataError(f"{path}: line {line}: not UTF-8 ({cause})") from None
            if text:
                yield line, text
