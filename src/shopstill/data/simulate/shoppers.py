"""Shoppers and their tastes."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from shopstill.data.simulate.catalogue import Truth, tier
from shopstill.data.simulate.draws import Ints
from shopstill.data.simulate.world import BRANDS_PER_DEPARTMENT, TIERS

_ACTIVITY = 8


@dataclass(frozen=True, kw_only=True)
class Shoppers:
    """The tastes of n shoppers.

    Attributes:
        index: [n] their numbers.
        language: [n] the language they shop in.
        departments: [n, 2] where they mostly shop.
        tier: [n] the price tier they like.
        brand: [n] place of their favourite brand among the brands of each department.
        colour: [n] their favourite family of colours, as a concept of the first attribute.
        sessions: [n] how often they visit.
    """

    index: Ints
    language: Ints
    departments: Ints
    tier: Ints
    brand: Ints
    colour: Ints
    sessions: Ints

    def take(self, rows: Ints) -> Shoppers:
        """Some of the shoppers."""
        return Shoppers(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def draw_shoppers(truth: Truth, shoppers: int, sessions: int) -> Shoppers:
    """Draw all shoppers; ``sessions`` visits are shared out, one at least to each, most to a few."""
    catalogue, draws, index = truth.catalogue, truth.draws, np.arange(shoppers)
    likes = draws.below("shopper/likes", index[:, None] * 2 + np.arange(2), len(catalogue))
    colour = truth.world.attributes[0]
    families = len(colour.members) - len(colour.values)
    activity = np.cumsum(draws.heavy("shopper/activity", index, _ACTIVITY))
    more = (sessions - shoppers) * activity // activity[-1:]
    return Shoppers(
        index=index,
        language=catalogue.language[likes[:, 0]].astype(np.int64),
        departments=truth.world.department[catalogue.type[likes]],
        tier=draws.below("shopper/tier", index, TIERS),
        brand=draws.below("shopper/brand", index, BRANDS_PER_DEPARTMENT),
        colour=len(colour.values) + draws.below("shopper/colour", index, families),
        sessions=1 + np.diff(more, prepend=0),
    )


def taste(truth: Truth, shoppers: Shoppers, products: Ints) -> Ints:
    """Points that a shopper's taste gives products, from -4 to 12: [n, s] for products [n, s]."""
    brand = truth.catalogue.brand[products].astype(np.int64)
    value = truth.catalogue.values[products, 0].astype(np.int64)
    points: Ints = 4 - 2 * np.abs(tier(brand) - shoppers.tier[:, None])
    points += 5 * (brand % BRANDS_PER_DEPARTMENT == shoppers.brand[:, None])
    points += 3 * truth.world.fits[0, shoppers.colour[:, None], value]
    return points
