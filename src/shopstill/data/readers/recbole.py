"""RecBole's atomic files: ``.inter``, ``.item``, ``.kg``, ``.link``, tab-separated, each column ``name:type``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import ConfigError, DataError, nearest
from shopstill.data.chunk import Chunk, Raw
from shopstill.data.prices import points_part
from shopstill.data.readers._delimited import Layout, read_delimited
from shopstill.data.readers._files import Source, bounded_lines, existing, one_source, text_stream
from shopstill.data.readers._named import named_by_events, titled
from shopstill.data.schema import EventKind

_TYPES = ("token", "token_seq", "float", "float_seq")
_SINGLE = ("token", "token_seq", "float")
_TITLES = ("title", "item_name", "name", "movie_title", "book_title")
_BRANDS, _PATHS = ("brand", "store"), ("categories", "category")
_NEEDED: Mapping[str, Sequence[str]] = {
    "inter": ("user", "item"),
    "item": ("item",),
    "kg": ("head_id", "relation_id", "tail_id"),
    "link": ("item", "entity_id"),
}
"""Columns that a file must have; ``user`` and ``item`` stand for those that the options name."""


@config
class RecBole:
    """Reads a data set of atomic files from its folder.

    ``.inter`` gives events of one kind, at ``timestamp``; without that column an event's time is its line, in
    milliseconds after 1970-01-01T00:00, which orders events and says no more. ``.item`` gives products: a title
    (``title``, ``item_name``, ``name``, …; the id where there is none), ``brand``, ``category``, ``price``; other
    ``token`` and ``float`` columns become attributes, other ``token_seq`` columns edges ``has_<column>``, since they
    hold several values; ``float_seq`` columns are vectors and are left out. ``.kg`` gives edges; an entity that
    ``.link`` ties to an item is that item, another is ``entity:ID``. ``.user`` is not read: a shop has no table of
    what shoppers are. Products that only events name are titled by their id.

    Attributes:
        path: the folder, such as ``dataset/ml-100k``.
        name: the files' name before the ending; None for the one of the only ``.inter`` file.
        files: the endings of the files to read beside ``.inter``; None for those that are there.
        kind: what an interaction is.
        title: the column of ``.item`` that is the title, where it has another name.
        user: the column of shoppers, RecBole's ``USER_ID_FIELD``, such as ``session_id`` in diginetica.
        item: the column of items in every file that has one, RecBole's ``ITEM_ID_FIELD``, such as ``artist_id``.

    Source: https://recbole.io/docs/user_guide/data/atomic_files.html
    """

    path: Path
    name: str | None = Field(default=None, min_length=1)
    files: tuple[Literal["item", "kg", "link"], ...] | None = None
    kind: EventKind = "purchase"
    title: str | None = None
    user: str = Field(default="user_id", min_length=1)
    item: str = Field(default="item_id", min_length=1)

    def read(self) -> Iterator[Chunk]:
        """Products and their edges, events and the products that only they name, the knowledge graph.

        Raises:
            DataError: a file is missing or is not what it claims to be.
            ConfigError: ``title`` names no column.
        """
        if item := self._file("item"):
            parted = self._points_part(item)
            for raw, kinds in self._rows(item, "item", "products"):
                for chunk in self._items(raw, kinds, item):
                    yield replace(chunk, points_part=parted)
        inter = self._inter()
        for raw, _ in self._rows(inter, "inter", "events"):
            yield from self._events(raw, inter)
        if kg := self._file("kg"):
            linked = self._links()
            for raw, _ in self._rows(kg, "kg", "edges"):
                yield _triples(raw, str(kg), linked)

    def sources(self) -> list[Path]:
        """The files that are read."""
        return [self._inter(), *filter(None, map(self._file, ("item", "kg", "link")))]

    def _inter(self) -> Path:
        if self.name:
            return existing(self.path / f"{self.name}.inter")
        found = sorted(self.path.glob("*.inter")) if self.path.is_dir() else []
        if len(found) != 1:
            there = ", ".join(path.name for path in found[:5]) or "none"
            raise DataError(f"{self.path}: one .inter file is expected in this folder, found: {there}; or set name")
        return found[0]

    def _file(self, ending: str) -> Path | None:
        path = self._inter().with_suffix(f".{ending}")
        if self.files is None:
            return path if path.is_file() else None
        return existing(path) if ending in self.files else None

    def _events(self, raw: Raw, path: Path) -> Iterator[Chunk]:
        data = raw.select({"shopper_id": self.user, "product_id": self.item})
        yield named_by_events(data.select(["product_id"]), raw.lines, str(path))
        timed = "timestamp" in raw.data.column_names
        time = raw.data["timestamp"] if timed else raw.lines.cast(pa.timestamp("ms"))
        data = data.append_column("kind", pa.array([self.kind] * len(data), pa.string())).append_column("time", time)
        yield Chunk(table="events", data=data, file=str(path), lines=raw.lines, rejects=raw.rejects)

    def _items(self, raw: Raw, kinds: Mapping[str, str], path: Path) -> Iterator[Chunk]:
        named = {"title": self._titles(kinds), "brand": _BRANDS, "price": ("price",)}
        found = {ours: next((n for n in names if kinds.get(n) in _SINGLE), None) for ours, names in named.items()}
        chosen = {"product_id": self.item} | {ours: name for ours, name in found.items() if name}
        category = next((name for name in _PATHS if kinds.get(name) in ("token", "token_seq")), None)
        taken = {*chosen.values(), category}
        data = titled(raw.select(chosen))
        if category:
            data = data.append_column("category", _split(raw.data[category], kinds[category]))
        flat = [name for name, kind in kinds.items() if kind in ("token", "float") and name not in taken]
        if flat:
            data = data.append_column("attributes", _attributes(raw, flat))
        yield Chunk(table="products", data=data, file=str(path), lines=raw.lines, rejects=raw.rejects)
        for name in (name for name, kind in kinds.items() if kind == "token_seq" and name not in taken):
            yield _several(raw, self.item, name, str(path))

    def _points_part(self, path: Path) -> bool:
        """Whether points part thousands in the prices, of which the whole column is looked at."""
        rows = takewhile(lambda row: row[1].get("price") in _SINGLE, self._rows(path, "item", "products"))
        return points_part(raw.data["price"] for raw, _ in rows)

    def _titles(self, kinds: Mapping[str, str]) -> Sequence[str]:
        if self.title is None:
            return _TITLES
        if self.title not in kinds:
            raise ConfigError(f"reader recbole: title: no column {self.title!r} in .item; {nearest(self.title, kinds)}")
        return (self.title,)

    def _rows(self, path: Path, ending: str, table: str) -> Iterator[tuple[Raw, Mapping[str, str]]]:
        """Rows under plain names, and the type of each column."""
        source = one_source(path, (f".{ending}",))
        kinds = _header(source, ending, {"user": self.user, "item": self.item})
        layout = Layout(table=table, header=tuple(kinds), delimiter="\t", quoted=False, skip=1)
        for raw in read_delimited(source, layout):
            yield raw, kinds

    def _links(self) -> dict[str, str]:
        """Entity → product."""
        path = self._file("link")
        found: dict[str, str] = {}
        for raw, _ in self._rows(path, "link", "edges") if path else ():
            if raw.rejects:
                raise DataError(str(raw.rejects[0]))
            pairs = zip(raw.data["entity_id"].to_pylist(), raw.data[self.item].to_pylist(), strict=True)
            found |= {entity: item for entity, item in pairs if entity and item}
        return found


def _header(source: Source, ending: str, options: Mapping[str, str]) -> Mapping[str, str]:
    """Column → type, from a file's first line."""
    needed = [options.get(name, name) for name in _NEEDED[ending]]
    expected = f"tab-separated columns {', '.join(f'{name}:token' for name in needed)}, …"
    with text_stream(source, encoding="utf-8", expected=expected) as text:
        first = next(bounded_lines(text, source.name), "").rstrip("\r\n")
    kinds: dict[str, str] = {}
    for column in first.split("\t"):
        name, _, kind = column.strip().rpartition(":")
        if not name or kind not in _TYPES or name in kinds:
            what = "stands twice" if name in kinds else "is no name:type"
            allowed = ", ".join(_TYPES)
            raise DataError(f"{source.name}:1: column {column[:200]!r} {what} (types: {allowed}); expected {expected}")
        kinds[name] = kind
    for part, name in zip(_NEEDED[ending], needed, strict=True):
        if name not in kinds:
            hint = f"; set {part}: <column> where the {part}s are in another one" if part in options else ""
            found = ", ".join(kinds)[:300]
            raise DataError(f"{source.name}:1: lacks {name!r}; found: {found}; expected {expected}{hint}")
    if ending == "inter" and any(name.endswith("_list") for name in kinds):
        raise DataError(f"{source.name}:1: holds sequences cut for a benchmark (*_list); give the plain .inter file")
    return kinds


