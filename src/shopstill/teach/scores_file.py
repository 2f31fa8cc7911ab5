"""Scores made elsewhere: Parquet, JSONL, CSV, TSV and TREC runs, read into one table and matched with wanted pairs.

Shape legend: ``N`` pairs.
"""

from __future__ import annotations

import csv
import json
import logging
import math
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shopstill.core.errors import DataError, nearest
from shopstill.data.chunk import query_id

log = logging.getLogger(__name__)

SCORES = pa.schema(
    [
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ]
)

_ID, _QUERY = "query_id", "query"
_ROWS_AT_ONCE = 65_536
_RUN_FIELDS = 6
_MOST = float(np.finfo(np.float32).max)
_Row = tuple[Any, ...]
"""Line or row from 1, query id, product id, score: as read, unchecked."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How far a file of scores answers the pairs that are wanted.

    Attributes:
        wanted: pairs wanted.
        found: how many of them have a score.
        unused: scores of pairs that nobody wants.
    """

    wanted: int
    found: int
    unused: int

    @property
    def share(self) -> float:
        """Found of wanted, from 0 to 1."""
        return self.found / self.wanted if self.wanted else 1.0


def scores_file(path: Path, *, query: str = _ID, product: str = "product_id", score: str = "score") -> pa.Table:
    """Read a file of scores: a table of query_id, product_id, score, each pair once.

    The suffix names the format: ``.parquet``, ``.jsonl``, ``.csv`` and ``.tsv`` with the columns named; ``.run``,
    ``.trec`` and ``.txt`` as a TREC run, ``query Q0 product rank score tag``. A pair that is given twice with one score
    counts once. A file without ``query_id`` may name ``query``, the text, as judgments may: its id is then the one
    that a shop makes of queries that have none of their own.

    Raises:
        DataError: a column is missing, a line is not what it must be, a score is not a finite number, or a pair has two
            different scores; the message names file, line, field and value.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "bm25.run"
    >>> _ = path.write_text("q1 Q0 p7 1 12.5 bm25" + chr(10))
    >>> scores_file(path).to_pylist()
    [{'query_id': 'q1', 'product_id': 'p7', 'score': 12.5}]
    """
    path = Path(path)
    names = (query, product, score)
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
    tables, lines = [], []
    rows = readers[path.suffix](path, names)
    while piece := [_checked(path, names, row) for row in islice(rows, _ROWS_AT_ONCE)]:
        number, *columns = zip(*piece, strict=True)
        tables.append(pa.table([pa.array(c, f.type) for c, f in zip(columns, SCORES, strict=True)], schema=SCORES))
        lines.append(np.array(number, np.int64))
    if not tables:
        raise DataError(f"{path}: holds no scores")
    return _once(path, pa.concat_tables(tables), np.concatenate(lines))


def match(scores: pa.Table, wanted: pa.Table) -> tuple[NDArray[np.float32], Coverage]:
    """``score_N`` of N wanted pairs (query_id, product_id), NaN where there is none, and how many there are."""
    codes, asked = _codes(scores, wanted)
    order = np.argsort(codes)
    place = np.minimum(np.searchsorted(codes, asked, sorter=order), max(len(codes) - 1, 0))
    found = (codes[order][place] == asked) & (asked >= 0) if len(codes) else np.zeros(len(asked), bool)
    out = np.full(len(asked), np.nan, np.float32)
    out[found] = scores.column("score").to_numpy()[order[place[found]]]
    unused = len(codes) - len(np.intersect1d(codes, asked))
    return out, Coverage(wanted=len(asked), found=int(found.sum()), unused=unused)


