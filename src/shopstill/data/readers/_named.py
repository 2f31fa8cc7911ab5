"""Products that their source names by an id alone: in events, or in a row without a title."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopstill.data.chunk import Chunk


def named_by_events(data: pa.Table, lines: pa.Array, file: str) -> Chunk:
    """A products chunk of each different product of some rows, under the first line that names it.

    Args:
        data: ``product_id`` and further columns of the products table; the title is the id.
        lines: line of each row, never falling.
        file: where they stand.
    """
    codes = data["product_id"].combine_chunks().dictionary_encode().indices
    present = np.flatnonzero(np.asarray(codes.is_valid()))
    _, first = np.unique(np.asarray(codes.drop_null()), return_index=True)
    rows = pa.array(np.sort(present[first]))
    products = data.take(rows)
    products = products.append_column("title", products["product_id"])
    return Chunk(table="products", data=products, file=file, lines=lines.take(rows), repeats=True)


def titled(data: pa.Table) -> pa.Table:
    """Rows of products with the id as the title where there is no other."""
    if "title" not in data.column_names:
        return data.append_column("title", data["product_id"])
    blank = pc.equal(pc.utf8_trim_whitespace(data["title"]), "")
    title = pc.coalesce(pc.if_else(blank, pa.scalar(None, pa.string()), data["title"]), data["product_id"])
    return data.set_column(data.column_names.index("title"), "title", title)
