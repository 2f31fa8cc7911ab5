"""From loosely typed rows to the shop's own types, with a reason for every row that does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopstill.core.errors import DataError
from shopstill.data.chunk import WRONG_TYPE, Chunk, Reject, Scale, folded
from shopstill.data.prices import PRICE, price
from shopstill.data.schema import SCHEMAS, EventKind
from shopstill.data.text import language, normalise

MISSING = "missing"
UNKNOWN_GRADE = "unknown grade"
TEXTS = frozenset({"title", "description", "brand", "text", "label"})
SPLITS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid", "test": "test"}
KINDS: tuple[str, ...] = get_args(EventKind)

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_WHOLE = re.compile(r"\.0*$")


class Caster:
    """Casts one chunk column by column, and remembers which rows are bad and why."""

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.sound = np.ones(chunk.data.num_rows, dtype=bool)
        self.rejects: list[Reject] = list(chunk.rejects)

    def run(self) -> tuple[pa.Table, pa.Array]:
        """The rows that fit, in the table's schema, and their lines."""
        chunk = self.chunk
        columns = {f.name: self._column(f) for f in SCHEMAS[chunk.table]}
        if chunk.table == "judgments":
            columns |= self._grades(chunk.scale or Scale(), columns)
        if chunk.table in ("products", "queries"):
            columns["language"] = _languages(
                columns["language"], columns["title" if chunk.table == "products" else "text"]
            )
        for f in SCHEMAS[chunk.table]:
            if not f.nullable:
                self._reject(pc.is_null(columns[f.name]), f.name, MISSING)
        columns = {name: column.cast(SCHEMAS[chunk.table].field(name).type) for name, column in columns.items()}
        data, lines = pa.table(columns, schema=SCHEMAS[chunk.table].remove_metadata()), chunk.lines
        if not self.sound.all():
            data, lines = data.filter(pa.array(self.sound)), lines.filter(pa.array(self.sound))
        return data, lines

    def _column(self, f: pa.Field) -> pa.Array:
        if f.name not in self.chunk.data.column_names:
            return pa.nulls(self.chunk.data.num_rows, f.type)
        raw = self.chunk.data[f.name].combine_chunks()
        if raw.null_count == len(raw):
            return pa.nulls(len(raw), f.type)
        try:
            return self._typed(raw, f)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            place = f"{self.chunk.file}: {self.chunk.table}.{f.name}"
            raise DataError(f"{place}: its column is of type {raw.type}; {f.type} is expected") from None

    def _typed(self, raw: pa.Array, f: pa.Field) -> pa.Array:
        if pa.types.is_map(f.type):
            return _mapped(raw)
        if pa.types.is_list(f.type):
            return _listed(raw)
        if pa.types.is_timestamp(f.type):
            return self._checked(raw, f.name, times(raw), "a time such as 2024-05-01T12:00:00, or seconds since 1970")
        if pa.types.is_integer(f.type):
            return self._checked(raw, f.name, integers(raw, f.type), "a whole number")
        if f.name == "price":
            return self._checked(raw, f.name, prices(raw, self.chunk.points_part), PRICE)
        if pa.types.is_floating(f.type):
            return self._checked(raw, f.name, numbers(raw), "a number")
        if pa.types.is_nested(raw.type) or pa.types.is_boolean(raw.type):
            raise pa.ArrowTypeError("text is expected")
        text = _by_value(raw.cast(pa.string()), normalise if f.name in TEXTS else str.strip)
        return self._known(text, f.name)

    def _known(self, text: pa.Array, name: str) -> pa.Array:
        if name == "split":
            mapped = _by_value(text, lambda value: SPLITS.get(value.lower(), ""))
            return self._checked(text, name, mapped, "train, valid or test")
        if name == "kind":
            mapped = _by_value(text, lambda value: value.lower() if value.lower() in KINDS else "")
            return self._checked(text, name, mapped, ", ".join(KINDS))
        return text

    def _checked(self, raw: pa.Array, name: str, typed: pa.Array, wanted: str) -> pa.Array:
        lost = pc.and_(pc.is_valid(_without_blanks(raw)), pc.is_null(typed))
        self._reject(lost, name, f"{WRONG_TYPE}: {wanted} is expected", raw)
        return typed

    def _grades(self, scale: Scale, columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
        grade, gain = columns["grade"], columns["gain"]
        if scale.labels and grade.null_count == len(grade):
            at = pc.index_in(_by_value(columns["label"], folded), pa.array([folded(label) for label in scale.labels]))
            known = np.array(list(scale.labels.values()), np.float64)
            grade, gain = (pa.array(known[:, i]).take(at) for i in (0, 1))
            unknown, field = pc.and_(pc.is_valid(columns["label"]), pc.is_null(at)), "label"
        else:
            outside = pc.or_(pc.less(grade, scale.low), pc.greater(grade, scale.high))
            unknown, field = pc.fill_null(outside, False), "grade"
            if gain.null_count:
                worth = pc.max_element_wise(pc.subtract(grade.cast(pa.float64()), scale.zero), 0.0, skip_nulls=False)
                gain = pc.coalesce(gain.cast(pa.float64()), worth)
        self._reject(unknown, field, f"{UNKNOWN_GRADE}: {scale.allowed()} is expected")
        return {"grade": grade, "gain": gain}

    def _reject(self, bad: pa.Array, name: str, reason: str, raw: pa.Array | None = None) -> None:
        rows = np.flatnonzero(np.asarray(bad) & self.sound)
        if not len(rows):
            return
        if raw is None and name in self.chunk.data.column_names:
            raw = self.chunk.data[name].combine_chunks()
        for row in rows.tolist():
            value = None if raw is None else raw[row].as_py()
            self.rejects.append(
                Reject(
                    file=self.chunk.file,
                    line=self.chunk.lines[row].as_py(),
                    table=self.chunk.table,
                    field=name,
                    value=None if value is None else str(value),
                    reason=reason,
                )
            )
        self.sound[rows] = False


def numbers(raw: pa.Array) -> pa.Array:
    """Finite float64 values; null where there is none.

    >>> numbers(pa.array(["2.33", " 3 ", "x", "1e999", ""])).to_pylist()
    [2.33, 3.0, None, None, None]
    """
    if pa.types.is_string(raw.type):
        text = pc.utf8_trim_whitespace(raw)
        fits = pc.match_substring_regex(text, _NUMBER)
        found = pc.if_else(fits, text, pa.scalar(None, pa.string())).cast(pa.float64())
    elif pa.types.is_boolean(raw.type):
        raise pa.ArrowTypeError("numbers are expected")
    else:
        found = raw.cast(pa.float64(), safe=False)
    return pc.if_else(pc.is_finite(found), found, pa.scalar(None, pa.float64()))


def prices(raw: pa.Array, parted: bool = False) -> pa.Array:
    """Numbers, and what ``price`` reads of texts that are none by themselves; null where that is nothing.

    >>> prices(pa.array(["9.5", "$1,299.00", "1.299", "1,299", "cheap"])).to_pylist()
    [9.5, 1299.0, 1.299, None, None]
    >>> prices(pa.array(["9.5", "12,50", "1.299"]), parted=True).to_pylist()
    [9.5, 12.5, None]
    """
    found = numbers(raw)
    if not pa.types.is_string(raw.type) or not (parted or found.null_count):
        return found
    return numbers(_by_value(raw, partial(price, parted=parted)))


def integers(raw: pa.Array, kind: pa.DataType) -> pa.Array:
    """Whole numbers of an integer type; null where there is none."""
    if pa.types.is_integer(raw.type):
        found = raw.cast(pa.int64())
    else:
        exact = numbers(raw)
        whole = pc.and_(pc.equal(pc.floor(exact), exact), pc.less(pc.abs(exact), 2.0**53))
        found = pc.if_else(whole, exact, pa.scalar(None, pa.float64())).cast(pa.int64())
    limit = np.iinfo(kind.to_pandas_dtype())
    fits = pc.and_(pc.greater_equal(found, int(limit.min)), pc.less_equal(found, int(limit.max)))
    return pc.if_else(fits, found, pa.scalar(None, pa.int64())).cast(kind)


def times(raw: pa.Array) -> pa.Array:
    """Milliseconds since 1970, UTC; numbers are seconds, milli-, micro- or nanoseconds, as their size tells.

    >>> times(pa.array(["1511544070", "2017-11-24T17:21:10Z", "soon"])).to_pylist()[1:]
    [datetime.datetime(2017, 11, 24, 17, 21, 10), None]
    """
    if pa.types.is_timestamp(raw.type):
        return raw.cast(pa.timestamp("ms", raw.type.tz), safe=False).cast(pa.timestamp("ms"))
    if pa.types.is_date(raw.type):
        return raw.cast(pa.timestamp("ms"))
    exact = numbers(raw)
    if exact.null_count < len(exact):
        return pc.coalesce(_epoch(exact), _written(raw) if pa.types.is_string(raw.type) else _epoch(exact))
    return _written(raw.cast(pa.string()))


def _epoch(exact: pa.Array) -> pa.Array:
    value = exact.to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        scale = np.select([np.abs(value) < b for b in (1e11, 1e14, 1e17)], [1e3, 1.0, 1e-3], 1e-6)
        fits = np.isfinite(value) & (np.abs(value) < 1e19)
    return pa.array(np.where(fits, value * scale, 0).astype(np.int64), pa.int64(), mask=~fits).cast(pa.timestamp("ms"))


def _written(texts: pa.Array) -> pa.Array:
    for zone in (None, "UTC"):
        try:
            return texts.cast(pa.timestamp("ms", zone)).cast(pa.timestamp("ms"))
        except pa.ArrowInvalid:
            continue
    return pa.array([_moment(text) for text in texts.to_pylist()], pa.timestamp("ms"))


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.strip()) if text else None
    except ValueError:
        return None
    return found.astimezone(UTC).replace(tzinfo=None) if found and found.tzinfo else found


