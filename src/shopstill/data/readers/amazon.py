"""Amazon Reviews 2023: reviews and products as JSON lines, plain, gzipped or zipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from shopstill.core.config import config
from shopstill.data.chunk import WRONG_TYPE, Chunk, Raw
from shopstill.data.readers._files import Source, existing, sources_in
from shopstill.data.readers._named import named_by_events
from shopstill.data.readers._objects import Objects, as_list, as_map, as_text, read_objects

_SUFFIXES = (".jsonl", ".json")
_PRODUCTS = {
    "product_id": "parent_asin",
    "title": "title",
    "description": "description",
    "brand": "store",
    "category": "categories",
    "price": "price",
    "attributes": "details",
    "image": "images",
}
_EVENTS = {"shopper_id": "user_id", "product_id": "parent_asin", "time": "timestamp"}
_YES, _NO = "yes", "no"


@config
class Amazon:
    """Reads reviews as purchases, and products with their texts.

    A product is a ``parent_asin``, under which sizes and colours are one. The store is the brand; ``details`` are the
    attributes, without those that hold further objects; where ``categories`` is empty, ``main_category`` is the path.
    A price that is no number (such as ``from 9.99``) is none. A product that only reviews know, because its products
    file is not given or lacks it, is titled by its id. Ratings and texts of reviews are not kept.

    Attributes:
        reviews: files of reviews, such as ``All_Beauty.jsonl.gz``.
        products: files of products, such as ``meta_All_Beauty.jsonl.gz``.
        verified: only reviews whose ``verified_purchase`` is true; the others are passed over.

    Source: https://amazon-reviews-2023.github.io
    """

    reviews: tuple[Path, ...] = Field(min_length=1)
    products: tuple[Path, ...] = ()
    verified: bool = False

    def read(self) -> Iterator[Chunk]:
        """Products with texts; then events, and the products that only they name.

        Raises:
            DataError: a file is missing or is not what it claims to be.
        """
        for path in self.products:
            for source in sources_in(path, _SUFFIXES):
                yield from _products(source)
        for path in self.reviews:
            for source in sources_in(path, _SUFFIXES):
                yield from self._events(source)

    def sources(self) -> list[Path]:
        """Products and reviews."""
        return [existing(path) for path in (*self.products, *self.reviews)]

    def _events(self, source: Source) -> Iterator[Chunk]:
        kinds: dict[str, Any] = {**dict.fromkeys(_EVENTS.values(), as_text), "verified_purchase": _flag}
        for objects in read_objects(source, table="events"):
            raw = objects.columns(kinds)
            if self.verified:
                raw = _only(raw, pc.equal(raw.data["verified_purchase"], _YES))
            data = raw.select(_EVENTS)
            yield named_by_events(data.select(["product_id"]), raw.lines, source.name)
            data = data.append_column("kind", pa.array(["purchase"] * len(data), pa.string()))
            yield Chunk(table="events", data=data, file=source.name, lines=raw.lines, rejects=raw.rejects)


def _products(source: Source) -> Iterator[Chunk]:
    kinds: dict[str, Any] = dict.fromkeys(("parent_asin", "title", "description", "store"), as_text)
    kinds |= {"categories": as_list, "price": _price, "details": _details, "images": _image}
    for objects in read_objects(source, table="products"):
        raw = _with_paths(objects).columns(kinds)
        data = raw.select(_PRODUCTS)
        yield Chunk(table="products", data=data, file=source.name, lines=raw.lines, rejects=raw.rejects)


def _with_paths(objects: Objects) -> Objects:
    for value in objects.values:
        value["categories"] = value.get("categories") or value.get("main_category")
    return objects


def _only(raw: Raw, wanted: pa.ChunkedArray) -> Raw:
    kept = pc.fill_null(wanted, False)
    return Raw(data=raw.data.filter(kept), lines=raw.lines.filter(kept.combine_chunks()), rejects=raw.rejects)


def _flag(value: Any) -> str | None:
    if value is None or isinstance(value, bool):
        return None if value is None else _YES if value else _NO
    raise TypeError(f"{WRONG_TYPE}: true or false is expected")


def _price(value: Any) -> str | None:
    text = (as_text(value) or "").strip().removeprefix("$").replace(",", "")
    return text if text.replace(".", "", 1).isdecimal() else None


def _details(value: Any) -> list[tuple[str, str]] | None:
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if not _nested(item)}
    return as_map(value)


def _nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_nested, value)))


def _image(value: Any) -> str | None:
    """The address of the first picture, the largest that there is."""
    first = value[0] if isinstance(value, list) and value else value or None
    if isinstance(first, dict):
        first = next((first[size] for size in ("hi_res", "large", "thumb") if first.get(size)), None)
    return as_text(first)


amazon = Amazon
