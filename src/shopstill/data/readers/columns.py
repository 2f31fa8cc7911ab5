"""Any shop's own export: CSV, TSV, JSON or Parquet, with a mapping from its columns to ours."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shopstill.core.config import config
from shopstill.core.errors import ConfigError, DataError
from shopstill.data.chunk import Chunk, Raw, query_ids
from shopstill.data.images.files import beside
from shopstill.data.prices import points_part
from shopstill.data.readers._delimited import Layout, read_delimited, read_header
from shopstill.data.readers._files import Source, existing, sources_in
from shopstill.data.readers._mapping import QUERY, faults, numbered
from shopstill.data.readers._named import named_by_events
from shopstill.data.readers._objects import as_list, as_map, as_text, read_objects
from shopstill.data.readers._parquet import parquet_columns, read_parquet
from shopstill.data.readers._table_file import TableFile
from shopstill.data.schema import SCHEMAS

_SUFFIXES: dict[str, tuple[str, ...]] = {
    "csv": (".csv",),
    "tsv": (".tsv", ".txt"),
    "json": (".jsonl", ".ndjson", ".json"),
    "parquet": (".parquet", ".pq"),
}


@config
class Columns:
    """Reads tables from files whose columns a mapping names.

    A shop without ``products`` has those that its events name, titled by their id: ratings alone, such as
    ``user_id,parent_asin,rating,timestamp``, need ``events`` with ``constants: {kind: purchase}`` and no more.

    Attributes:
        products: the catalogue.
        queries: what shoppers typed.
        judgments: grades of pairs.
        events: impressions, clicks, carts, purchases.
        edges: relations among products and entities.
    """

    products: TableFile | None = None
    queries: TableFile | None = None
    judgments: TableFile | None = None
    events: TableFile | None = None
    edges: TableFile | None = None

    def read(self) -> Iterator[Chunk]:
        """The tables in this order, each a piece at a time.

        Raises:
            ConfigError: a mapping names a column that a table does not have, or lacks a required one.
            DataError: a file is missing or is not what it claims to be, or has no product.
        """
        for table, file in self._files():
            names: set[str] = set()
            parted = _points_part(table, file)
            for name, raw in _raws(table, file):
                names.add(name)
                if numbered(table, file) and len(names) > 1:
                    raise DataError(f"{name}: is a second file of {file.path}; lines do for ids of one: map product_id")
                chunk = replace(_chunk(table, file, name, raw), points_part=parted)
                if table == "events" and self.products is None:
                    yield named_by_events(chunk.data.select(["product_id"]), chunk.lines, name)
                yield chunk
            if table == "products" and not names:
                what = "a header and no row" if _format(file) in ("csv", "tsv") and not file.header else "no row"
                raise DataError(f"{file.path}: has {what}; give the file of the shop's products")

    def sources(self) -> list[Path]:
        """The files, whose headers have what the mapping names.

        Raises:
            ConfigError: as ``read``; all faults of the mapping are named.
            DataError: a file is missing, or lacks a column that is mapped.
        """
        files = self._files()
        found = [existing(file.path) for _, file in files]
        for table, file in files:
            _check_header(table, file)
        return found

    def _files(self) -> list[tuple[str, TableFile]]:
        named = [(table, getattr(self, table)) for table in SCHEMAS]
        found = [(table, file) for table, file in named if file is not None]
        if not found:
            raise ConfigError(f"reader columns: name at least one table: {', '.join(SCHEMAS)}")
        if wrong := [*faults(dict(found))]:
            raise ConfigError("\n".join(wrong))
        return found


def _check_header(table: str, file: TableFile) -> None:
    """Hold the mapping against what the file says of its columns; JSON says nothing before it is read."""
    kind, wanted = _format(file), file.wanted()
    if kind == "parquet":
        parquet_columns(file.path, wanted)
    elif kind != "json":
        for source in sources_in(file.path, _SUFFIXES[kind]):
            read_header(source, _layout(table, file, wanted, kind))


def _raws(table: str, file: TableFile) -> Iterator[tuple[str, Raw]]:
    wanted, kind = file.wanted(), _format(file)
    if kind == "parquet":
        for raw in read_parquet(file.path, wanted, table=table):
            yield str(file.path), raw
        return
    for source in sources_in(file.path, _SUFFIXES[kind]):
        layout = _layout(table, file, wanted, kind)
        for raw in _objects(table, file, source) if kind == "json" else read_delimited(source, layout):
            yield source.name, raw


def _points_part(table: str, file: TableFile) -> bool:
    """Whether points part thousands in the prices, of which the whole column is looked at."""
    column = file.columns.get("price") if table == "products" else None
    if column is None:
        return False
    prices = replace(file, columns={"price": column}, attributes=())
    return points_part(raw.data[column] for _, raw in _raws(table, prices))


def _layout(table: str, file: TableFile, wanted: list[str], kind: str) -> Layout:
    return Layout(
        table=table,
        required=wanted,
        delimiter="\t" if kind == "tsv" else file.delimiter,
        encoding=file.encoding,
        header=file.header,
    )


def _objects(table: str, file: TableFile, source: Source) -> Iterator[Raw]:
    kinds: dict[str, Any] = dict.fromkeys(file.wanted(), as_text)
    if "category" in file.columns:
        kinds[file.columns["category"]] = partial(as_list, separator=file.category_separator)
    if "attributes" in file.columns:
        kinds[file.columns["attributes"]] = as_map
    for objects in read_objects(source, table=table, encoding=file.encoding):
        yield objects.columns(kinds)


def _format(file: TableFile) -> str:
    if file.format != "auto":
        return file.format
    names = [file.path.name.lower().removesuffix(".gz").removesuffix(".zip")]
    if zipfile.is_zipfile(file.path):
        with zipfile.ZipFile(file.path) as archive:
            names += map(str.lower, archive.namelist())
    for name in names:
        for kind, suffixes in _SUFFIXES.items():
            if name.endswith(suffixes):
                return kind
    raise DataError(f"{file.path}: its name says nothing about its format; set format: csv, tsv, json or parquet")


def _chunk(table: str, file: TableFile, name: str, raw: Raw) -> Chunk:
    data = raw.select(file.columns)
    for column, value in file.constants.items():
        data = data.append_column(column, pa.array([value] * len(raw.lines), pa.string()))
    data = _with_query_ids(table, data)
    if numbered(table, file):
        data = data.append_column("product_id", raw.lines.cast(pa.string()))
    for column, mapping in file.values.items():
        if column in data.column_names:
            data = data.set_column(data.column_names.index(column), column, _replaced(data[column], mapping))
    if "category" in data.column_names and pa.types.is_string(data["category"].type):
        paths = [as_list(text, file.category_separator) for text in data["category"].to_pylist()]
        data = data.set_column(data.column_names.index("category"), "category", pa.array(paths, pa.list_(pa.string())))
    if "image" in data.column_names and pa.types.is_string(data["image"].type):
        data = data.set_column(data.column_names.index("image"), "image", _found(data["image"], file.path.parent))
    if file.attributes:
        data = data.append_column("attributes", _attributes(raw, file.named()))
    return Chunk(
        table=table,
        data=data,
        file=name,
        lines=raw.lines,
        scale=file.scale() if table == "judgments" else None,
        repeats=file.repeats,
        rejects=raw.rejects,
    )


def _found(images: pa.ChunkedArray, folder: Path) -> pa.Array:
    """Pictures, those that lie beside the table by their whole path."""
    return pa.array([image and beside(image, folder) for image in images.to_pylist()], pa.string())


def _with_query_ids(table: str, data: pa.Table) -> pa.Table:
    if table == "queries" and "query_id" not in data.column_names:
        return data.append_column("query_id", query_ids(data["text"]))
    if QUERY in data.column_names:
        return data.drop_columns([QUERY]).append_column("query_id", query_ids(data[QUERY]))
    return data


def _replaced(values: pa.ChunkedArray, mapping: Mapping[str, str]) -> pa.ChunkedArray:
    text = values.cast(pa.string())
    at = pc.index_in(text, pa.array(list(mapping)))
    return pc.coalesce(pc.take(pa.array(list(mapping.values())), at), text)


def _attributes(raw: Raw, names: Mapping[str, str]) -> pa.Array:
    columns = [raw.data[name].cast(pa.string()).to_pylist() for name in names.values()]
    rows = [[(n, v) for n, v in zip(names, values, strict=True) if v] or None for values in zip(*columns, strict=True)]
    return pa.array(rows, pa.map_(pa.string(), pa.string()))


columns = Columns
