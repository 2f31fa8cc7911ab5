"""What a reader hands on: raw rows of one table, where they came from, and the rows that could not be read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

import pyarrow as pa

from shopstill.data.text import normalise

VALUE_LENGTH = 200
BROKEN = "broken encoding"
WRONG_TYPE = "wrong type"
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A row that cannot be used: where it stands, what is wrong with it."""

    file: str
    line: int | None
    table: str
    field: str | None
    value: str | None
    reason: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        name = self.table if self.field is None else f"{self.table}.{self.field}"
        return f"{place}: {name}: {self.reason} (value: {shown(self.value)!r})"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What the grades of a source mean.

    Attributes:
        labels: label → (grade, gain), where the source names its grades; compared as ``folded`` has them.
        low: the smallest number that is a grade.
        high: the largest.
        zero: the number that is worth nothing; the gain of a number is its distance from here.
    """

    labels: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    low: float = -inf
    high: float = inf
    zero: float = 0.0

    def allowed(self) -> str:
        """The grades in words, for messages."""
        return ", ".join(self.labels) if self.labels else f"a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Raw rows of one table.

    Attributes:
        table: a table of ``shopstill.data.schema``.
        data: its columns by name, loosely typed (numbers may be text); a judgment has ``grade``, or ``label`` with a
            scale that knows it.
        file: the file, as the recipe names it.
        lines: int64, line (or row of a Parquet file) of each row, from 1.
        scale: what grades mean; judgments only.
        repeats: the file repeats products or queries with each row that names them, so that an id seen before is no
            fault.
        points_part: points part thousands in the column that the prices are from, of which these rows are a piece, as
            ``shopstill.data.prices.points_part`` finds it.
        rejects: rows near these that could not even be cut into columns.
    """

    table: str
    data: pa.Table
    file: str
    lines: pa.Array
    scale: Scale | None = None
    repeats: bool = False
    points_part: bool = False
    rejects: tuple[Reject, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Raw:
    """Rows as a file has them: text columns under the file's own names, and the rows that have no columns."""

    data: pa.Table
    lines: pa.Array
    rejects: tuple[Reject, ...] = ()

    def select(self, names: Mapping[str, str]) -> pa.Table:
        """Columns under new names: ours → the file's."""
        return pa.table({ours: self.data.column(theirs) for ours, theirs in names.items()})


def shown(value: str | None) -> str | None:
    """A value fit for a message: whole characters only, cut at 200."""
    if value is None:
        return None
    return value[:VALUE_LENGTH].encode("utf-8", "backslashreplace").decode("utf-8")[:VALUE_LENGTH]


def broken(value: Any) -> bool:
    """Whether a value is text that holds bytes which were no text: they stand there as lone surrogates.

    >>> broken("caf\\udce9"), broken("café"), broken(None)
    (True, False, False)
    """
    return isinstance(value, str) and not value.isascii() and _SURROGATE.search(value) is not None


def folded(label: str) -> str:
    """The form in which labels are compared: cleaned as the table's own are, and without case.

    >>> folded("Groß  （neu）")
    'gross (neu)'
    """
    return normalise(label).casefold()


def query_ids(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Ids made from the normalised text, for sources that have none: equal texts get equal ids.

    >>> query_ids(pa.array(["red  mug", "red mug"])).to_pylist()
    ['41d56f8c1c7de080', '41d56f8c1c7de080']
    """
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    coded = texts.dictionary_encode()
    ids = pa.array([query_id(v) for v in coded.dictionary.to_pylist()], pa.string())
    return ids.take(coded.indices)


def query_id(text: str) -> str | None:
    """The id made from one text; None where nothing is left of it.

    >>> query_id("red  mug")
    '41d56f8c1c7de080'
    """
    cleaned = normalise(text)
    return hashlib.blake2b(cleaned.encode("utf-8"), digest_size=8).hexdigest() if cleaned else None
