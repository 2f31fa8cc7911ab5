"""WANDS (Wayfair 2022): three tab-separated files of furniture search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from shopstill.core.config import config
from shopstill.data.chunk import Chunk, Raw, Scale
from shopstill.data.readers._delimited import Layout, read_delimited
from shopstill.data.readers._files import existing, one_source

_QUERIES = Layout(table="queries", required=("query_id", "query"), delimiter="\t")
_PRODUCTS = Layout(
    table="products",
    required=("product_id", "product_name", "category_hierarchy", "product_description", "product_features"),
    delimiter="\t",
)
_LABELS = Layout(table="judgments", required=("id", "query_id", "product_id", "label"), delimiter="\t")
_SCALE = Scale(labels={"exact": (2.0, 1.0), "partial": (1.0, 0.5), "irrelevant": (0.0, 0.0)})


@config
class Wands:
    """Reads ``product.csv``, ``query.csv`` and ``label.csv``, which are tab-separated in spite of their names.

    Grades are 2, 1, 0 for Exact, Partial, Irrelevant, with the publisher's gains 1, 0.5, 0. Features (``name : value``,
    parted by ``|``) become attributes; the category path is cut at ``/``.

    Attributes:
        path: the folder that holds the three files.

    Source: Chen et al., WANDS: Dataset for Product Search Relevance Assessment, ECIR 2022,
    https://github.com/wayfair/WANDS
    """

    path: Path

    def read(self) -> Iterator[Chunk]:
        """Products, queries, judgments.

        Raises:
            DataError: a file is missing or is not what it claims to be.
        """
        products, queries, labels = self.sources()
        for name, raw in _raws(products, _PRODUCTS):
            yield Chunk(table="products", data=_products(raw), file=name, lines=raw.lines, rejects=raw.rejects)
        for name, raw in _raws(queries, _QUERIES):
            data = raw.select({"query_id": "query_id", "text": "query"})
            yield Chunk(table="queries", data=data, file=name, lines=raw.lines, rejects=raw.rejects)
        for name, raw in _raws(labels, _LABELS):
            data = raw.select({"query_id": "query_id", "product_id": "product_id", "label": "label"})
            yield Chunk(table="judgments", data=data, file=name, lines=raw.lines, rejects=raw.rejects, scale=_SCALE)

    def sources(self) -> list[Path]:
        """Products, queries and labels."""
        return [existing(self.path / name) for name in ("product.csv", "query.csv", "label.csv")]


def _raws(path: Path, layout: Layout) -> Iterator[tuple[str, Raw]]:
    source = one_source(path, (".csv",))
    for raw in read_delimited(source, layout):
        yield source.name, raw


def _products(raw: Raw) -> pa.Table:
    data = raw.select({"product_id": "product_id", "title": "product_name", "description": "product_description"})
    paths = [_path(text) for text in raw.data["category_hierarchy"].to_pylist()]
    data = data.append_column("category", pa.array(paths, pa.list_(pa.string())))
    features = [_features(text) for text in raw.data["product_features"].to_pylist()]
    return data.append_column("attributes", pa.array(features, pa.map_(pa.string(), pa.string())))


def _path(text: str | None) -> list[str] | None:
    return [part.strip() for part in (text or "").split("/") if part.strip()] or None


def _features(text: str | None) -> list[tuple[str, str]] | None:
    found: dict[str, list[str]] = {}
    for part in (text or "").split("|"):
        name, colon, value = (piece.strip() for piece in part.partition(":"))
        if colon and name and value and value not in found.get(name, ()):
            found.setdefault(name, []).append(value)
    return [(name, ", ".join(values)) for name, values in found.items()] or None


wands = Wands
