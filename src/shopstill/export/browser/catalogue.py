"""The products as they are shown, in columns: what is missing everywhere takes no room.

Brand, category and price are not here: they are among the values to filter by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shopstill.core.errors import DataError
from shopstill.export.browser.plain import write_json
from shopstill.serve.forms import Product

SHOWN = "catalogue/products.json"


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
    images = [product.image for product in products]
    if any(image is not None for image in images):
        columns["image"] = images
    write_json(folder / SHOWN, columns)
