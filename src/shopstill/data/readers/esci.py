"""Shopping Queries Dataset (ESCI, Amazon 2022): two Parquet files, joined on product id and locale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from shopstill.core.config import config
from shopstill.data.chunk import Chunk, Raw, Scale
from shopstill.data.readers._files import existing
from shopstill.data.readers._parquet import read_parquet

_EXAMPLES = ("query", "query_id", "product_id", "product_locale", "esci_label", "small_version", "split")
_PRODUCTS = (
    "product_id",
    "product_title",
    "product_description",
    "product_bullet_point",
    "product_brand",
    "product_color",
    "product_locale",
)
_LANGUAGE = {"us": "en", "es": "es", "jp": "ja"}
_GAINS = {"exact": (3.0, 1.0), "substitute": (2.0, 0.1), "complement": (1.0, 0.01), "irrelevant": (0.0, 0.0)}
_SCALE = Scale(labels=_GAINS | {name[0]: worth for name, worth in _GAINS.items()})


@config
class Esci:
    """Reads the publisher's ``…_examples.parquet`` and ``…_products.parquet``.

    Grades are 3 to 0 for Exact, Substitute, Complement, Irrelevant, with the publisher's gains 1, 0.1, 0.01, 0. A
    product id may occur in several locales: where more than one is read, ids become ``<product_id>/<locale>``.

    Attributes:
        path: the folder that holds both files under their published names.
        locales: which of them to read.
        small_version: only the judgments of the reduced set, which the publisher ranks on.

    Source: Reddy et al., Shopping Queries Dataset, 2022, https://github.com/amazon-science/esci-data
    """

    path: Path
    locales: tuple[Literal["us", "es", "jp"], ...] = Field(default=("us",), min_length=1)
    small_version: bool = False

    def read(self) -> Iterator[Chunk]:
        """Products, then queries and judgments.

        Raises:
            DataError: a file is missing or is not what it claims to be.
        """
        products, examples = self.sources()
        for raw in read_parquet(products, _PRODUCTS, table="products"):
            kept = self._kept(raw)
            yield Chunk(
                table="products",
                data=self._products(kept.data),
                file=str(products),
                lines=kept.lines,
                rejects=kept.rejects,
            )
        for raw in read_parquet(examples, _EXAMPLES, table="judgments"):
            kept = self._kept(raw)
            queries = kept.select({"query_id": "query_id", "text": "query", "language": "product_locale"})
            queries = queries.set_column(2, "language", _languages(queries["language"]))
            yield Chunk(table="queries", data=queries, file=str(examples), lines=kept.lines, repeats=True)
            pairs = kept.select({"query_id": "query_id", "label": "esci_label", "split": "split"})
            pairs = pairs.append_column("product_id", self._ids(kept.data))
            yield Chunk(
                table="judgments", data=pairs, file=str(examples), lines=kept.lines, scale=_SCALE, rejects=kept.rejects
            )

    def sources(self) -> list[Path]:
        """Products and examples."""
        names = ("shopping_queries_dataset_products.parquet", "shopping_queries_dataset_examples.parquet")
        return [existing(self.path / name) for name in names]

    def _kept(self, raw: Raw) -> Raw:
        wanted = pc.is_in(raw.data["product_locale"], pa.array(self.locales))
        if self.small_version and "small_version" in raw.data.column_names:
            wanted = pc.and_(wanted, pc.equal(raw.data["small_version"].cast(pa.int64()), 1))
        lines = raw.lines.filter(wanted.combine_chunks())
        return Raw(data=raw.data.filter(wanted), lines=lines, rejects=raw.rejects)

    def _ids(self, data: pa.Table) -> pa.ChunkedArray:
        if len(set(self.locales)) == 1:
            return data["product_id"]
        return pc.binary_join_element_wise(data["product_id"], data["product_locale"], "/")

    def _products(self, data: pa.Table) -> pa.Table:
        bullets, text = data["product_bullet_point"], data["product_description"]
        colours = data["product_color"].to_pylist()
        return pa.table(
            {
                "product_id": self._ids(data),
                "title": data["product_title"],
                # Arrow's own way to skip nulls drops the rows where both are.
                "description": pc.binary_join_element_wise(text, bullets, "\n", null_handling="replace"),
                "brand": data["product_brand"],
                "attributes": pa.array(
                    [[("colour", c)] if c else None for c in colours], pa.map_(pa.string(), pa.string())
                ),
                "language": _languages(data["product_locale"]),
            }
        )


def _languages(locales: pa.ChunkedArray) -> pa.ChunkedArray:
    at = pc.index_in(locales, pa.array(list(_LANGUAGE)))
    return pa.chunked_array([pa.array(list(_LANGUAGE.values())).take(part) for part in at.chunks], pa.string())


esci = Esci
