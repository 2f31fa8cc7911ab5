"""The catalogue at one moment: a generation, and what was changed since. None is ever changed: a change makes one.

Shapes: ``P`` rows of all products, those that are gone included; ``M`` some of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shopstill.serve.forms import Product
from shopstill.serve.index.facets import Columns, Values, Wanted
from shopstill.serve.index.generation import Generation
from shopstill.serve.index.words import Words


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Products by row: first the generation's, then those that were put since.

    Attributes:
        generation: where most of it lies.
        words: the lexical index, with every change.
        alive_P: whether a row's product is still there.
        later: products that were put since; the list may grow for a later catalogue.
        later_columns: what these are filtered by.
        later_places: where these are listed.
        latest: row of every product that was put or deleted since; None where it is gone.
        number: of the last change.
    """

    generation: Generation
    words: Words
    alive_P: np.ndarray
    later: Sequence[Product]
    later_columns: Columns
    later_places: Sequence[int]
    latest: Mapping[str, int | None]
    number: int

    def __len__(self) -> int:
        return int(np.count_nonzero(self.alive_P))

    @property
    def values(self) -> Values:
        """Every value of every field."""
        return self.generation.values

    @property
    def pending(self) -> int:
        """Products that were put or deleted since the generation was built."""
        return len(self.latest)

    def product(self, row: int) -> Product:
        """The product in a row."""
        base = len(self.generation)
        return self.generation.documents.product(row) if row < base else self.later[row - base]

    def row(self, product_id: str) -> int | None:
        """The row of a product; None where there is none of this id."""
        if product_id in self.latest:
            return self.latest[product_id]
        return self.generation.documents.row(product_id)

    def place(self, row: int) -> int:
        """Where the product in a row is listed."""
        base = len(self.generation)
        return int(self.generation.place_N[row]) if row < base else self.later_places[row - base]

    def rows(self) -> np.ndarray:
        """The rows of all products that are there."""
        return np.flatnonzero(self.alive_P)

    def products(self) -> Iterator[Product]:
        """All products that are there."""
        return (self.product(int(row)) for row in self.rows())

    def fit(self, rows_M: np.ndarray, wanted: Wanted) -> np.ndarray:
        """Which of some rows are there and as wanted, bool [M]."""
        fits: np.ndarray = self.alive_P[rows_M]
        if not wanted:
            return fits
        base = len(self.generation)
        for chosen, columns, start in (
            (rows_M < base, self.generation.columns, 0),
            (rows_M >= base, self.later_columns, base),
        ):
            if chosen.any():
                fits[chosen] &= columns.fit(rows_M[chosen] - start, wanted)
        return fits

    def codes(self, rows_M: np.ndarray) -> np.ndarray:
        """The codes of some rows, one after the other."""
        base = len(self.generation)
        early = self.generation.columns.taken(rows_M[rows_M < base])[0]
        late = self.later_columns.taken(rows_M[rows_M >= base] - base)[0]
        return np.concatenate([early, late])

    def prices(self, rows_M: np.ndarray) -> np.ndarray:
        """The prices of some rows, in any order; NaN where there is none."""
        base = len(self.generation)
        early = self.generation.columns.price_N[rows_M[rows_M < base]]
        return np.concatenate([early, self.later_columns.price_N[rows_M[rows_M >= base] - base]])
