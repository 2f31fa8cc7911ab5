"""Amazon Reviews 2023: reviews and products as JSON lines, plain, gzipped or zipped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from shopstill.core.config import config
from shopstill.data.chunk import WRONG_TYPE, Chunk, Raw
from shopstill.data.readers._files import Source, existing, sources_in
from shopstill.data.readers._named import named_by_events, titled
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
    The form on Hugging Face is read as well: ``details`` as JSON in text, ``images`` as an object of lists. A price
    that is no number (such as ``from 9.99``) is none; of a product with a part that cannot be read, such as
    ``details``, the others are kept. A product without a title, or that only reviews know, because its products file
    is not given or lacks it, is titled by its id. Ratings and texts of reviews are not kept.

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
    parts: dict[str, Callable[[Any], Any]] = {
        "description": as_text,
        "store": as_text,
        "categories": as_list,
        "price": _price,
    }
    parts |= {"details": _details, "images": _image}
    kinds: dict[str, Any] = {"parent_asin": as_text, "title": as_text}
    kinds |= {name: partial(_readable, convert) for name, convert in parts.items()}
    for objects in read_objects(source, table="products"):
        raw = _with_paths(objects).columns(kinds)
        data = titled(raw.select(_PRODUCTS))
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


def _readable(convert: Callable[[Any], Any], value: Any) -> Any:
    """A part of a product, or none where it is of the wrong kind: no reason to lose the others."""
    try:
        return convert(value)
    except TypeError:
        return None


def _price(value: Any) -> str | None:
    text = (as_text(value) or "").strip().removeprefix("$").replace(",", "")
    return text if text.isascii() and text.replace(".", "", 1).isdecimal() else None


def _details(value: Any) -> list[tuple[str, str]] | None:
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if not _nested(item)}
    return as_map(value)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_nested, value)))


def _image(value: Any) -> str | None:
    """The address of the first picture that has one, the largest that there is."""
    if isinstance(value, dict):
        sizes = [part if isinstance(part, list) else [part] for part in value.values()]
        value = [dict(zip(value, picture, strict=True)) for picture in zip_longest(*sizes)]
    pictures = value if isinstance(value, list) else [value]
    return next(filter(None, map(_address, pictures)), None)


def _address(picture: Any) -> str | None:
    if isinstance(picture, dict):
        picture = next((picture[size] for size in ("hi_res", "large", "thumb") if picture.get(size)), None)
    return as_text(picture)


amazon = Amazon
