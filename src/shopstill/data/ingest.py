"""From a reader's chunks to a shop: cleaned, typed, checked, and every row that was left out written down."""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopstill.core.errors import DataError
from shopstill.core.hardware import peak_memory_bytes
from shopstill.data.cast import Caster
from shopstill.data.chunk import Chunk, Reject
from shopstill.data.duplicates import content, merge_pairs, write_duplicates
from shopstill.data.rejects import Rejects
from shopstill.data.schema import SCHEMAS
from shopstill.data.seen import HashSet, hash64, mix
from shopstill.data.shop import ShopWriter

log = logging.getLogger(__name__)

_SAY_EVERY_SECONDS = 10.0
REJECTS = "rejected.parquet"
DANGLING = "dangling id"
REPEATED_ID = "duplicate id"
_KEYS = {"products": "product_id", "queries": "query_id"}
_TARGETS = {"query_id": "queries", "product_id": "products"}
_REFERENCES = {"judgments": _TARGETS, "events": _TARGETS}
_CONTENT = {"products": ("title", "description", "brand"), "queries": ("text",)}


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """What became of the rows.

    Attributes:
        read: rows handed in, by table.
        kept: rows in the shop, by table.
        repeated: rows left out because an equal row, or in a file that repeats its products or queries a row of the
            same id, was there before; by table.
        rejected: rows in ``rejected.parquet``, by ``table: reason``.
        first: the first rejected row and what is wrong with it, by table.
        conflicting: pairs that were judged more than once with different grades; the mean was kept.
        duplicates: products of another id and the same text, brand, category and attributes as an earlier one, without
            regard to case; they stay in the shop, and ``duplicates.parquet`` names the earlier one.
        seconds: wall time.
        peak_bytes: the largest resident memory of the process so far.
    """

    read: dict[str, int]
    kept: dict[str, int]
    repeated: dict[str, int]
    rejected: dict[str, int]
    first: dict[str, str]
    conflicting: int
    duplicates: int
    seconds: float
    peak_bytes: int

    def plain(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)


def ingest(chunks: Iterable[Chunk], folder: Path, strict: bool = False) -> IngestReport:
    """Clean, check and write a shop into ``folder/shop``, and what was left out into ``folder/rejected.parquet``.

    Text is normalised, columns get the schema's types, and a row is rejected where a required value is missing, a value
    has the wrong type, its grade is unknown, its bytes are no text, its id is taken by another content, or it points
    to a product or query that is not in the shop. Judgments of one pair become one: equal ones silently, different
    ones as their mean. Chunks may come in any order; memory grows by about 30 bytes a row and not with the text.

    Args:
        chunks: what a reader's ``read()`` gives.
        folder: where to write; made if need be.
        strict: stop at the first rejected row.

    Raises:
        DataError: with ``strict`` a row was rejected; or a table had rows and none was left.
    """
    started = time.monotonic()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    spool = folder / "spool"
    try:
        with Rejects(folder / REJECTS, strict) as rejects, ShopWriter(folder / "shop") as writer:
            intake = _Intake(writer, rejects, spool)
            for chunk in chunks:
                intake.take(chunk)
            intake.finish()
            _some_left(intake.read, writer.counts, rejects)
    finally:
        shutil.rmtree(spool, ignore_errors=True)
    return IngestReport(
        read=dict(intake.read),
        kept=dict(writer.counts),
        repeated=dict(+intake.repeated),
        rejected=dict(rejects.counts),
        first={table: str(reject) for table, reject in rejects.first.items()},
        conflicting=intake.conflicting,
        duplicates=write_duplicates(folder, intake.contents),
        seconds=round(time.monotonic() - started, 3),
        peak_bytes=peak_memory_bytes(),
    )


def tell(report: Mapping[str, Any], folder: Path) -> None:
    """Log how many rows each table kept and, as a warning, how many were set aside, and where they are.

    Args:
        report: an ``IngestReport`` as plain values; what it lacks is passed over.
        folder: where the shop was written to.
    """
    for table in [table for table in SCHEMAS if table in report.get("read", {})]:
        read = report["read"][table]
        aside = sum(count for what, count in report["rejected"].items() if what.partition(":")[0] == table)
        log.info("%s: %s of %s rows kept", table, f"{report['kept'].get(table, 0):,}", f"{read:,}")
        if aside:
            where = f"all of them: {folder / REJECTS}"
            first = report.get("first", {}).get(table)
            told = f"the first: {first}; {where}" if first else where
            log.warning("%s: %s of %s rows set aside; %s", table, f"{aside:,}", f"{read:,}", told)


@dataclass
class _Spooled:
    """Rows that wait until all products and queries are known."""

    path: Path
    file: pa.ipc.RecordBatchFileWriter | None = None
    names: list[str] = field(default_factory=list)


