"""Scores made elsewhere: Parquet, JSONL, CSV, TSV and TREC runs, read into one table and matched with wanted pairs.

Shape legend: ``N`` pairs.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shopstill.core.errors import DataError
from shopstill.data.chunk import BROKEN, broken, query_id
from shopstill.teach.score_rows import ID, QUERY, ROWS_AT_ONCE, Row, read_rows

log = logging.getLogger(__name__)

SCORES = pa.schema(
    [
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ]
)

NAMES = (ID, "product_id", "score")
_MOST = float(np.finfo(np.float32).max)


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


def scores_file(path: Path, *, query: str = ID, product: str = "product_id", score: str = "score") -> pa.Table:
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
    path, names = Path(path), (query, product, score)
    tables, lines = [], []
    rows = read_rows(path, names)
    while piece := [_checked(path, names, row) for row in islice(rows, ROWS_AT_ONCE)]:
        number, *columns = zip(*piece, strict=True)
        tables.append(pa.table([pa.array(c, f.type) for c, f in zip(columns, SCORES, strict=True)], schema=SCORES))
        lines.append(np.array(number, np.int64))
    if not tables:
        raise DataError(f"{path}: holds no scores")
    return _once(path, names, pa.concat_tables(tables), np.concatenate(lines))


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


def unmatched(path: Path, ours: Mapping[str, str]) -> str:
    """Why a file of scores may have none of a run's pairs, in words: what each of the two names first, and what to use.

    Args:
        path: the file.
        ours: ``query_id``, ``query`` (its text) and ``product_id`` that the run has.
    """
    first = next(read_rows(path, NAMES))
    column = QUERY if first.by_text else ID
    named = f"the file names {column} {first.query!r} and product_id {first.product!r}, the run {ours[column]!r}"
    if not first.by_text:
        use = "use the ids of"
    elif ours[ID] == query_id(ours[QUERY]):
        use = "use the texts, case and all, and the ids of"
    else:
        use = "its queries have ids of their own: name query_id in place of query, and use the ids of"
    return f"{named} and {ours['product_id']!r}; {use}"


def _once(path: Path, names: tuple[str, str, str], table: pa.Table, lines: NDArray[np.int64]) -> pa.Table:
    codes, _ = _codes(table, table)
    values = table.column("score").to_numpy()
    order = np.argsort(codes, kind="stable")
    same = codes[order][1:] == codes[order][:-1]
    differs = np.flatnonzero(same & (values[order][1:] != values[order][:-1]))
    if len(differs):
        at, earlier = int(order[differs[0] + 1]), lines[order[differs[0]]]
        row = next(islice(read_rows(path, names), at, None))
        raise DataError(
            f"{path}: line {row.line}: score {values[at]:g} for query {row.query!r} and product {row.product!r} "
            f"differs from the one in line {earlier}; keep one"
        )
    if same.any():
        log.warning("%s: %s pairs are given more than once, with equal scores; each counts once", path, int(same.sum()))
    return table.take(np.sort(order[np.concatenate(([True], ~same))]))


def _checked(path: Path, names: tuple[str, str, str], row: Row) -> tuple[int, str, str, float]:
    query, product = _id(row.query, row.by_text), _id(row.product, False)
    if not query:
        raise DataError(
            f"{path}: line {row.line}: {_no_id(QUERY if row.by_text else names[0], row.query, row.by_text)}"
        )
    if not product:
        raise DataError(f"{path}: line {row.line}: {_no_id(names[1], row.product, False)}")
    try:
        number = math.nan if isinstance(row.score, bool) else float(row.score)
    except (TypeError, ValueError):
        number = math.nan
    if not abs(number) <= _MOST:
        raise DataError(f"{path}: line {row.line}: {names[2]}: {row.score!r}: must be a finite number")
    return row.line, query, product, number


def _id(said: Any, by_text: bool) -> str | None:
    """An id as text, or the one that is made of a text; nothing where it is none."""
    if isinstance(said, bool) or not isinstance(said, str | int) or broken(said):
        return None
    return query_id(str(said)) if by_text else str(said)


def _no_id(column: str, said: Any, by_text: bool) -> str:
    if broken(said):
        return f"{column}: {said!r}: {BROKEN}: holds what is no character; mend it"
    what = "a text that is not blank" if by_text else "an id, a string"
    return f"{column}: {said!r}: must be {what} or a whole number"
