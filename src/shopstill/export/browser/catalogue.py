"""The products as they are shown, in columns: what is missing everywhere takes no room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shopstill.core.errors import DataError
from shopstill.export.browser.plain import write_json
from shopstill.serve.forms import Product

SHOWN = "catalogue/products.json"
_COLUMNS = ("brand", "price", "image")


def write(folder: Path, products: Sequence[Product]) -> None:
    """Write columns of products, in order.

    Raises:
        DataError: two have the same id.
    """
    ids = [product.id for product in products]
    twice, times = Counter(ids).most_common(1)[0]
    if times > 1:
        raise DataError(f"products: the id {twice!r} is there twice; every product needs an id of its own")
    columns: dict[str, list[Any]] = {"id": ids, "title": [product.title for product in products]}
    for name in _COLUMNS:
        values = [getattr(product, name) for product in products]
        if any(value is not None for value in values):
            columns[name] = [_short(value) for value in values]
    write_json(folder / SHOWN, columns)


def _short(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