class _Intake:
    """Takes chunks in any order, and ends with a shop."""

    def __init__(self, writer: ShopWriter, rejects: Rejects, spool: Path) -> None:
        self.read: Counter[str] = Counter()
        self.repeated: Counter[str] = Counter()
        self.conflicting = 0
        self.contents: list[np.ndarray] = []
        self._writer, self._rejects = writer, rejects
        self._said = time.monotonic()
        self._ids = {table: HashSet() for table in _KEYS}
        self._whole = {table: HashSet() for table in _KEYS}
        spool.mkdir(exist_ok=True)
        self._spooled = {table: _Spooled(path=spool / f"{table}.arrow") for table in _REFERENCES}

    def take(self, chunk: Chunk) -> None:
        """Clean a chunk; write it, or put it by until its references can be checked."""
        self.read[chunk.table] += chunk.data.num_rows + len(chunk.rejects)
        self._say()
        caster = Caster(chunk)
        data, lines = caster.run()
        self._rejects.add(caster.rejects)
        if chunk.table in _KEYS:
            data = self._once(chunk, data, lines)
        if chunk.table in _REFERENCES:
            self._put_by(chunk.table, data, lines, chunk.file)
        else:
            self._writer.write(chunk.table, data)

    def finish(self) -> None:
        """Check and write what was put by."""
        for spooled in self._spooled.values():
            if spooled.file:
                spooled.file.close()
        if self._spooled["judgments"].file:
            self._write_judgments()
        if self._spooled["events"].file:
            for data, sound in self._checked("events"):
                self._writer.write("events", data.filter(pa.array(sound)))

    def _say(self) -> None:
        if time.monotonic() - self._said > _SAY_EVERY_SECONDS:
            self._said = time.monotonic()
            read = ", ".join(f"{count:,} {table}" for table, count in self.read.items())
            log.info("reading: %s; %s rejected", read, f"{self._rejects.counts.total():,}")

    def _once(self, chunk: Chunk, data: pa.Table, lines: pa.Array) -> pa.Table:
        """Rows whose id was not there before."""
        key = _KEYS[chunk.table]
        ids = hash64(data[key])
        whole = mix(ids, *(hash64(data[name]) for name in _CONTENT[chunk.table]))
        new = self._ids[chunk.table].add(ids)
        self._whole[chunk.table].add(whole[new])
        known = self._whole[chunk.table].contains(whole) | chunk.repeats
        self.repeated[chunk.table] += int((known & ~new).sum())
        self._rejects.add(
            Reject(
                file=chunk.file,
                line=lines[row].as_py(),
                table=chunk.table,
                field=key,
                value=data[key][row].as_py(),
                reason=f"{REPEATED_ID}: an earlier row has it with another content",
            )
            for row in np.flatnonzero(~known & ~new).tolist()
        )
        kept = data.filter(pa.array(new))
        if chunk.table == "products":
            self.contents.append(content(kept))
        return kept

    def _put_by(self, table: str, data: pa.Table, lines: pa.Array, file: str) -> None:
        spooled = self._spooled[table]
        if file not in spooled.names:
            spooled.names.append(file)
        source = pa.array(np.full(data.num_rows, spooled.names.index(file), np.int32))
        data = data.append_column("_line", lines).append_column("_file", source)
        if spooled.file is None:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            spooled.file = pa.ipc.new_file(spooled.path, data.schema, options=options)
        spooled.file.write_table(data)

    def _pieces(self, table: str) -> Iterator[pa.Table]:
        with pa.ipc.open_file(self._spooled[table].path) as reader:
            for i in range(reader.num_record_batches):
                yield pa.table(reader.get_batch(i))

    def _checked(self, table: str) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Rows put by, and which of them point to products and queries of the shop."""
        for data in self._pieces(table):
            sound = np.ones(data.num_rows, dtype=bool)
            for column, target in _REFERENCES[table].items():
                ids = data[column]
                there = self._ids[target].contains(hash64(ids)) | np.asarray(pc.is_null(ids))
                self._rejects.add(self._dangling(table, data, column, np.flatnonzero(~there & sound)))
                sound &= there
            yield data, sound

    def _dangling(self, table: str, data: pa.Table, column: str, rows: np.ndarray) -> Iterator[Reject]:
        reason = f"{DANGLING}: no such row among the shop's {_REFERENCES[table][column]}"
        for row in data.select([column, "_line", "_file"]).take(rows).to_pylist():
            file = self._spooled[table].names[row["_file"]]
            yield Reject(file=file, line=row["_line"], table=table, field=column, value=row[column], reason=reason)

    def _write_judgments(self) -> None:
        pairs, sounds, worths = [], [], []
        for data, sound in self._checked("judgments"):
            pairs.append(mix(hash64(data["query_id"]), hash64(data["product_id"]))[sound])
            worths.append(np.stack([np.asarray(data[name])[sound] for name in ("grade", "gain")]))
            sounds.append(sound)
        merged = merge_pairs(np.concatenate(pairs), np.concatenate(worths, axis=1))
        self.conflicting = merged.conflicting
        self.repeated["judgments"] += int((~merged.first).sum())
        at = 0
        for data, sound in zip(self._pieces("judgments"), sounds, strict=True):
            kept = data.filter(pa.array(sound))
            part = slice(at, at + kept.num_rows)
            at += kept.num_rows
            for i, name in enumerate(("grade", "gain")):
                kept = kept.set_column(kept.column_names.index(name), name, pa.array(merged.worth[i, part]))
            kept = _unlabelled(kept, merged.changed[part])
            self._writer.write("judgments", kept.filter(pa.array(merged.first[part])))


def _unlabelled(data: pa.Table, changed: np.ndarray) -> pa.Table:
    """A mean of grades has no name."""
    if not changed.any():
        return data
    labels = pc.if_else(pa.array(changed), pa.scalar(None, pa.string()), data["label"])
    return data.set_column(data.column_names.index("label"), "label", labels)


def _some_left(read: Counter[str], kept: Mapping[str, int], rejects: Rejects) -> None:
    for table in SCHEMAS:
        if read[table] and not kept.get(table):
            raise DataError(f"{table}: all {read[table]:,} rows were rejected; the first: {rejects.first[table]}")
