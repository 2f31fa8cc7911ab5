"""Facets: how many of the products that match have each value of a field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from tantivy import Query

from shopstill.serve.forms import Facet, FacetValue, Filters
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.index.facets import ATTRIBUTE, BRAND, CATEGORY, PRICE, Wanted

_CODES, _VALUES, _ATTRIBUTES = 2_000, 30, 4
_STEPS = (1.0, 2.0, 5.0)

Counts = Counter[int]


class Counting:
    """Counts for one search. A field is counted as if nothing were chosen in it, so that other choices stay in sight.

    Args:
        catalogue: the products.
        matching: what matches, under some filters.
        filters: what was chosen.
        beside: rows that were found otherwise, and count too.
    """

    def __init__(
        self, catalogue: Catalogue, matching: Callable[[Wanted], Query], filters: Filters, beside: np.ndarray
    ) -> None:
        self._catalogue, self._matching, self._filters, self._beside = catalogue, matching, filters, beside
        self._all: Counts | None = None

    def facets(self, fields: Sequence[str]) -> list[Facet]:
        """The fields that are asked for, ``*`` standing for category, brand, price and the commonest attributes."""
        every = list(fields)
        if "*" in every:
            every += [CATEGORY, BRAND, PRICE, *self._filters.attributes, *self._commonest()]
        named = [field for field in dict.fromkeys(every) if field != "*"]
        found = [self._price() if field == PRICE else self._values(field) for field in named]
        return [facet for facet in found if facet.values]

    def _values(self, field: str) -> Facet:
        inner = field if field in (BRAND, CATEGORY) else ATTRIBUTE + field
        chosen = self._chosen(field)
        names = self._catalogue.values.names
        values = [
            FacetValue(value=names[code][1], count=count, selected=names[code][1] in chosen)
            for code, count in self._counts(field if chosen else None).most_common()
            if names[code][0] == inner
        ]
        shown = [value for at, value in enumerate(values) if at < _VALUES or value.selected]
        return Facet(field=field, values=shown)

    def _price(self) -> Facet:
        query = self._query(replace(self._filters, price_min=None, price_max=None))
        quintiles = [edge for edge in self._catalogue.words.prices(query)["quintiles"] if edge is not None]
        edges = sorted({_round(edge) for edge in quintiles[1:-1] if np.isfinite(edge)})
        bounds = list(zip([0.0, *edges], [*edges, 1e12], strict=True))
        counts = self._catalogue.words.prices(query, bounds)["counts"] if edges else []
        chosen = (self._filters.price_min, self._filters.price_max)
        values = [
            FacetValue(value=_range(low, high), count=count, low=low, high=None if high == 1e12 else high)
            for (low, high), count in zip(bounds, counts, strict=False)
            if count
        ]
        return Facet(
            field=PRICE, values=[replace(value, selected=chosen == (value.low, value.high)) for value in values]
        )

    def _commonest(self) -> list[str]:
        """The attributes that most products have."""
        total: Counter[str] = Counter()
        for code, count in self._counts(None).items():
            field = self._catalogue.values.names[code][0]
            if field.startswith(ATTRIBUTE):
                total[field.removeprefix(ATTRIBUTE)] += count
        return [name for name, _ in total.most_common(_ATTRIBUTES)]

    def _chosen(self, field: str) -> tuple[str, ...]:
        own = {BRAND: self._filters.brand, CATEGORY: self._filters.category}
        return own[field] if field in own else self._filters.attributes.get(field, ())

    def _counts(self, without: str | None) -> Counts:
        """Counts of all codes under all filters, or all but one field's."""
        if without is None:
            if self._all is None:
                self._all = self._counted(self._filters)
            return self._all
        if without == BRAND:
            return self._counted(replace(self._filters, brand=()))
        if without == CATEGORY:
            return self._counted(replace(self._filters, category=()))
        kept = {name: values for name, values in self._filters.attributes.items() if name != without}
        return self._counted(replace(self._filters, attributes=kept))

    def _counted(self, filters: Filters) -> Counts:
        counts: Counts = Counter(self._catalogue.words.counts(self._query(filters), _CODES))
        if len(self._beside):
            fits = self._catalogue.fit(self._beside, Wanted.of(filters, self._catalogue.values))
            counts.update(self._catalogue.codes(self._beside[fits]).tolist())
        return counts

    def _query(self, filters: Filters) -> Query:
        return self._matching(Wanted.of(filters, self._catalogue.values))


def _round(price: float) -> float:
    """A price as one would say it: 1, 2 or 5 times a power of ten.

    >>> _round(17.99), _round(389.0)
    (20.0, 500.0)
    """
    if price <= 0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(price))
    return float(min((step * power for step in (*_STEPS, 10.0)), key=lambda one: abs(np.log(one / price))))


def _range(low: float, high: float) -> str:
    return f"{low:g}–" if high == 1e12 else f"{low:g}–{high:g}"
