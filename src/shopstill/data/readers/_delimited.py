"""CSV and TSV in pieces, each row with the line it starts on, each bad row with a reason."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from shopstill.core.errors import DataError, nearest
from shopstill.data.chunk import BROKEN, VALUE_LENGTH, Raw, Reject, broken
from shopstill.data.readers._files import Source, bounded_lines, text_stream

ROWS = 32_768


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a delimited file is laid out.

    Attributes:
        table: the table that rows without columns are counted for.
        required: columns that must be in the header.
        delimiter: one character; a space stands for a run of them.
        encoding: of the text.
        quoted: whether ``"`` quotes fields that hold delimiters or line ends.
        header: the columns' names where the file does not give them.
        skip: lines to pass over at the start.
        open_ended: the last column takes the rest of a row with too many fields: text whose delimiters nobody quoted,
            and which may begin with a word in quotes, or with a quote that nothing closes.
    """

    table: str
    required: Sequence[str] = ()
    delimiter: str = ","
    encoding: str = "utf-8"
    quoted: bool = True
    header: Sequence[str] | None = None
    skip: int = 0
    open_ended: bool = False

    def expected(self) -> str:
        """The file in words, for messages."""
        kind = {",": "comma", "\t": "tab"}.get(self.delimiter, repr(self.delimiter))
        return f"{kind}-separated text with the columns {', '.join(self.header or self.required) or '(any)'}"


def read_delimited(source: Source, layout: Layout) -> Iterator[Raw]:
    """The rows of a delimited file, at most 32,768 at a time, every column as text; empty fields are null.

    Blank lines are passed over. A row with too many or too few fields, with a quote that is not closed, or with a
    field of more than 131,072 characters is a reject.

    Raises:
        DataError: the file is not text in this encoding, or its header lacks a required column.
    """
    with text_stream(source, encoding=layout.encoding, expected=layout.expected()) as text:
        records = _records(bounded_lines(text, source.name), layout)
        header = list(layout.header) if layout.header else _header(records, source.name, layout)
        piece = _Piece(header, source.name, layout)
        for line, record in islice(records, layout.skip, None):
            piece.add(line, record)
            if piece.full():
                yield piece.take()
        if not piece.empty():
            yield piece.take()


def read_header(source: Source, layout: Layout) -> list[str]:
    """The columns' names: the file's, or the layout's where the file does not give them.

    Raises:
        DataError: as ``read_delimited``.
    """
    with text_stream(source, encoding=layout.encoding, expected=layout.expected()) as text:
        records = _records(bounded_lines(text, source.name), layout)
        return list(layout.header) if layout.header else _header(records, source.name, layout)


@dataclass(frozen=True)
class _Fault:
    """A record that is no row: why, which of its fields is at fault, and how it starts."""

    why: str
    field: int
    start: str


class _Piece:
    """Rows gathered until there are enough for a chunk."""

    def __init__(self, header: list[str], file: str, layout: Layout) -> None:
        self._header, self._file, self._table = header, file, layout.table
        self._rest = layout.delimiter if layout.open_ended else None
        self._rows: list[list[str]] = []
        self._lines: list[int] = []
        self._rejects: list[Reject] = []

    def add(self, line: int, record: list[str] | _Fault) -> None:
        if isinstance(record, _Fault):
            self._reject(line, record.field, record.start, f"cannot be read as a row: {record.why}")
        elif len(record) == len(self._header):
            self._rows.append(record)
            self._lines.append(line)
        elif self._rest and len(record) > len(self._header):
            last = len(self._header) - 1
            self.add(line, [*record[:last], self._rest.join(record[last:])])
        elif record:
            self._reject(line, len(record), " | ".join(record), _ragged(len(record), len(self._header)))

    def full(self) -> bool:
        return len(self._rows) >= ROWS or len(self._rejects) >= ROWS

    def empty(self) -> bool:
        return not self._rows and not self._rejects

    def take(self) -> Raw:
        try:
            data = self._table_of_rows()
        except UnicodeEncodeError:
            self._drop_broken()
            data = self._table_of_rows()
        raw = Raw(data=data, lines=pa.array(self._lines, pa.int64()), rejects=tuple(self._rejects))
        self._rows, self._lines, self._rejects = [], [], []
        return raw

    def _table_of_rows(self) -> pa.Table:
        columns = list(zip(*self._rows, strict=True)) or [()] * len(self._header)
        return pa.table([pa.array([v or None for v in column], pa.string()) for column in columns], names=self._header)

    def _drop_broken(self) -> None:
        rows, lines = self._rows, self._lines
        self._rows, self._lines = [], []
        for line, fields in zip(lines, rows, strict=True):
            at = next((i for i, value in enumerate(fields) if broken(value)), None)
            if at is None:
                self._rows.append(fields)
                self._lines.append(line)
            else:
                self._reject(line, at, fields[at], BROKEN)

    def _reject(self, line: int, field: int, value: str, reason: str) -> None:
        name = self._header[min(field, len(self._header) - 1)]
        reject = Reject(file=self._file, line=line, table=self._table, field=name, value=value, reason=reason)
        self._rejects.append(reject)


