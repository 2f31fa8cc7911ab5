"""Products from wherever a shop has them: lines of JSON, a table, or a shop that was prepared."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from shopstill.core.errors import DataError
from shopstill.data.chunk import Raw
from shopstill.data.prices import PRICE, points_part, price
from shopstill.data.readers._delimited import Layout, read_delimited, read_header
from shopstill.data.readers._files import Source, one_source
from shopstill.data.shop import MANIFEST, Shop
from shopstill.serve.forms import Product
from shopstill.serve.index.documents import form

log = logging.getLogger(__name__)

_FORMS = (
    "a .jsonl file (a product a line), a .parquet, .csv or .tsv file with the columns of a shop's products, or a "
    "prepared shop"
)
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_SHOWN = 80
_ATTRIBUTE, _STEP = "attributes.", ">"


def read_products(path: Path) -> tuple[Iterator[Product], int]:
    """Products of a file or folder, and how many there are.

    Args:
        path: lines of JSON, a product each; a Parquet, CSV or TSV file with the columns of a shop's products table; a
            shop (``shop.json`` is in it), or a run's folder with a prepared shop. In CSV and TSV a ``category`` is its
            steps with ``>`` between, a ``price`` may have a currency and either decimal convention where it cannot be
            mistaken (``1,299`` may be two numbers, and so may ``1.299`` where others are like ``12,50``), and a column
            ``attributes.colour`` holds the attribute ``colour``; columns of other names are passed over.

    Raises:
        DataError: it is none of these, or (while it is read) a row is faulty: which one, where, and what is allowed.
    """
    places = (path, path / "shop", path / "prepare" / "shop")
    shop = next((place for place in places if (place / MANIFEST).exists()), None)
    if shop is not None:
        found = Shop(shop)
        return of_table(found.scan("products")), found.count("products")
    if path.suffix == ".parquet" and path.is_file():
        import pyarrow.parquet as pq

        table = pq.ParquetFile(path)
        return of_table(table.iter_batches(), str(path)), table.metadata.num_rows
    if path.suffix in _DELIMITERS and path.is_file():
        return _of_text(path)
    if path.suffix in (".jsonl", ".ndjson") and path.is_file():
        with open(path, "rb") as handle:
            return _of_lines(path), sum(1 for line in handle if line.strip())
    raise DataError(f"{path}: not a catalogue; give {_FORMS}")


def of_table(batches: Iterable[pa.RecordBatch], name: str = "products") -> Iterator[Product]:
    """Products of batches with the columns of a shop's products table.

    Raises:
        DataError: a row is faulty.
    """
    line = 0
    for batch in batches:
        for row in batch.to_pylist():
            line += 1
            yield _checked(_shaped(row), f"{name}: row {line}")


def _of_text(path: Path) -> tuple[Iterator[Product], int]:
    """Products of delimited text, and how many there are.

    Raises:
        DataError: the file has no ids or no titles, or a row cannot be read.
    """
    layout = Layout(table="products", required=("title",), delimiter=_DELIMITERS[path.suffix])
    source = one_source(path, tuple(_DELIMITERS))
    _check_header(read_header(source, layout), path)
    count, parted = 0, False
    for raw in _rows(source, layout):
        count += raw.data.num_rows
        parted = parted or ("price" in raw.data.column_names and points_part([raw.data["price"]]))
    return _written(_rows(source, layout), path, parted), count


def _rows(source: Source, layout: Layout) -> Iterator[Raw]:
    """The rows of delimited text.

    Raises:
        DataError: one cannot be read.
    """
    for raw in read_delimited(source, layout):
        if raw.rejects:
            raise DataError(f"{raw.rejects[0]}; mend the row, or leave it out")
        yield raw


def _written(rows: Iterable[Raw], path: Path, parted: bool) -> Iterator[Product]:
    """Rows of text as products, with the path, the number and the attributes that they stand for.

    Raises:
        DataError: a row is faulty.
    """
    for raw in rows:
        for row, line in zip(raw.data.to_pylist(), raw.lines.to_pylist(), strict=True):
            where = f"{path}:{line}"
            steps = [step.strip() for step in (row.get("category") or "").split(_STEP)]
            told = {name.removeprefix(_ATTRIBUTE): value for name, value in row.items() if name.startswith(_ATTRIBUTE)}
            known = {"category": [step for step in steps if step], "price": _price(row.get("price"), parted, where)}
            yield _checked(_shaped({**row, **known, "attributes": told}), where)


def _price(said: str | None, parted: bool, where: str) -> str | None:
    """The number in a cell; None in a blank one.

    Raises:
        DataError: it is none, or may be one of two.
    """
    if not said or not said.strip():
        return None
    found = price(said, parted)
    if not found:
        raise DataError(f"{where}: price: {repr(said)[:_SHOWN]}: {PRICE} is expected; mend the row, or leave it out")
    return found


def _check_header(names: Sequence[str], path: Path) -> None:
    if not {"id", "product_id"} & set(names):
        raise DataError(
            f"{path}:1: the header lacks 'id'; found: {', '.join(names)[:300]}; name the ids of products so"
        )
    known = ("id", "product_id", *_COLUMNS)
    others = [name for name in names if name not in known and not name.startswith(_ATTRIBUTE)]
    if others:
        told = "%s: passed over: %s; a column that is shown has one of the names %s, or %sNAME"
        log.warning(told, path, ", ".join(others)[:300], ", ".join(known), _ATTRIBUTE)


def _of_lines(path: Path) -> Iterator[Product]:
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as handle:
        for number, line in enumerate(handle, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as cause:
                raise DataError(f"{path}:{number}: not JSON ({cause}); write a product a line") from None
            yield _checked(row, f"{path}:{number}")


def _shaped(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a shop's table as a product: what is missing is left out, as pandas writes it too."""
    known = {"id": row.get("product_id", row.get("id")), **{name: row.get(name) for name in _COLUMNS}}
    told = dict(row.get("attributes") or ())
    known["attributes"] = {name: value for name, value in told.items() if value is not None}
    return {name: value for name, value in known.items() if value not in (None, "", [], {}) and not _is_nan(value)}


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)


_COLUMNS = ("title", "description", "brand", "category", "price", "image", "language")


def _checked(row: Any, where: str) -> Product:
    try:
        return form.validate_python(row)
    except ValidationError as cause:
        fault = cause.errors()[0]
        field = ".".join(map(str, fault["loc"])) or "product"
        shown = repr(fault["input"])[:_SHOWN]
        raise DataError(f"{where}: {field}: {shown}: {_remedy(fault)}") from None


def _remedy(fault: Mapping[str, Any]) -> str:
    """What is wrong and what to do: a path that is written as text is said as the steps that are wanted."""
    if fault["type"] == "tuple_type" and isinstance(fault["input"], str):
        steps = json.dumps([step.strip() for step in fault["input"].split(">")], ensure_ascii=False)
        return f"is text where a path from the root to the leaf is expected; write it as {steps[:200]}"
    return f"{fault['msg']}; mend the row, or leave it out"
