"""What samples of readers are made of: files, the reader that takes them, and rows to add."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shopstill.data.readers import Reader

Change = Callable[[bytes], bytes]


def behind(whole: bytes, row: bytes) -> bytes:
    """A file with one more row, where rows simply follow each other."""
    return whole + row


@dataclass(frozen=True, kw_only=True)
class SampleFile:
    """A file of a sample.

    Attributes:
        path: where it lies.
        add: appends a row that is valid but for its text, given as bytes; None where rows hold ids alone.
        ragged: bytes that stand where a row should and are none, or None where the format cannot hold such.
        text: True where bytes beyond the encoding can occur in it and must be rejected.
        plain: the file holds text that may carry a byte order mark and other line ends.
        join: how bytes are put behind the last row.
    """

    path: Path
    add: Callable[[Path, bytes], None] | None = None
    ragged: bytes | None = None
    text: bool = True
    plain: bool = True
    join: Callable[[bytes, bytes], bytes] = behind


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A reader and the tiny shop it must read.

    Attributes:
        reader: configured for the files.
        files: what was written.
        counts: rows that the shop must have, by table.
    """

    reader: Reader
    files: tuple[SampleFile, ...]
    counts: Mapping[str, int]


def edit(path: Path, change: Change) -> None:
    """Rewrite a file's content, or that of the one member of a zip."""
    if path.suffix != ".zip":
        path.write_bytes(change(path.read_bytes()))
        return
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        content = archive.read(name)
    zipped(path, name, change(content))


def appending(
    row: Callable[[bytes], bytes], join: Callable[[bytes, bytes], bytes] = behind
) -> Callable[[Path, bytes], None]:
    """A way to add a row: its bytes from its text, put behind the others."""
    return lambda path, text: edit(path, lambda whole: join(whole, row(text)))


def adding(column: str, product_id: str) -> Callable[[Path, bytes], None]:
    """A way to add a row to the products of a Parquet file, whatever its bytes are."""

    def add(path: Path, text: bytes) -> None:
        table = pq.read_table(path)
        row = {name: [None] for name in table.column_names} | {"product_id": [product_id], "product_locale": ["us"]}
        arrays = {name: pa.array(values, pa.string()) for name, values in row.items()}
        # A view looks at no byte, as writers of broken files do.
        arrays[column] = pa.array([text], pa.binary()).view(pa.string())
        pq.write_table(pa.concat_tables([table, pa.table(arrays)]), path)

    return add


def quoted(text: bytes) -> bytes:
    """A field of CSV."""
    return b'"' + text.replace(b'"', b'""') + b'"'


def tabbed(text: bytes) -> bytes:
    """A row of two unquoted columns."""
    return b"9\t" + unbroken(text, b"\t") + b"\n"


def unbroken(text: bytes, delimiter: bytes) -> bytes:
    """A field that is not quoted: no delimiter, no line end."""
    for mark in (delimiter, b"\r", b"\n"):
        text = text.replace(mark, b" ")
    return text


def as_json(text: bytes) -> bytes:
    """A JSON string; bytes that are no text stay as they are."""
    known = json.dumps(text.decode("utf-8", "surrogateescape"), ensure_ascii=False)
    return known.encode("utf-8", "surrogateescape")


def into_array(whole: bytes, row: bytes) -> bytes:
    """A JSON array with one more item."""
    return whole.rstrip()[:-1] + b",\n" + row + b"\n]\n"


def into_object(whole: bytes, entry: bytes) -> bytes:
    """A JSON object with one more entry, which closes it."""
    return whole.rstrip()[:-1] + entry


def table_of(names: list[str], rows: Sequence[Sequence[object]]) -> pa.Table:
    """Rows as an Arrow table."""
    return pa.table({name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})


def zipped(path: Path, name: str, content: bytes) -> Path:
    """Write a zip with one member."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path
