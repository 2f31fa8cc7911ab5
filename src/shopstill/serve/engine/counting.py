"""Facets: how many of the products that match have each value of a field."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from tantivy import Query

from shopstill.serve.forms import Facet, FacetValue, Filters
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.index.facets import ATTRIBUTE, BRAND, CATEGORY, PRICE, Wanted

_CODES, VALUES, ATTRIBUTES = 20_000, 30, 4
"""Values of all fields together that are counted at once; values shown of a field, and below how many all of them are
counted one by one where they are not among those; attributes that ``*`` stands for.

A shop of a million products has less than two thousand values, and its counts take as long under either bound. Where
each of 200,000 products has a number of its own, counts take 22 ms where they took 13 under a bound of 2,000, under
which 3,000 brands alone pushed smaller fields out. tantivy breaks off at 65,000.
"""

_EDGES = [step * 10.0**power for power in range(-2, 12) for step in (1, 2, 5)]
STEPS = np.array([0.0, *(edge for low, high in pairwise(_EDGES) for edge in (low, math.sqrt(low * high))), _EDGES[-1]])
"""Prices as one would say them, 1, 2 or 5 times a power of ten; and where what is between two is as near to both."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Products counted.

    Attributes:
        filters: under which.
        codes: how many have each code, by field.
        full: the codes that were counted in full; None where all were.
        prices: how many cost from each of ``STEPS`` up to the next.
    """

    filters: Filters
    codes: Mapping[str, Mapping[int, int]]
    full: Set[int] | None
    prices: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search found, to be counted.

    Attributes:
        rows: of all products that were found under the filters chosen; None where they are too many to be listed.
        matching: what matches by its words, under some filters; None where nothing but what is listed counts.
        listed: rows of products that were found otherwise, whatever the filters.
    """

    rows: np.ndarray | None
    matching: Callable[[Wanted], Query] | None
    listed: np.ndarray


