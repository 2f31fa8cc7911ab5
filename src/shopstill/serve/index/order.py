"""The order of products in an index: those of one category lie beside each other.

Products of one category share words, and are near each other: what a search looks at then lies together in memory, and
of the rest more is passed over unread. Source: Blandford and Blelloch, "Index compression through document reordering"
(DCC 2002). The place that a product came in is kept: where nothing is asked, products are listed as the shop has them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np

from shopstill.core.progress import progress
from shopstill.serve.forms import Product
from shopstill.serve.index import documents
from shopstill.serve.index.documents import Documents

_AT_ONCE = 8192


def by_category(categories: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Where products of some categories come in order: by category, those of none last, and within one as they came.

    >>> by_category([("toys", "cars"), (), ("home",), ("toys", "cars")]).tolist()
    [2, 0, 3, 1]
    """
    ranks = {category: rank for rank, category in enumerate(sorted({*categories}, key=lambda path: (not path, path)))}
    return np.argsort(np.array([ranks[category] for category in categories], np.int64), kind="stable")


@contextmanager
def arranged(products: Iterable[Product], spool: Path, total: int) -> Iterator[tuple[np.ndarray, Iterator[Product]]]:
    """The places that products came in, and the products, by category, however many there are.

    Args:
        products: in any order.
        spool: folder where they lie meanwhile, which must not be there.
        total: how many there are, about; for the progress shown.

    Raises:
        DataError: two have the same id.
    """
    spool.mkdir()
    categories: list[tuple[str, ...]] = []
    try:
        documents.write(spool, _noted(products, categories, total))
        found, place_N = Documents(spool), by_category(categories)
        yield place_N, (found.product(int(place)) for place in place_N)
    finally:
        shutil.rmtree(spool)


def _noted(products: Iterable[Product], categories: list[tuple[str, ...]], total: int) -> Iterator[Product]:
    """Products as they pass, their categories noted."""
    source = iter(products)
    # One tuple for all products of a category: a million take little room.
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    with progress("read", total, "products") as bar:
        while piece := list(islice(source, _AT_ONCE)):
            categories += [known.setdefault(product.category, product.category) for product in piece]
            yield from piece
            bar.advance(len(piece))
