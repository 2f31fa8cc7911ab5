"""The products as they are shown, in a file that is mapped into memory: a line of JSON each, found by row or by id.

Shapes: ``N`` products.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from shopstill.core.errors import DataError
from shopstill.serve.forms import Product

_LINES, _STARTS, _KEYS, _ROWS = "products.jsonl", "starts.npy", "keys.npy", "rows.npy"

form = TypeAdapter(Product)
"""Products to JSON and back."""


class Documents:
    """Products in rows; rows are never reused.

    Args:
        folder: where ``write`` put them.
    """

    def __init__(self, folder: Path) -> None:
        # As plain arrays: numpy's own class for mapped ones costs more at each look than the look itself.
        self._start_N, self._key_N, self._row_N = (
            np.asarray(np.load(folder / name, mmap_mode="r")) for name in (_STARTS, _KEYS, _ROWS)
        )
        path = folder / _LINES
        self._lines = np.asarray(np.memmap(path, np.uint8, "r")) if path.stat().st_size else np.zeros(0, np.uint8)

    def __len__(self) -> int:
        return len(self._row_N)

    def product(self, row: int) -> Product:
        """The product in a row."""
        return form.validate_json(self._lines[self._start_N[row] : self._start_N[row + 1]].tobytes())

    def row(self, product_id: str) -> int | None:
        """The row of a product; None where there is none of this id."""
        key = _key(product_id)
        at = int(np.searchsorted(self._key_N, key))
        while at < len(self) and self._key_N[at] == key:
            if self.product(row := int(self._row_N[at])).id == product_id:
                return row
            at += 1
        return None

    def __iter__(self) -> Iterator[Product]:
        return (self.product(row) for row in range(len(self)))


def write(folder: Path, products: Iterable[Product]) -> int:
    """Write products, in order; how many there were.

    Raises:
        DataError: two have the same id.
    """
    starts, keys = array("q", [0]), array("Q")
    with open(folder / _LINES, "wb") as handle:
        for product in products:
            starts.append(starts[-1] + handle.write(form.dump_json(product, exclude_defaults=True) + b"\n"))
            keys.append(_key(product.id))
    key_N = np.frombuffer(keys, np.uint64) if keys else np.zeros(0, np.uint64)
    order = np.argsort(key_N, kind="stable")
    for name, values in ((_STARTS, np.frombuffer(starts, np.int64)), (_KEYS, key_N[order]), (_ROWS, order)):
        np.save(folder / name, values)
    _distinct(folder, key_N[order])
    return len(key_N)


def _distinct(folder: Path, sorted_N: np.ndarray) -> None:
    written = Documents(folder)
    for at in np.flatnonzero(sorted_N[1:] == sorted_N[:-1]):
        one, other = (written.product(int(written._row_N[at + side])).id for side in (0, 1))
        if one == other:
            raise DataError(f"products: the id {one!r} is there twice; every product needs an id of its own")


def _key(product_id: str) -> int:
    return int.from_bytes(blake2b(product_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
