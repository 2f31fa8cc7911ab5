"""Sequences as SASRec and S3-Rec publish them: a line a shopper, ``user item item …``, the oldest first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from shopstill.core.config import config
from shopstill.core.errors import DataError
from shopstill.data.chunk import BROKEN, WRONG_TYPE, Chunk, Reject, broken
from shopstill.data.readers._files import Source, bounded_lines, existing, one_source, text_stream
from shopstill.data.readers._named import named_by_events

_ROWS = 32_768
_SUFFIX = "_item2attributes.json"
_EXPECTED = "lines of ids parted by blanks: user item item …"
_EXPECTED_JSON = 'a JSON object of lists: {"item": [attribute, …], …}'
_MISSING = "missing: a user and at least one item are expected"


@config
class S3Rec:
    """Reads sequences as purchases, and attributes of items as edges.

    A line is a user and the user's items in order of time, parted by blanks. A user who comes again goes on where the
    line before ended: SASRec's form, a line ``user item`` for each event, is read by the same rule. The files hold no
    times: an event's time is its place in the user's history, in milliseconds after 1970-01-01T00:00, so that it
    orders the events of one user and says nothing across users. Items have no names: the id is the title. Attributes
    become edges ``item has_attribute attribute:ID``, since an item has several under one name; their line is the
    number of the item's entry in the file. Items that have attributes and no events are products too. The counts of
    events of all users are held in memory while reading.

    Attributes:
        path: the sequences, such as ``Beauty.txt``.
        attributes: the attributes; if None, ``Beauty_item2attributes.json`` beside ``Beauty.txt``, where it is.

    Source: https://github.com/RUCAIBox/CIKM2020-S3Rec, https://github.com/kang205/SASRec
    """

    path: Path
    attributes: Path | None = None

    def read(self) -> Iterator[Chunk]:
        """Products and events, a piece of the file at a time; then products and edges of the attributes.

        Raises:
            DataError: a file is missing or is not what it claims to be.
        """
        yield from _sequences(one_source(self.path, (".txt",)))
        attributes = self._attributes()
        if attributes:
            yield from _facts(one_source(attributes, (".json",)))

    def sources(self) -> list[Path]:
        """The sequences and the attributes."""
        attributes = self._attributes()
        return [existing(self.path), *([existing(attributes)] if attributes else [])]

    def _attributes(self) -> Path | None:
        if self.attributes:
            return self.attributes
        beside = self.path.with_name(self.path.name.partition(".")[0] + _SUFFIX)
        return beside if beside.is_file() else None


@dataclass
class _Events:
    """Events gathered until there are enough for a piece."""

    users: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def add(self, line: int, user: str, items: list[str], before: int) -> None:
        self.users += [user] * len(items)
        self.items += items
        self.times += range(before + 1, before + 1 + len(items))
        self.lines += [line] * len(items)

    def full(self) -> bool:
        return len(self.items) + len(self.rejects) >= _ROWS

    def chunks(self, file: str) -> Iterator[Chunk]:
        lines = pa.array(self.lines, pa.int64())
        data = pa.table(
            {
                "shopper_id": pa.array(self.users, pa.string()),
                "product_id": pa.array(self.items, pa.string()),
                "kind": pa.array(["purchase"] * len(self.items), pa.string()),
                "time": pa.array(self.times, pa.timestamp("ms")),
            }
        )
        yield named_by_events(data.select(["product_id"]), lines, file)
        yield Chunk(table="events", data=data, file=file, lines=lines, rejects=tuple(self.rejects))


def _sequences(source: Source) -> Iterator[Chunk]:
    events, counts = _Events(), dict[str, int]()
    with text_stream(source, encoding="utf-8", expected=_EXPECTED) as text:
        for line, row in enumerate(bounded_lines(text, source.name), start=1):
            user, *items = row.split() or [""]
            if fault := _fault(user, items, row):
                field, value, reason = fault
                reject = Reject(file=source.name, line=line, table="events", field=field, value=value, reason=reason)
                events.rejects.append(reject)
            elif user:
                events.add(line, user, items, counts.get(user, 0))
                counts[user] = counts.get(user, 0) + len(items)
            if events.full():
                yield from events.chunks(source.name)
                events = _Events()
    yield from events.chunks(source.name)


def _fault(user: str, items: list[str], row: str) -> tuple[str, str, str] | None:
    """Field, value and reason of what is wrong with a line, if anything is; a blank line is passed over."""
    if user and not items:
        return "product_id", row.strip(), _MISSING
    if broken(row):
        bad = next(value for value in (user, *items) if broken(value))
        return ("shopper_id" if bad is user else "product_id"), bad, BROKEN
    return None


def _facts(source: Source) -> Iterator[Chunk]:
    sources: list[str] = []
    targets: list[str] = []
    lines: list[int] = []
    rejects: list[Reject] = []
    for number, (item, values) in enumerate(_object(source).items(), start=1):
        try:
            found = _ids(item, values)
        except TypeError as cause:
            value = json.dumps(values)
            rejects.append(
                Reject(file=source.name, line=number, table="edges", field="target", value=value, reason=str(cause))
            )
            continue
        sources += [item] * len(found)
        targets += [f"attribute:{value}" for value in found]
        lines += [number] * len(found)
    columns = {"source": sources, "relation": ["has_attribute"] * len(sources), "target": targets}
    data = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    lined = pa.array(lines, pa.int64())
    yield named_by_events(pa.table({"product_id": data["source"]}), lined, source.name)
    yield Chunk(table="edges", data=data, file=source.name, lines=lined, rejects=tuple(rejects))


def _ids(item: str, values: Any) -> list[str]:
    """The attributes of an item as text; TypeError where they are no list of numbers or words."""
    if not isinstance(values, list):
        raise TypeError(f"{WRONG_TYPE}: a list of attributes is expected")
    if not item.strip() or any(isinstance(value, bool) or not isinstance(value, int | str) for value in values):
        raise TypeError(f"{WRONG_TYPE}: an item's id, and numbers or words as its attributes, are expected")
    found = [str(value).strip() for value in values]
    if broken(item) or any(map(broken, found)):
        raise TypeError(BROKEN)
    return list(dict.fromkeys(filter(None, found)))


def _object(source: Source) -> dict[str, Any]:
    with text_stream(source, encoding="utf-8", expected=_EXPECTED_JSON) as text:
        try:
            found = json.load(text)
        except (ValueError, RecursionError) as cause:
            raise DataError(f"{source.name}: is no JSON ({cause}); expected {_EXPECTED_JSON}") from None
    if not isinstance(found, dict):
        raise DataError(f"{source.name}: holds no JSON object; expected {_EXPECTED_JSON}")
    return found


s3rec = S3Rec
