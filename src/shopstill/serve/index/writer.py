"""The lexical index as it is written: what is said of each product, and what narrows and orders it.

Every text is cut into tokens by ``data.text.tokenise``, Chinese and English alike, before the index sees it: what a
query is cut into is what a product was cut into. Beside stems the index holds words as they are written, for the
beginnings of words and for spelling.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import tantivy
from tantivy import Query

from shopstill.data.text import tokenise
from shopstill.serve.forms import Product

WORDS, FORMS, ROW, PLACE, CODE, PRICE = "words", "forms", "row", "place", "code", "price"
"""The fields of the index."""

_TITLE = 2
"""How often the title's words are counted; those of brand, category, attributes and description once. One field of all
takes a third of the time of a field for each."""

_SPACES = "spaces"
_HEAP = 64_000_000


class Writer:
    """Changes to an index; nothing is seen, or on the disk, before ``commit``.

    Args:
        folder: of the index; it is made where there is none.
        heap: bytes held before a piece is written.
    """

    def __init__(self, folder: Path, heap: int = _HEAP) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        made = tantivy.Index.exists(str(folder))
        index = tantivy.Index.open(str(folder)) if made else tantivy.Index(_schema(), str(folder))
        self._schema = index.schema
        self._writer, self._closed = prepared(index).writer(heap, 1), False

    def add(self, row: int, place: int, product: Product, codes: Iterable[int]) -> None:
        """Add a product under its row, to be listed in a place."""
        self._writer.add_document(_document(row, place, product, codes))

    def remove(self, row: int) -> None:
        """Take a product out."""
        # By its term tantivy 0.27 looks for a signed number, which no unsigned field holds.
        self._writer.delete_documents_by_query(Query.term_query(self._schema, ROW, row))

    def commit(self) -> None:
        """Put the changes on the disk."""
        self._writer.commit()

    def close(self) -> None:
        """Finish what merges pieces in the background, and let another writer in; what was not committed is gone."""
        if not self._closed:
            self._closed = True
            self._writer.wait_merging_threads()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _schema() -> tantivy.Schema:
    build = tantivy.SchemaBuilder()
    for field in (WORDS, FORMS):
        build.add_text_field(field, tokenizer_name=_SPACES, index_option="freq")
    build.add_unsigned_field(ROW, indexed=True, fast=True)
    build.add_unsigned_field(PLACE, fast=True)
    build.add_unsigned_field(CODE, indexed=True, fast=True)
    build.add_float_field(PRICE, fast=True)
    return build.build()


def prepared(index: tantivy.Index) -> tantivy.Index:
    """An index that knows how its texts were cut: by spaces, between their tokens."""
    index.register_tokenizer(_SPACES, tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
    return index


def said(product: Product) -> list[str]:
    """The tokens that a product is found by; those of its title come twice."""
    # Not by the product's language: queries come without one, and must be cut as products were.
    title = tokenise(product.title)
    about = " ".join([product.brand or "", *product.category, *product.attributes.values()])
    return [*title * _TITLE, *tokenise(about), *tokenise(product.description or "")]


def written(product: Product) -> list[str]:
    """The words of a product's title and brand as they are written, for the beginnings of words and for spelling."""
    return tokenise(f"{product.title} {product.brand or ''}", stemmed=False)


def _document(row: int, place: int, product: Product, codes: Iterable[int]) -> tantivy.Document:
    document = tantivy.Document()
    document.add_text(WORDS, " ".join(said(product)))
    document.add_text(FORMS, " ".join(written(product)))
    document.add_unsigned(ROW, row)
    document.add_unsigned(PLACE, place)
    for code in codes:
        document.add_unsigned(CODE, code)
    if product.price is not None:
        document.add_float(PRICE, float(product.price))
    return document
