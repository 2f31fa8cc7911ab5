"""Home Depot product search relevance (Kaggle 2016): a Latin-1 CSV of rated pairs, zipped or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shopstill.core.config import config
from shopstill.core.errors import DataError
from shopstill.data.chunk import Chunk, Raw, Scale, query_ids
from shopstill.data.readers._delimited import Layout, read_delimited
from shopstill.data.readers._files import existing, one_source

_PAIRS = Layout(
    table="judgments",
    required=("id", "product_uid", "product_title", "search_term", "relevance"),
    encoding="latin-1",
)
_DESCRIPTIONS = Layout(table="products", required=("product_uid", "product_description"), encoding="latin-1")
_ATTRIBUTES = Layout(table="products", required=("product_uid", "name", "value"), encoding="latin-1")
_SCALE = Scale(low=1.0, high=3.0, zero=1.0)
# What the publisher's export made of characters beyond ASCII.
_MENDED = {
    "å¡": "°",
    "è_": "°",
    "å_": "²",
    "åÊ": " ",
    "\x89Ûª": "'",
    "\x89Û÷": "'",
    "\x89Û\x90": "-",
    "\x89ÛÒ": "-",
    "\x89ã¢": " ",
}


@config
class HomeDepot:
    """Reads ``train.csv`` (``id, product_uid, product_title, search_term, relevance``), and what lies beside it.

    The grade is the mean human rating, 1 to 3; its gain is the grade less 1. A query's id is made from its text. The
    first title of a product counts. Descriptions and attributes, where the publisher's other files lie in the same
    folder, are held in memory while reading (the whole set has 124,428 products).

    Attributes:
        path: ``train.csv``, or a zip that holds it.
        beside: also read ``product_descriptions.csv`` and ``attributes.csv``, zipped or not, where they are.

    Source: https://www.kaggle.com/c/home-depot-product-search-relevance/data
    """

    path: Path
    beside: bool = True

    def read(self) -> Iterator[Chunk]:
        """Products, queries and judgments, a piece of the file at a time.

        Raises:
            DataError: a file is missing or is not what it claims to be.
        """
        source = one_source(self.path, (".csv",))
        descriptions, attributes = self._descriptions(), self._attributes()
        for raw in read_delimited(source, _PAIRS):
            yield _products(raw, source.name, descriptions, attributes)
            ids = query_ids(raw.data["search_term"])
            texts = pa.table({"query_id": ids, "text": raw.data["search_term"]})
            yield Chunk(table="queries", data=texts, file=source.name, lines=raw.lines, repeats=True)
            pairs = raw.select({"product_id": "product_uid", "grade": "relevance"}).append_column("query_id", ids)
            yield Chunk(
                table="judgments", data=pairs, file=source.name, lines=raw.lines, scale=_SCALE, rejects=raw.rejects
            )

    def sources(self) -> list[Path]:
        """The file of pairs and those found beside it."""
        found = (self._beside(name) for name in ("product_descriptions.csv", "attributes.csv"))
        return [existing(self.path), *(path for path in found if path)]

    def _beside(self, name: str) -> Path | None:
        names = (name, f"{name}.zip") if self.beside else ()
        return next((self.path.parent / n for n in names if (self.path.parent / n).is_file()), None)

    def _descriptions(self) -> dict[str, str]:
        return dict(self._rows("product_descriptions.csv", _DESCRIPTIONS))

    def _attributes(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for uid, name, value in self._rows("attributes.csv", _ATTRIBUTES):
            if uid and name and value:
                found.setdefault(uid, []).append((name, value))
        return found

    def _rows(self, name: str, layout: Layout) -> Iterator[Any]:
        path = self._beside(name)
        for raw in read_delimited(one_source(path, (".csv",)), layout) if path else ():
            if raw.rejects:
                raise DataError(str(raw.rejects[0]))
            yield from zip(*(raw.data[column].to_pylist() for column in layout.required), strict=True)


def _products(raw: Raw, file: str, descriptions: dict[str, str], attributes: dict[str, list[tuple[str, str]]]) -> Chunk:
    data = pa.table({"product_id": raw.data["product_uid"], "title": _mended(raw.data["product_title"])})
    uids = data["product_id"].to_pylist()
    if descriptions:
        texts = pa.chunked_array([pa.array([descriptions.get(uid) for uid in uids], pa.string())])
        data = data.append_column("description", _mended(texts))
    if attributes:
        pairs = pa.array([attributes.get(uid) for uid in uids], pa.map_(pa.string(), pa.string()))
        data = data.append_column("attributes", pairs)
    return Chunk(table="products", data=data, file=file, lines=raw.lines, repeats=True)


def _mended(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    for broken, meant in _MENDED.items():
        texts = pc.replace_substring(texts, broken, meant)
    return texts


homedepot = HomeDepot