class Counting:
    """Counts for one search. A field is counted as if nothing were chosen in it, so that other choices stay in sight.

    Args:
        catalogue: the products.
        found: what is counted.
        filters: what was chosen.
    """

    def __init__(self, catalogue: Catalogue, found: Found, filters: Filters) -> None:
        self._catalogue, self._found, self._filters = catalogue, found, filters
        self._tallies: list[Tally] = []

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
        chosen, values = self._chosen(field), self._catalogue.values
        own = {code for value in chosen if (code := values.code(inner, value)) is not None}
        counts = sorted(self._complete(field, inner, own).items(), key=lambda one: (-one[1], one[0]))
        shown = [one for at, one in enumerate(counts) if one[1] and (at < VALUES or one[0] in own)]
        named = ((code, values.names[code][1], count) for code, count in shown)
        return Facet(
            field=field,
            values=[FacetValue(value=name, count=count, selected=code in own) for code, name, count in named],
        )

    def _complete(self, field: str, inner: str, chosen: Set[int]) -> Mapping[int, int]:
        """How many have each value of a field; where there were too many values to count all, some by themselves."""
        tally = self._tally(self._without(field))
        counts, every = tally.codes.get(inner, {}), self._catalogue.values.of(inner)
        if tally.full is None:
            return counts
        alone = {*chosen, *(every if len(every) <= VALUES else ())} - tally.full
        known = {code: count for code, count in counts.items() if code in tally.full}
        return known | {code: self._one(code, tally.filters) for code in alone}

    def _one(self, code: int, filters: Filters) -> int:
        """How many have a value, under some filters."""
        wanted = Wanted.of(filters, self._catalogue.values)
        wanted = replace(wanted, groups=(*wanted.groups, (code,)))
        assert self._found.matching is not None
        found = self._catalogue.words.search(self._found.matching(wanted), 1)
        return found.total + int(np.count_nonzero(self._catalogue.fit(self._found.listed, wanted)))

    def _price(self) -> Facet:
        """Ranges of about as many products each, between prices as one would say them."""
        prices = self._tally(self._without(PRICE)).prices
        upto = np.cumsum(prices)
        # Of two steps the first begins at an edge, which is near; the second ends at one.
        near = np.searchsorted(upto, np.arange(1, 5) / 5 * (upto[-1] - 1), side="right") // 2 * 2 + 1
        edges = np.unique(near) if upto[-1] else near[:0]
        counts = np.add.reduceat(prices, np.array([0, *edges])).tolist() if len(edges) else []
        bounds = pairwise([0.0, *STEPS[edges].tolist(), math.inf])
        ranges = [self._range(*bound, count) for bound, count in zip(bounds, counts, strict=False) if count]
        return Facet(field=PRICE, values=ranges)

    def _range(self, low: float, high: float, count: int) -> FacetValue:
        """Prices from one up to another, without it: filters include their bounds, so that the upper one lies below."""
        own, upto = self._filters, None if high == math.inf else math.nextafter(high, 0.0)
        chosen = (own.price_min is not None or own.price_max is not None) and (own.price_min or 0.0) == low
        return FacetValue(
            value=f"{low:g}–" if upto is None else f"{low:g}–{high:g}",
            count=count,
            selected=chosen and own.price_max == upto,
            low=low,
            high=upto,
        )

    def _commonest(self) -> list[str]:
        """The attributes that most products have."""
        counts = self._tally(self._filters).codes.items()
        total = {field: sum(codes.values()) for field, codes in counts if field.startswith(ATTRIBUTE)}
        most = sorted(total.items(), key=lambda one: (-one[1], one[0]))[:ATTRIBUTES]
        return [field.removeprefix(ATTRIBUTE) for field, _ in most]

    def _chosen(self, field: str) -> tuple[str, ...]:
        own = {BRAND: self._filters.brand, CATEGORY: self._filters.category}
        return own[field] if field in own else self._filters.attributes.get(field, ())

    def _without(self, field: str) -> Filters:
        """All filters but one field's."""
        own = self._filters
        if field == PRICE:
            return replace(own, price_min=None, price_max=None)
        if not self._chosen(field):
            return own
        if field in (BRAND, CATEGORY):
            return replace(own, brand=()) if field == BRAND else replace(own, category=())
        return replace(own, attributes={name: values for name, values in own.attributes.items() if name != field})

    def _tally(self, filters: Filters) -> Tally:
        """What is found under some filters, counted once."""
        for known in self._tallies:
            if known.filters == filters:
                return known
        self._tallies.append(self._counted(filters))
        return self._tallies[-1]

    def _counted(self, filters: Filters) -> Tally:
        nothing, matching = np.zeros(len(STEPS), np.int64), self._found.matching
        if self._found.rows is not None and filters == self._filters:
            return self._tallied(filters, {}, nothing, self._found.rows)
        wanted = Wanted.of(filters, self._catalogue.values)
        listed = self._found.listed[self._catalogue.fit(self._found.listed, wanted)]
        if matching is None:
            return self._tallied(filters, {}, nothing, listed)
        counts, prices = self._catalogue.words.counts(matching(wanted), _CODES, STEPS.tolist())
        return self._tallied(filters, counts, np.array(prices), listed)

    def _tallied(self, filters: Filters, counts: dict[int, int], prices: np.ndarray, rows: np.ndarray) -> Tally:
        """Counts, and some products more."""
        full = {*counts} if len(counts) >= _CODES else None
        price = self._catalogue.prices(rows)
        step = np.searchsorted(STEPS, price[~np.isnan(price)], side="right") - 1
        code, count = np.unique(self._catalogue.codes(rows), return_counts=True)
        for one, more in zip(code.tolist(), count.tolist(), strict=True):
            counts[one] = counts.get(one, 0) + more
        names, fields = self._catalogue.values.names, defaultdict[str, dict[int, int]](dict)
        for one, many in counts.items():
            fields[names[one][0]][one] = many
        prices = prices + np.bincount(step, minlength=len(STEPS))
        return Tally(filters=filters, codes=fields, full=full, prices=prices)