def _by_value(texts: pa.Array, change: Callable[[str], str]) -> pa.Array:
    """Each different text changed once; what becomes empty is null."""
    coded = texts.dictionary_encode()
    changed = pa.array([change(value) or None for value in coded.dictionary.to_pylist()], pa.string())
    return changed.take(coded.indices)


def _without_blanks(raw: pa.Array) -> pa.Array:
    if not pa.types.is_string(raw.type):
        return raw if not pa.types.is_floating(raw.type) else pc.if_else(pc.is_nan(raw), pa.scalar(None, raw.type), raw)
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(raw), ""), pa.scalar(None, pa.string()), raw)


def _listed(raw: pa.Array) -> pa.Array:
    raw = raw.cast(pa.list_(pa.string()))
    items = _by_value(raw.flatten(), normalise)
    return _drop_empty(pa.ListArray.from_arrays(_offsets(raw), items, mask=raw.is_null()))


def _mapped(raw: pa.Array) -> pa.Array:
    pairs = raw.cast(pa.map_(pa.string(), pa.string())) if pa.types.is_map(raw.type) else raw
    rows = pairs.cast(pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())])))
    flat = rows.flatten()
    keys, values = (_by_value(flat.field(i), normalise) for i in (0, 1))
    keep = pc.and_(pc.is_valid(keys), pc.is_valid(values))
    offsets = np.concatenate([[0], np.cumsum(np.asarray(keep))])[np.asarray(_offsets(rows))].astype(np.int32)
    empty = np.diff(offsets) == 0
    starts = pa.array(offsets, pa.int32(), mask=np.append(empty, False))
    return pa.MapArray.from_arrays(starts, keys.filter(keep), values.filter(keep))


def _offsets(rows: pa.Array) -> pa.Array:
    """Offsets into ``rows.flatten()``, which leaves out what null rows hide."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(rows), 0))
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


def _drop_empty(rows: pa.Array) -> pa.Array:
    flat = rows.flatten()
    if not flat.null_count:
        return rows
    return pa.array([[item for item in row if item] or None if row else None for row in rows.to_pylist()], rows.type)


def _languages(given: pa.Array, texts: pa.Array) -> pa.Array:
    if not given.null_count:
        return given
    return pc.coalesce(given, _by_value(texts, language))
