"""Values to filter by and to count, as numbers: ``brand = Acme`` is a code, and a product is a handful of codes.

Shapes: ``N`` products, ``C`` codes of several products end to end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shopstill.serve.forms import Filters, Product

BRAND, CATEGORY, PRICE, ATTRIBUTE = "brand", "category", "price", "attribute:"
BETWEEN = " > "

_VALUES, _CODES, _STARTS, _PRICES = "values.json", "codes.npy", "starts-codes.npy", "prices.npy"


class Values:
    """Every value of every field, numbered in the order in which it was first seen.

    >>> values = Values()
    >>> values.codes(Product(id="1", title="Mug", brand="Acme", category=("Home", "Mugs")))
    [0, 1, 2]
    >>> values.names[2]
    ('category', 'Home > Mugs')
    """

    def __init__(self, names: Iterable[tuple[str, str]] = ()) -> None:
        self.names: list[tuple[str, str]] = []
        self._code: dict[tuple[str, str], int] = {}
        self._of: dict[str, list[int]] = {}
        for name in names:
            self._number(name)

    def codes(self, product: Product) -> list[int]:
        """The codes of a product; values that are new are numbered now."""
        return [self._number(name) for name in self._named(product)]

    def code(self, field: str, value: str) -> int | None:
        """The code of a value, if any product ever had it."""
        return self._code.get((field, value))

    def of(self, field: str) -> Sequence[int]:
        """The codes of all values of a field."""
        return self._of.get(field, ())

    def beginning(self, field: str, typed: str) -> list[int]:
        """The codes of a field's values of which a word begins so."""
        pattern = re.compile(rf"(?:^|[\s/&-]){re.escape(typed)}", re.IGNORECASE)
        return [code for code in self._of.get(field, ()) if pattern.search(self.names[code][1])]

    def _named(self, product: Product) -> list[tuple[str, str]]:
        found = [(BRAND, product.brand)] if product.brand else []
        found += [(CATEGORY, BETWEEN.join(product.category[:depth])) for depth in range(1, len(product.category) + 1)]
        found += [(ATTRIBUTE + name, value) for name, value in product.attributes.items() if value]
        return found

    def _number(self, name: tuple[str, str]) -> int:
        if name not in self._code:
            self.names.append(name)
            self._code[name] = len(self.names) - 1
            self._of.setdefault(name[0], []).append(self._code[name])
        return self._code[name]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Filters in codes: one of each group, and a price between two bounds."""

    groups: tuple[tuple[int, ...], ...] = ()
    low: float | None = None
    high: float | None = None

    @staticmethod
    def of(filters: Filters, values: Values) -> Wanted:
        """Filters as codes; a value that no product has matches nothing."""
        fields = {BRAND: filters.brand, CATEGORY: filters.category}
        fields |= {ATTRIBUTE + name: wanted for name, wanted in filters.attributes.items()}
        groups = tuple(
            tuple(code for value in wanted if (code := values.code(field, value)) is not None)
            for field, wanted in fields.items()
            if wanted
        )
        return Wanted(groups=groups, low=filters.price_min, high=filters.price_max)

    @property
    def priced(self) -> bool:
        """Whether there is a bound."""
        return self.low is not None or self.high is not None

    def __bool__(self) -> bool:
        return bool(self.groups) or self.priced


class Columns:
    """Codes and price of every product, by row.

    Args:
        start_N: where each row's codes begin, and at the end where the last one's end: N + 1 numbers.
        code_C: codes of all rows.
        price_N: prices, NaN where there is none.
    """

    def __init__(self, start_N: np.ndarray, code_C: np.ndarray, price_N: np.ndarray) -> None:
        self._start_N, self._code_C, self.price_N = start_N, code_C, price_N

    def __len__(self) -> int:
        return len(self.price_N)

    @staticmethod
    def of(codes: Sequence[Sequence[int]], prices: Sequence[float | None]) -> Columns:
        """Columns of a few products."""
        start = np.cumsum([0, *map(len, codes)], dtype=np.int64)
        code = np.fromiter((code for row in codes for code in row), np.uint32, int(start[-1]))
        return Columns(start, code, np.array([np.nan if p is None else p for p in prices], np.float64))

    def joined(self, other: Columns) -> Columns:
        """These rows and then others."""
        start = np.concatenate([self._start_N, other._start_N[1:] + self._start_N[-1]])
        return Columns(
            start,
            np.concatenate([self._code_C, other._code_C]),
            np.concatenate([self.price_N, other.price_N]),
        )

    def taken(self, rows_M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Codes of some rows end to end, and for each code which of the rows it is of."""
        length = self._start_N[rows_M + 1] - self._start_N[rows_M]
        owner = np.repeat(np.arange(len(rows_M)), length)
        first = np.cumsum(length) - length
        return self._code_C[np.arange(len(owner)) - first[owner] + self._start_N[rows_M][owner]], owner

    def fit(self, rows_M: np.ndarray, wanted: Wanted) -> np.ndarray:
        """Which of some rows are as wanted, bool [M]."""
        fits = np.ones(len(rows_M), bool)
        if wanted.groups:
            code, owner = self.taken(rows_M)
        for group in wanted.groups:
            has = np.zeros(len(rows_M), bool)
            has[owner[np.isin(code, np.array(group, np.uint32))]] = True
            fits &= has
        if wanted.priced:
            price = self.price_N[rows_M]
            # NaN is within no bounds: who asks for a price wants one.
            fits &= (price >= (wanted.low or 0)) & (price <= (np.inf if wanted.high is None else wanted.high))
        return fits

    def save(self, folder: Path) -> None:
        """Write the columns."""
        for name, values in ((_STARTS, self._start_N), (_CODES, self._code_C), (_PRICES, self.price_N)):
            np.save(folder / name, values)

    @staticmethod
    def load(folder: Path) -> Columns:
        """Map what ``save`` wrote into memory."""
        return Columns(*(np.asarray(np.load(folder / name, mmap_mode="r")) for name in (_STARTS, _CODES, _PRICES)))


def save_values(values: Values, folder: Path) -> None:
    """Write the numbered values."""
    (folder / _VALUES).write_text(json.dumps(values.names, ensure_ascii=False) + "\n", encoding="utf-8")


def load_values(folder: Path) -> Values:
    """Read what ``save_values`` wrote."""
    return Values((field, value) for field, value in json.loads((folder / _VALUES).read_text(encoding="utf-8")))
