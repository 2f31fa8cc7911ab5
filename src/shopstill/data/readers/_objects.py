"""JSON lines and JSON arrays in pieces, each object with the line it starts on."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from shopstill.core.errors import DataError
from shopstill.data.chunk import BROKEN, WRONG_TYPE, Raw, Reject, broken, shown
from shopstill.data.readers._files import LINE_LIMIT, Source, bounded_lines, text_stream

ROWS = 16_384
_READ = 1 << 18
_BETWEEN = re.compile(r"[\s,]*")
_EXPECTED = "JSON lines (an object a line) or a JSON array of objects"
_LIST = pa.list_(pa.string())
_MAP = pa.map_(pa.string(), pa.string())


@dataclass(frozen=True, kw_only=True)
class Objects:
    """JSON objects, the lines they start on, and what was no object."""

    file: str
    table: str
    values: list[dict[str, Any]]
    lines: list[int]
    rejects: tuple[Reject, ...]

    def columns(self, kinds: Mapping[str, Callable[[Any], Any]]) -> Raw:
        """Chosen fields as columns; an object with a value of the wrong kind becomes a reject.

        Args:
            kinds: field → ``as_text``, ``as_list`` or ``as_map``, or a function that calls one.
        """
        rejects = list(self.rejects)
        rows: list[list[Any]] = []
        lines: list[int] = []
        for line, value in zip(self.lines, self.values, strict=True):
            row = self._row(line, value, kinds)
            if isinstance(row, Reject):
                rejects.append(row)
            else:
                rows.append(row)
                lines.append(line)
        columns = list(zip(*rows, strict=True)) or [()] * len(kinds)
        arrays = [_array(column) for column in columns]
        return Raw(data=pa.table(arrays, names=list(kinds)), lines=pa.array(lines, pa.int64()), rejects=tuple(rejects))

    def _row(self, line: int, value: dict[str, Any], kinds: Mapping[str, Callable[[Any], Any]]) -> list[Any] | Reject:
        row: list[Any] = []
        for field, convert in kinds.items():
            try:
                row.append(convert(value.get(field)))
            except TypeError as cause:
                found = json.dumps(value.get(field))
                return Reject(file=self.file, line=line, table=self.table, field=field, value=found, reason=str(cause))
        return row


def read_objects(source: Source, *, table: str, encoding: str = "utf-8") -> Iterator[Objects]:
    """The objects of a file, at most 16,384 at a time.

    A line, or an item of the array, that is no object is a reject.

    Raises:
        DataError: the file is not JSON, its first line is no object, or its array breaks off or has a fault in it,
            behind which nobody knows where the next object starts.
    """
    with text_stream(source, encoding=encoding, expected=_EXPECTED, newline="\n") as text:
        start = text.read(1)
        while start.isspace():
            start = text.read(1)
    with text_stream(source, encoding=encoding, expected=_EXPECTED, newline="\n") as text:
        rows = _items(text, source.name) if start == "[" else _lines(text, source.name)
        values: list[dict[str, Any]] = []
        lines: list[int] = []
        rejects: list[Reject] = []
        for line, found in rows:
            if isinstance(found, dict):
                values.append(found)
                lines.append(line)
            else:
                rejects.append(_no_object(source.name, line, table, found))
            if len(values) + len(rejects) >= ROWS:
                yield Objects(file=source.name, table=table, values=values, lines=lines, rejects=tuple(rejects))
                values, lines, rejects = [], [], []
        if values or rejects:
            yield Objects(file=source.name, table=table, values=values, lines=lines, rejects=tuple(rejects))


def as_text(value: Any) -> str | None:
    """A scalar as text; a list of scalars as its items in a row.

    Raises:
        TypeError: the value is an object, a truth value, or holds one; or it is broken text.

    >>> as_text(12), as_text(["a", "b"]), as_text("")
    ('12', 'a b', None)
    """
    if isinstance(value, list):
        return " ".join(filter(None, map(as_text, value))) or None
    if value is None or isinstance(value, str):
        if broken(value):
            raise TypeError(BROKEN)
        return value or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{WRONG_TYPE}: text is expected, not {_name(value)}")
    return str(value)


def as_list(value: Any, separator: str | None = None) -> list[str] | None:
    """A list of texts; text is cut at the separator.

    Raises:
        TypeError: the value, or an item, is an object, a truth value, or broken text.
    """
    if isinstance(value, str) and separator:
        value = value.split(separator)
    items = value if isinstance(value, list) else [value]
    return [text for text in map(as_text, items) if text and text.strip()] or None


def as_map(value: Any) -> list[tuple[str, str]] | None:
    """An object of texts as pairs; empty values are left out, truth values become yes and no.

    Raises:
        TypeError: the value is no object, or holds another, or broken text.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError(f"{WRONG_TYPE}: an object is expected, not {_name(value)}")
    pairs = [(key, _said(item) if isinstance(item, bool | float) else as_text(item)) for key, item in value.items()]
    return [(as_text(key) or "", text) for key, text in pairs if text is not None] or None


def _said(value: bool | float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}"


def _array(values: tuple[Any, ...]) -> pa.Array:
    sample = next((v for v in values if v is not None), None)
    if not isinstance(sample, list):
        return pa.array(values, pa.string())
    return pa.array(values, _MAP if isinstance(sample[0], tuple) else _LIST)


def _lines(text: io.TextIOWrapper, name: str) -> Iterator[tuple[int, Any]]:
    first = True
    for number, line in enumerate(bounded_lines(text, name), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = line
        if first and not isinstance(found, dict):
            raise DataError(
                f"{name}:{number}: no JSON object on this line: {shown(line.strip())!r}; expected {_EXPECTED}"
            )
        first = False
        yield number, found


def _items(text: io.TextIOWrapper, name: str) -> Iterator[tuple[int, Any]]:
    decoder = json.JSONDecoder()
    buffer, line = text.read(_READ), 1
    at = buffer.index("[") + 1
    line += buffer.count("\n", 0, at)
    while True:
        start = _BETWEEN.match(buffer, at).end()  # type: ignore[union-attr]
        line += buffer.count("\n", at, start)
        at = start
        if buffer[at : at + 1] == "]":
            return
        try:
            found, end = decoder.raw_decode(buffer, at)
        except (ValueError, RecursionError) as cause:
            more = text.read(max(_READ, len(buffer) - at)) if len(buffer) - at < LINE_LIMIT else ""
            if not more:
                raise DataError(f"{name}:{line}: the JSON array breaks off or has a fault here ({cause})") from None
            buffer, at = buffer[at:] + more, 0
            continue
        yield line, found
        line += buffer.count("\n", at, end)
        at = end


def _no_object(file: str, line: int, table: str, found: Any) -> Reject:
    value = found if isinstance(found, str) else json.dumps(found)
    return Reject(file=file, line=line, table=table, field=None, value=value, reason="is no JSON object")


def _name(value: Any) -> str:
    return {dict: "an object", bool: "a truth value", list: "a list", str: "text"}.get(type(value), "a number")
