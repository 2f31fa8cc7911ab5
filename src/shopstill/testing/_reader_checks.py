"""What a reader must bear: each check writes a fresh sample, harms it, and says what is wrong with the answer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from shopstill.core.config import build, plain
from shopstill.core.errors import DataError
from shopstill.data.ingest import ingest
from shopstill.data.schema import SCHEMAS
from shopstill.data.shop import Shop
from shopstill.data.text import normalise
from shopstill.testing._reader_kit import Sample, SampleFile, edit

Write = Callable[[Path], Sample]

HOSTILE: Mapping[str, bytes] = {
    "NUL bytes": b"mug\x00\x00 red",
    "control characters": b"mug\x01\x08\x1b[31m\x7f red",
    "a byte order mark inside": b"mug \xef\xbb\xbfred",
    "quotes, delimiters and line ends": b"a \"mug\", 'red';\t|\r\nsecond line",
    "right-to-left marks": "mug \u202e der".encode(),
    "deep tags": b"<b>" * 20_000 + b"mug" + b"</b>" * 20_000,
    "tags that never end": b"mug " + b"<b " * 30_000,
    "nested entities": b"mug &" + b"amp;" * 20_000 + b"lt;script&gt;",
    "a formula": b'=HYPERLINK("http://x","mug")',
    "a huge field": b"mug " * 100_000,
    "combining marks": b"mug" + "\u0301".encode() * 5_000,
    "full-width and Chinese": "ＭＵＧ　马克杯".encode(),
}
_JUNK: Mapping[str, bytes] = {
    "an empty file": b"",
    "a web page": b"<!DOCTYPE html><html><body>404</body></html>\n",
    "binary data": bytes(range(256)) * 40,
    "UTF-16": "id,title\n1,mug\n".encode("utf-16"),
    "another table": b"a;b;c\n1;2;3\n",
}


@dataclass(frozen=True)
class Outcome:
    """What came of reading: the shop's rows by table, and the rejects."""

    rows: dict[str, list[dict[str, Any]]]
    rejects: list[dict[str, Any]]


def read_a_sample(write: Write) -> None:
    """Every row of a valid sample arrives, the same each time, and nothing is rejected."""
    with _fresh(write) as (sample, folder):
        found = _outcome(sample, folder, strict=True)
        counts = {table: len(rows) for table, rows in found.rows.items()}
        must(counts == dict(sample.counts), f"a valid sample gives {counts}; expected {dict(sample.counts)}")
        must(found == _outcome(sample, folder), "a second reading of the same files gives another shop")


def be_a_configuration(write: Write) -> None:
    """The reader survives being written to a recipe, and its sources are the files it read."""
    with _fresh(write) as (sample, _):
        again = build(type(sample.reader), plain(sample.reader))
        must(again == sample.reader, f"from a recipe it comes back as {again}")
        missing = {file.path for file in sample.files} - set(sample.reader.sources())
        must(not missing, f"sources() leaves out {sorted(map(str, missing))}, so a change there would go unseen")


def say_where_rows_come_from(write: Write) -> None:
    """Each chunk has known columns, names a file of the sample, and a line a row; rows of one line may share it."""
    with _fresh(write) as (sample, _):
        for chunk in sample.reader.read():
            unknown = set(chunk.data.column_names) - set(SCHEMAS[chunk.table].names)
            must(not unknown, f"{chunk.table}: has columns that the schema lacks: {sorted(unknown)}")
            must(any(str(f.path) in chunk.file for f in sample.files), f"names {chunk.file!r}, which is no source")
            lines = chunk.lines.to_pylist()
            must(len(lines) == chunk.data.num_rows, f"{chunk.table}: {len(lines)} lines for {chunk.data.num_rows} rows")
            rising = all(a <= b for a, b in zip([1, *lines], lines, strict=False))
            must(rising, f"{chunk.table}: lines do not rise from 1: {lines[:5]}")


