"""The Icecat catalogue of the Chorus project: JSON arrays, zipped or not, and CSV files of human ratings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from shopstill.core.config import config
from shopstill.core.errors import DataError
from shopstill.data.chunk import Chunk, Scale, query_ids
from shopstill.data.readers._delimited import Layout, read_delimited
from shopstill.data.readers._files import Source, existing, one_source, sources_in
from shopstill.data.readers._objects import Objects, as_map, as_text, read_objects

_RATINGS = Layout(table="judgments", required=("query", "docid"))
_SCALE = Scale(low=0.0, high=3.0)
_TEXTS = {
    "product_id": "id",
    "title": "title",
    "description": "short_description",
    "brand": "supplier",
    "image": "img_500x500",
}
_ATTRIBUTE = "attr_"
_CENTS = 100


@config
class Icecat:
    """Reads products from JSON arrays and, where given, ratings 0 to 3 from CSV (``query, docid, rating``).

    Prices are cents and become whole units; every ``attr_t_…``, ``attr_n_…`` and ``attr_b_…`` becomes an attribute
    under its name in words. A query's id is made from its text; a pair rated in two files keeps the mean.

    Attributes:
        path: a JSON file, a zip of one, or a folder of those.
        ratings: CSV files with a column ``rating`` or ``final_rating``.

    Source: https://github.com/querqy/chorus, data under the Open Icecat Content License
    """

    path: Path
    ratings: tuple[Path, ...] = ()

    def read(self) -> Iterator[Chunk]:
        """Products, then queries and judgments.

        Raises:
            DataError: a file is missing or is not what it claims to be.
        """
        for path in self._catalogue():
            for source in sources_in(path, (".json",)):
                for objects in read_objects(source, table="products"):
                    yield _products(objects)
        for path in self.ratings:
            yield from _ratings(one_source(path, (".csv",)))

    def sources(self) -> list[Path]:
        """The catalogue's files and those of the ratings."""
        return [*self._catalogue(), *map(existing, self.ratings)]

    def _catalogue(self) -> list[Path]:
        if not self.path.is_dir():
            return [existing(self.path)]
        found = sorted(p for p in self.path.iterdir() if p.name.endswith((".json", ".json.zip", ".json.gz")))
        if not found:
            raise DataError(f"{self.path}: holds no .json, .json.zip or .json.gz file; the catalogue is expected there")
        return found


def _products(objects: Objects) -> Chunk:
    for value in objects.values:
        value[_ATTRIBUTE] = {_words(k): v for k, v in value.items() if k.startswith(_ATTRIBUTE) and len(k) > 7}
    kinds: dict[str, Any] = dict.fromkeys(_TEXTS.values(), as_text)
    raw = objects.columns({**kinds, "price": _units, _ATTRIBUTE: as_map})
    data = raw.select({**_TEXTS, "price": "price", "attributes": _ATTRIBUTE})
    return Chunk(table="products", data=data, file=objects.file, lines=raw.lines, rejects=raw.rejects)


def _words(key: str) -> str:
    return " ".join(key[len("attr_t_") :].replace("_", " ").split()) or key


def _units(cents: Any) -> str | None:
    text = as_text(cents)
    try:
        return text and str(int(text) / _CENTS)
    except (ValueError, OverflowError):
        # It stays as it is, so that it is rejected under its own value.
        return text


def _ratings(source: Source) -> Iterator[Chunk]:
    for raw in read_delimited(source, _RATINGS):
        column = next((c for c in ("rating", "final_rating") if c in raw.data.column_names), None)
        if column is None:
            raise DataError(
                f"{source.name}:1: the header lacks 'rating' (or 'final_rating'); "
                f"found: {', '.join(raw.data.column_names)}; expected {_RATINGS.expected()}, rating"
            )
        ids = query_ids(raw.data["query"])
        texts = pa.table({"query_id": ids, "text": raw.data["query"]})
        yield Chunk(table="queries", data=texts, file=source.name, lines=raw.lines, repeats=True)
        pairs = raw.select({"product_id": "docid", "grade": column}).append_column("query_id", ids)
        yield Chunk(table="judgments", data=pairs, file=source.name, lines=raw.lines, rejects=raw.rejects, scale=_SCALE)


icecat = Icecat
