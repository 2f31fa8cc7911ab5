"""The tables of a shop: names, columns, types and meanings, in one place.

A column marked non-nullable is required; every other may be null. Ids are strings everywhere, so that ``00123``
stays itself. Extra columns of a source are not kept; put what matters into ``attributes``.
"""

from __future__ import annotations

from typing import Literal

import pyarrow as pa

EventKind = Literal["impression", "click", "favourite", "cart", "purchase"]
"""What a shopper did: was shown a product, opened it, put it by for later, put it into the cart, bought it."""


def _column(name: str, kind: pa.DataType, meaning: str, *, required: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=not required, metadata={"meaning": meaning})


PRODUCTS = pa.schema(
    [
        _column("product_id", pa.string(), "the shop's id of the product; unique", required=True),
        _column("title", pa.string(), "the name shown to shoppers, cleaned", required=True),
        _column("description", pa.string(), "longer text, cleaned"),
        _column("brand", pa.string(), "brand or supplier"),
        _column("category", pa.list_(pa.string()), "path from the root to the leaf"),
        _column("price", pa.float64(), "price in whole units of the currency"),
        _column("attributes", pa.map_(pa.string(), pa.string()), "attribute name → value, such as colour → red"),
        _column("image", pa.string(), "picture: a path, archive.zip!/member inside of a zip, or an address"),
        _column("language", pa.string(), "language of the title: en, zh, …"),
    ]
)

QUERIES = pa.schema(
    [
        _column("query_id", pa.string(), "id of the query; unique", required=True),
        _column("text", pa.string(), "what the shopper typed, cleaned", required=True),
        _column("language", pa.string(), "language of the text: en, zh, …"),
        _column("frequency", pa.int64(), "how often it was typed, where the shop knows"),
    ]
)

JUDGMENTS = pa.schema(
    [
        _column("query_id", pa.string(), "query", required=True),
        _column("product_id", pa.string(), "product", required=True),
        _column("grade", pa.float32(), "relevance on the source's own scale; higher is better", required=True),
        _column("gain", pa.float32(), "worth of the grade in NDCG; 0 for irrelevant, may be fractional", required=True),
        _column("label", pa.string(), "name of the grade where the source has one, such as Exact"),
        _column("split", pa.string(), "the publisher's own split, where there is one: train, valid or test"),
    ]
)

EVENTS = pa.schema(
    [
        _column("shopper_id", pa.string(), "who", required=True),
        _column("session_id", pa.string(), "visit"),
        _column("query_id", pa.string(), "the query that led here, if any"),
        _column("product_id", pa.string(), "what", required=True),
        _column("kind", pa.string(), "impression, click, favourite, cart or purchase", required=True),
        _column("position", pa.int32(), "place in the list that was shown, from 1"),
        _column("time", pa.timestamp("ms"), "when, UTC", required=True),
    ]
)

EDGES = pa.schema(
    [
        _column("source", pa.string(), "product or entity", required=True),
        _column("relation", pa.string(), "such as also_bought, has_colour, made_by", required=True),
        _column("target", pa.string(), "product, entity or value", required=True),
    ]
)

SCHEMAS: dict[str, pa.Schema] = {
    "products": PRODUCTS,
    "queries": QUERIES,
    "judgments": JUDGMENTS,
    "events": EVENTS,
    "edges": EDGES,
}

REJECTED = pa.schema(
    [
        _column("file", pa.string(), "file the row came from, as named in the recipe", required=True),
        _column("line", pa.int64(), "line in a text file from 1, or row in a Parquet file from 1"),
        _column("table", pa.string(), "table the row was meant for", required=True),
        _column("field", pa.string(), "column that is wrong"),
        _column("value", pa.string(), "its value, cut at 200 characters"),
        _column("reason", pa.string(), "why it was rejected", required=True),
    ]
)