def name_a_missing_file(write: Write) -> None:
    """A file that is not there is named."""
    for number in _files(write):
        with _fresh(write) as (sample, folder):
            sample.files[number].path.unlink()
            _refused(sample, folder, sample.files[number], "a missing file")


def refuse_another_format(write: Write) -> None:
    """A file that is not what it claims to be stops at once, and is named."""
    for number in _files(write):
        for what, content in _JUNK.items():
            with _fresh(write) as (sample, folder):
                sample.files[number].path.write_bytes(content)
                _refused(sample, folder, sample.files[number], what)


def refuse_half_a_file(write: Write) -> None:
    """A zip or Parquet file that breaks off stops at once, and is named."""
    for number in _files(write):
        with _fresh(write) as (sample, folder):
            file = sample.files[number]
            if file.path.suffix in (".zip", ".parquet"):
                content = file.path.read_bytes()
                file.path.write_bytes(content[: len(content) // 2])
                _refused(sample, folder, file, "half a file")


def bear_other_line_ends(write: Write) -> None:
    """A byte order mark and Windows line ends change nothing."""
    with _fresh(write) as (sample, folder):
        before = _outcome(sample, folder)
        for file in sample.files:
            if file.plain:
                edit(file.path, lambda whole: b"\xef\xbb\xbf" + whole.replace(b"\n", b"\r\n"))
        must(_outcome(sample, folder) == before, "a byte order mark and \\r\\n change what is read")


def reject_broken_bytes(write: Write) -> None:
    """Bytes that are no text cost their row, under its file, line, field and reason, and nothing else."""
    for number in _files(write):
        if _harmable(write, number) and _file(write, number).text:
            _one_reject(write, number, b"caf\xe9 \xff\xfe mug", "broken encoding")


def reject_missing_text(write: Write) -> None:
    """A row whose text is blank is rejected as missing."""
    for number in _files(write):
        if _harmable(write, number):
            _one_reject(write, number, b"   ", "missing")


def reject_ragged_rows(write: Write) -> None:
    """A row that cannot be cut into columns is rejected with its file and line."""
    for number in _files(write):
        ragged = _file(write, number).ragged
        if ragged is None:
            continue
        with _fresh(write) as (sample, folder):
            before = _outcome(sample, folder)
            file = sample.files[number]
            edit(file.path, lambda whole, file=file, row=ragged: file.join(whole, row))  # type: ignore[misc]
            after = _outcome(sample, folder)
            must(after.rows == before.rows, f"{file.path.name}: a ragged row changes the rows beside it")
            _placed(after.rejects, file, "a ragged row")


def bear_hostile_text(write: Write) -> None:
    """Hostile text is cleaned or its row rejected in its place; the rows beside it stay."""
    with _fresh(write) as (sample, folder):
        before = _outcome(sample, folder)
    for number in _files(write):
        for what, text in HOSTILE.items() if _harmable(write, number) else ():
            with _fresh(write) as (sample, folder):
                _bears(sample, folder, sample.files[number], (what, text), before)


def stop_when_strict(write: Write) -> None:
    """Strict stops at the first bad row and says where it stands."""
    for number in _files(write):
        if not _harmable(write, number):
            continue
        with _fresh(write) as (sample, folder):
            file = sample.files[number]
            _add(file, b"  ")
            try:
                _outcome(sample, folder, strict=True)
            except DataError as error:
                told = file.path.name in str(error) and "missing" in str(error)
                must(told, f"strict does not say where: {error}")
            else:
                must(False, f"{file.path.name}: strict reads on behind a bad row")


CHECKS: Mapping[str, Callable[[Write], None]] = {
    check.__name__: check
    for check in (
        read_a_sample,
        be_a_configuration,
        say_where_rows_come_from,
        name_a_missing_file,
        refuse_another_format,
        refuse_half_a_file,
        bear_other_line_ends,
        reject_broken_bytes,
        reject_missing_text,
        reject_ragged_rows,
        bear_hostile_text,
        stop_when_strict,
    )
}


def must(holds: bool, message: str) -> None:
    """Fail with a message; unlike ``assert`` it cannot be switched off."""
    if not holds:
        raise AssertionError(message)


@contextmanager
def _fresh(write: Write) -> Iterator[tuple[Sample, Path]]:
    with tempfile.TemporaryDirectory() as name:
        raw = Path(name) / "raw"
        raw.mkdir()
        yield write(raw), Path(name)


def _files(write: Write) -> range:
    with _fresh(write) as (sample, _):
        return range(len(sample.files))


def _file(write: Write, number: int) -> SampleFile:
    with _fresh(write) as (sample, _):
        return sample.files[number]


def _harmable(write: Write, number: int) -> bool:
    return _file(write, number).add is not None


def _add(file: SampleFile, text: bytes) -> None:
    must(file.add is not None, f"{file.path.name}: its sample can add no row")
    file.add(file.path, text)  # type: ignore[misc]


def _outcome(sample: Sample, folder: Path, strict: bool = False) -> Outcome:
    ingest(sample.reader.read(), folder / "out", strict=strict)
    shop = Shop(folder / "out" / "shop")
    rows = {table: shop.read(table).to_pylist() for table in shop.tables}
    # A picture's path names the folder of a sample, which is another each time.
    for row in rows.get("products", []):
        row["image"] = row["image"] and row["image"].replace(str(folder), "")
    return Outcome(rows, pq.read_table(folder / "out" / "rejected.parquet").to_pylist())


def _refused(sample: Sample, folder: Path, file: SampleFile, what: str) -> None:
    try:
        _outcome(sample, folder)
    except DataError as error:
        must(file.path.name in str(error), f"{what} in place of {file.path.name}: the error does not name it: {error}")
    else:
        must(False, f"{what} in place of {file.path.name} is read without an error")


def _one_reject(write: Write, number: int, text: bytes, reason: str) -> None:
    with _fresh(write) as (sample, folder):
        before = _outcome(sample, folder)
        file = sample.files[number]
        _add(file, text)
        after = _outcome(sample, folder)
        _kept(before, after, f"{file.path.name}: {reason}")
        _placed(after.rejects, file, reason)
        told = any(reject["reason"].startswith(reason) and reject["field"] for reject in after.rejects)
        must(told, f"{file.path.name}: expected {reason!r} and a field; rejected: {after.rejects}")


def _bears(sample: Sample, folder: Path, file: SampleFile, harm: tuple[str, bytes], before: Outcome) -> None:
    what, text = harm
    _add(file, text)
    after = _outcome(sample, folder)
    _kept(before, after, f"{file.path.name}: {what}")
    _clean(after, f"{file.path.name}: {what}")
    if after.rejects:
        _placed(after.rejects, file, what)


def _placed(rejects: list[dict[str, Any]], file: SampleFile, what: str) -> None:
    must(bool(rejects), f"{file.path.name}: {what} is passed over in silence")
    for reject in rejects:
        must(file.path.name in reject["file"], f"{what}: rejected under another file: {reject}")
        must((reject["line"] or 0) >= 1 and bool(reject["reason"]), f"{what}: without line or reason: {reject}")
        must(len(reject["value"] or "") <= 200, f"{what}: its value is not cut: {reject}")


def _kept(before: Outcome, after: Outcome, what: str) -> None:
    for table, rows in before.rows.items():
        lost = [row for row in rows if row not in after.rows.get(table, [])]
        must(not lost, f"{what}: rows beside it are lost or changed: {lost[:2]}")


def _clean(outcome: Outcome, what: str) -> None:
    for table, field in (("products", "title"), ("queries", "text")):
        for row in outcome.rows.get(table, []):
            must(row[field] == normalise(row[field]), f"{what}: arrives uncleaned: {row[field][:80]!r}")