def _split(texts: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Values of a sequence: parted by blanks."""
    if kind == "token_seq":
        return pc.split_pattern(pc.utf8_trim_whitespace(texts), " ")
    return pa.chunked_array([pa.array([text and [text] for text in texts.to_pylist()], pa.list_(pa.string()))])


def _attributes(raw: Raw, names: list[str]) -> pa.Array:
    columns = [raw.data[name].to_pylist() for name in names]
    rows = [[(n, v) for n, v in zip(names, values, strict=True) if v] or None for values in zip(*columns, strict=True)]
    return pa.array(rows, pa.map_(pa.string(), pa.string()))


def _several(raw: Raw, item: str, name: str, file: str) -> Chunk:
    """An edge for each value of a column of sequences."""
    values = _split(raw.data[name], "token_seq").combine_chunks()
    target, row = values.flatten(), pc.list_parent_indices(values)
    data = pa.table({"source": raw.data[item].combine_chunks().take(row), "target": target})
    data = data.append_column("relation", pa.array([f"has_{name}"] * len(data), pa.string()))
    said = pc.and_(pc.not_equal(target, ""), pc.is_valid(data["source"].combine_chunks()))
    data = data.set_column(1, "target", pc.binary_join_element_wise(name, target, ":"))
    return Chunk(table="edges", data=data.filter(said), file=file, lines=raw.lines.take(row).filter(said))


def _triples(raw: Raw, file: str, linked: Mapping[str, str]) -> Chunk:
    columns = {"source": "head_id", "target": "tail_id"}
    data = raw.select({**columns, "relation": "relation_id"})
    for number, (ours, theirs) in enumerate(columns.items()):
        ids = [entity and linked.get(entity, f"entity:{entity}") for entity in raw.data[theirs].to_pylist()]
        data = data.set_column(number, ours, pa.array(ids, pa.string()))
    return Chunk(table="edges", data=data, file=file, lines=raw.lines, rejects=raw.rejects)


recbole = RecBole