def _ragged(found: int, expected: int) -> str:
    return f"has too {'few' if found < expected else 'many'} fields: {expected} are expected"


class _Tape:
    """Lines as they are handed on; those of the record that is being read are held, and can be taken back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._back, self._before = lines, list[str](), 0
        self.held: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.pop() if self._back else next(self._lines)
        self.held.append(line)
        return line

    def begin(self) -> int:
        """Hold the lines of another record; the number of its first."""
        self._before += len(self.held)
        self.held = []
        return self._before + 1

    def take_back(self) -> None:
        """Read all lines of the record but its first again."""
        self._back += reversed(self.held[1:])
        del self.held[1:]


def _records(lines: Iterator[str], layout: Layout) -> Iterator[tuple[int, list[str] | _Fault]]:
    """Each record and the line it starts on."""
    tape = _Tape(lines)
    reader = csv.reader(
        tape,
        delimiter=layout.delimiter,
        quoting=csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE,
        skipinitialspace=layout.delimiter == " ",
        strict=True,
    )
    while True:
        line = tape.begin()
        found: list[str] | _Fault
        try:
            found = next(reader)
        except StopIteration:
            return
        except csv.Error as cause:
            start = "".join(tape.held)
            found = _Fault(str(cause), _field_at_fault(start, layout.delimiter), start[:VALUE_LENGTH])
        if layout.open_ended and (len(tape.held) > 1 or isinstance(found, _Fault)):
            own = _unquoted(tape.held, layout)
            if own is not None:
                tape.take_back()
                found = own
        yield line, found


def _unquoted(held: list[str], layout: Layout) -> list[str] | None:
    """The fields of a first line whose last column holds quotes that are its own; None where it does not.

    Such as ``"Bad" Boys``; or ``"Bad Boys``, where a later line of what the quote would hold is a row by itself.
    """
    line, *others = held
    if len(line) > csv.field_size_limit():
        return None
    last = len(layout.required) - 1
    fields = line.rstrip("\r\n").split(layout.delimiter, last)
    if len(fields) <= last or '"' in "".join(fields[:last]):
        return None
    row = any(other.count(layout.delimiter) >= last for other in others)
    return fields if row or not others else None


def _field_at_fault(record: str, delimiter: str) -> int:
    """How many fields of a record are well formed and not too long."""
    stop = re.escape(delimiter)
    field = re.compile(rf'(?:"(?:[^"]|"")*+"|[^"{stop}\r\n][^{stop}\r\n]*+|)(?:{stop}|$)')
    count = at = 0
    while at < len(record) and (found := field.match(record, at)) and len(found[0]) <= csv.field_size_limit():
        count, at = count + 1, found.end()
    return count


def _header(records: Iterator[tuple[int, list[str] | _Fault]], file: str, layout: Layout) -> list[str]:
    line, found = next(records, (1, []))
    names = [name.strip() for name in found] if isinstance(found, list) else []
    for name in layout.required:
        if name not in names:
            listed = ", ".join(names[:20])[:300] or "nothing that can be read"
            raise DataError(
                f"{file}:{line}: the header lacks {name!r}; found: {listed}; expected {layout.expected()}; "
                f"{nearest(name, names[:20])}"
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{file}:{line}: the header names {', '.join(twice)} more than once; rename one")
    return names