def _codes(scores: pa.Table, wanted: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One number a pair in both tables, equal where the pairs are; -1 in ``wanted`` where an id has no score at all."""
    both = []
    for column in ("query_id", "product_id"):
        known = pc.unique(scores.column(column))
        both.append(
            [pc.index_in(t.column(column).cast(pa.string()), known).fill_null(-1).to_numpy() for t in (scores, wanted)]
        )
    width = len(known) + 1
    (query, asked_query), (product, asked_product) = both
    asked = np.where((asked_query < 0) | (asked_product < 0), -1, asked_query.astype(np.int64) * width + asked_product)
    return query.astype(np.int64) * width + product, asked


def _once(path: Path, table: pa.Table, lines: NDArray[np.int64]) -> pa.Table:
    codes, _ = _codes(table, table)
    values = table.column("score").to_numpy()
    order = np.argsort(codes, kind="stable")
    same = codes[order][1:] == codes[order][:-1]
    differs = np.flatnonzero(same & (values[order][1:] != values[order][:-1]))
    if len(differs):
        at = order[differs[0] + 1]
        query, product, score = (table.column(name)[int(at)].as_py() for name in table.column_names)
        earlier = lines[order[differs[0]]]
        raise DataError(
            f"{path}: line {lines[at]}: score {score:g} for query {query!r} and product {product!r} differs from "
            f"the one in line {earlier}; keep one"
        )
    if same.any():
        log.warning("%s: %s pairs are given more than once, with equal scores; each counts once", path, int(same.sum()))
    return table.take(np.sort(order[np.concatenate(([True], ~same))]))


def _checked(path: Path, names: tuple[str, str, str], row: _Row) -> tuple[int, str, str, float]:
    line, query, product, score = row
    for name, value in zip(names[:2], (query, product), strict=True):
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise DataError(f"{path}: line {line}: {name}: {value!r}: must be an id, a string or a whole number")
    try:
        number = math.nan if isinstance(score, bool) else float(score)
    except (TypeError, ValueError):
        number = math.nan
    if not abs(number) <= _MOST:
        raise DataError(f"{path}: line {line}: {names[2]}: {score!r}: must be a finite number")
    return line, str(query), str(product), number


def _columns(path: Path, present: Iterable[str], names: tuple[str, str, str]) -> list[str]:
    """The columns to read: those that are named, or ``query`` in place of ``query_id``."""
    present = list(present)
    found = [_QUERY if _by_text(name, present) else name for name in names]
    for name in found:
        if name not in present:
            raise DataError(f"{path}: has no column {name!r}: {nearest(name, present)}")
    return found


def _by_text(name: str, present: Container[str]) -> bool:
    return name == _ID and _ID not in present and _QUERY in present


def _values(row: Mapping[str, Any], names: tuple[str, str, str]) -> tuple[Any, Any, Any]:
    """Query id, product id and score of a row that has them, or the query's text."""
    query, product, score = names
    text = row[_QUERY] if _by_text(query, row) else None
    return (query_id(text) if isinstance(text, str) else row.get(query), row[product], row[score])


def _parquet(path: Path, names: tuple[str, str, str]) -> Iterator[_Row]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as cause:
        raise DataError(f"{path}: not a Parquet file ({cause})") from None
    found = _columns(path, file.schema_arrow.names, names)
    line = 0
    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=found):
        for row in batch.select(found).to_pylist():
            line += 1
            yield (line, *_values(row, names))


def _jsonl(path: Path, names: tuple[str, str, str]) -> Iterator[_Row]:
    for line, text in _lines(path):
        try:
            row = json.loads(text)
        except json.JSONDecodeError as cause:
            raise DataError(f"{path}: line {line}: {text[:80]!r}: not JSON ({cause})") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {line}: {text[:80]!r}: must be a JSON object")
        for name in names:
            if name not in row and not _by_text(name, row):
                raise DataError(f"{path}: line {line}: has no field {name!r}: {nearest(name, row)}")
        yield (line, *_values(row, names))


def _csv(path: Path, names: tuple[str, str, str]) -> Iterator[_Row]:
    with open(path, encoding="utf-8-sig", newline="") as handle:
        rows = csv.DictReader(handle, delimiter="\t" if path.suffix == ".tsv" else ",")
        try:
            _columns(path, rows.fieldnames or [], names)
            for row in rows:
                yield (rows.line_num, *_values(row, names))
        except (csv.Error, UnicodeDecodeError) as cause:
            raise DataError(f"{path}: line {rows.line_num + 1}: not readable as UTF-8 CSV ({cause})") from None


def _run(path: Path, names: tuple[str, str, str]) -> Iterator[_Row]:
    for line, text in _lines(path):
        parts = text.split()
        if len(parts) != _RUN_FIELDS:
            raise DataError(
                f"{path}: line {line}: {text[:80]!r}: has {len(parts)} fields; a TREC run has six: query Q0 product "
                "rank score tag"
            )
        yield line, parts[0], parts[2], parts[4]


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
