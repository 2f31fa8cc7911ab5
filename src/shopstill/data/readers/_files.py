"""Opening what people really have: plain, gzipped or zipped files, checked for being what they claim."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from shopstill.core.errors import ConfigError, DataError

Bytes = IO[bytes] | gzip.GzipFile
LINE_LIMIT = 1 << 24
_SAMPLE = 1 << 16
_MAGIC = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "gzip data",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"SQLite format 3": "an SQLite database",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"version https://git-lfs": "a Git LFS pointer (fetch the file itself)",
}
_WIDE = {b"\xff\xfe\x00\x00": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A stream of bytes and the name that errors call it by."""

    name: str
    open: Callable[[], Bytes]


def existing(path: Path) -> Path:
    """The path, if a file is there.

    Raises:
        DataError: nothing is there, or a folder is.
    """
    if path.is_file():
        return path
    if path.is_dir():
        raise DataError(f"{path}: is a folder where a file is expected")
    beside = sorted(p.name for p in path.parent.iterdir())[:10] if path.parent.is_dir() else []
    raise DataError(f"{path}: no such file; {path.parent} holds: {', '.join(beside) or 'nothing'}")


def sources_in(path: Path, suffixes: Sequence[str]) -> list[Source]:
    """The streams in a file: itself, what gzip holds, or the members of a zip that end in one of ``suffixes``.

    Raises:
        DataError: the file is missing, or its name says zip or gzip and its content does not.
    """
    start = _start(existing(path))
    if start.startswith(b"PK\x03\x04") or path.suffix == ".zip":
        return _members(path, suffixes)
    if start.startswith(b"\x1f\x8b"):
        return [Source(name=str(path), open=lambda: gzip.open(path, "rb"))]
    if path.suffix == ".gz":
        raise DataError(f"{path}: is named .gz but is {kind_of(start)}; gzip data is expected")
    return [Source(name=str(path), open=lambda: path.open("rb"))]


def one_source(path: Path, suffixes: Sequence[str]) -> Source:
    """The only stream in a file.

    Raises:
        DataError: as ``sources_in``, or a zip holds several.
    """
    found = sources_in(path, suffixes)
    if len(found) > 1:
        raise DataError(f"{path}: holds {len(found)} files ({', '.join(s.name for s in found[:5])}); one is expected")
    return found[0]


@contextmanager
def text_stream(source: Source, *, encoding: str, expected: str, newline: str = "") -> Iterator[io.TextIOWrapper]:
    """Text; bytes that are no text come as lone surrogates, so that one bad row does not stop a file.

    Args:
        source: the bytes.
        encoding: such as ``utf-8`` (a byte order mark is taken off) or ``latin-1``.
        expected: what the file should be, in words, for errors.
        newline: as for ``open``.

    Raises:
        DataError: the file is empty, binary, in another encoding, or damaged.
    """
    with reading(source.name), source.open() as binary:
        check_text(binary.read(_SAMPLE), name=source.name, encoding=encoding, expected=expected)
    codec = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    with reading(source.name), source.open() as binary:
        yield io.TextIOWrapper(binary, codec, "surrogateescape", newline)


def bounded_lines(text: io.TextIOWrapper, name: str) -> Iterator[str]:
    """The lines of a text.

    Raises:
        DataError: one is longer than 16 MiB, which only a file of another format has.
    """
    number = 0
    while line := text.readline(LINE_LIMIT):
        number += 1
        if len(line) == LINE_LIMIT:
            raise DataError(
                f"{name}:{number}: a line is longer than {LINE_LIMIT:,} characters; is this the right format?"
            )
        yield line


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what a damaged file raises into an error that names it.

    Raises:
        DataError: the file is truncated, damaged or locked.
    """
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile) as cause:
        raise DataError(f"{name}: is truncated or damaged ({cause}); get the file again") from None
    except RuntimeError as cause:
        if "password" not in str(cause) and "encrypted" not in str(cause):
            raise
        raise DataError(f"{name}: is locked with a password; unpack it first") from None


def check_text(sample: bytes, *, name: str, encoding: str, expected: str) -> None:
    """Stop at a file whose start shows that it is not text in this encoding.

    Raises:
        DataError: it is empty, binary, a web page, or in another encoding; says which where that is plain.
        ConfigError: Python knows no such encoding.
    """
    try:
        decoded = sample.decode(encoding, "surrogateescape")
    except LookupError:
        raise ConfigError(f"{name}: unknown encoding {encoding!r}; such as utf-8, latin-1, cp1252, gb18030") from None
    found = kind_of(sample)
    # Such text is full of NUL bytes, and may come without a mark.
    wide = encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32")) and "\x00" not in decoded
    if found != "text" and not (wide and found in ("binary data", "UTF-16 text", "UTF-32 text")):
        codec = next((codec for mark, codec in _WIDE.items() if sample.startswith(mark)), None)
        hint = f"; set encoding: {codec}" if codec else ""
        raise DataError(f"{name}: found {found}; expected {expected}{hint}")
    touched = [line for line in decoded.split("\n")[:-1] if not line.isascii()]
    broken = sum(any("\udc80" <= c <= "\udcff" for c in line) for line in touched)
    if broken >= 5 and broken > len(touched) / 2:
        raise DataError(
            f"{name}: is not {encoding}: {broken} of its first {len(touched)} lines with letters "
            f"beyond ASCII do not decode; set encoding: {_likely(sample)}"
        )


def kind_of(sample: bytes) -> str:
    """What the first bytes of a file look like, in words.

    >>> kind_of(b"PAR1..."), kind_of(b"id,title"), kind_of(b"")
    ('a Parquet file', 'text', 'an empty file')
    """
    if not sample.strip():
        return "an empty file"
    for mark, kind in _MAGIC.items():
        if sample.startswith(mark):
            return kind
    for mark, codec in _WIDE.items():
        if sample.startswith(mark):
            return f"{codec.upper()} text"
    if sample[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page (a failed download?)"
    control = sum(sample.count(bytes([b])) for b in (*range(0x09), *range(0x0E, 0x20)))
    return "binary data" if control > 0.1 * len(sample) else "text"


def _likely(sample: bytes) -> str:
    whole = sample.rpartition(b"\n")[0]
    try:
        decoded = whole.decode("gb18030")
    except UnicodeDecodeError:
        return "latin-1"
    common = sum("\u4e00" <= c <= "\u9fff" for c in decoded)
    return "gb18030" if common > 0.5 * sum(not c.isascii() for c in decoded) else "latin-1"


def _members(path: Path, suffixes: Sequence[str]) -> list[Source]:
    if not zipfile.is_zipfile(path):
        found = kind_of(_start(path))
        raise DataError(
            f"{path}: is not a whole zip archive (found {found}); a zip holding {_or(suffixes)} is expected"
        )
    with reading(str(path)), zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
    fitting = sorted(n for n in names if n.lower().endswith(tuple(suffixes)))
    if not fitting:
        raise DataError(
            f"{path}: holds no file that ends in {_or(suffixes)}; found: {', '.join(names[:10]) or 'nothing'}"
        )
    return [Source(name=f"{path}/{name}", open=_opener(path, name)) for name in fitting]


def _opener(path: Path, member: str) -> Callable[[], Bytes]:
    def open_member() -> Bytes:
        archive = zipfile.ZipFile(path)
        stream = archive.open(member)
        # The stream keeps the archive's file open for itself; the archive may go.
        archive.close()
        return stream

    return open_member


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_SAMPLE)


def _or(suffixes: Sequence[str]) -> str:
    return " or ".join(suffixes)
