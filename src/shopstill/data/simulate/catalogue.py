"""The hidden truth about every product, in some fifty bytes each, from which all tables follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shopstill.data.simulate.draws import Bits, Draws, Ints, scale
from shopstill.data.simulate.world import BRANDS_PER_DEPARTMENT, LANGUAGES, TIERS, World

_PIECE = 65_536
_PRODUCTS_PER_TYPE = 12
_FEWEST_TYPES = 8


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The hidden columns of N products.

    Attributes:
        language: [N] numbers in ``LANGUAGES``.
        type: [N] numbers in ``World.types``.
        values: [N, A] value of each attribute, -1 where it has none.
        brand: [N] numbers in ``World.brands``.
        popularity: [N] whole weights with a heavy tail.
        order: [N] products sorted by group; a group is a language and a type.
        start, count: [2 * T] where a group lies in ``order``.
    """

    language: NDArray[np.int8]
    type: NDArray[np.int16]
    values: NDArray[np.int8]
    brand: NDArray[np.int16]
    popularity: NDArray[np.int32]
    order: NDArray[np.int32]
    start: Ints
    count: Ints

    def __len__(self) -> int:
        return len(self.type)

    def sample(self, language: Ints, kind: Ints, bits: Bits) -> Ints:
        """A product of a language and a type for each draw; of any type where there is none of that type.

        Args:
            language: numbers in ``LANGUAGES``, of a shape that broadcasts.
            kind: numbers of types; -1 for any.
            bits: 64 random bits a draw.
        """
        types = len(self.start) // len(LANGUAGES)
        group = language.astype(np.int64) * types + np.maximum(kind, 0)
        whole = np.add.reduceat(self.count, np.arange(len(LANGUAGES)) * types)
        anything = (kind < 0) | (self.count[group] == 0)
        start = np.where(anything, self.start[language * types], self.start[group])
        return self.order[start + scale(bits, np.where(anything, whole[language], self.count[group]))].astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """All that is hidden from shoppers and models: the words, the products, and the random numbers.

    Attributes:
        vague: of thousand products, how many do not say what they are; of thousand types, how many look like another.
        rough: whether pictures are turned, and have more noise.
    """

    world: World
    catalogue: Catalogue
    draws: Draws
    vague: int = 0
    rough: bool = False

    @cached_property
    def shape(self) -> Ints:
        """[T] the type as which each type is drawn: itself, or one of its category that looks like itself."""
        kinds = np.arange(len(self.world.types))
        borrows = self.draws.chance("vague/type", kinds, self.vague)
        shape = kinds.copy()
        for kind in np.flatnonzero(borrows).tolist():
            own = np.flatnonzero((self.world.category == self.world.category[kind]) & ~borrows)
            if len(own):
                shape[kind] = own[int(self.draws.below("vague/shape", [kind], len(own))[0])]
        return shape

    def unsaid(self, index: Ints) -> NDArray[np.bool_]:
        """Which products do not say what they are."""
        return self.draws.chance("vague", index, self.vague)


def tier(brand: NDArray[np.integer]) -> Ints:
    """Quality and price tier of brands, from 0 (cheap) to 4 (luxury)."""
    return brand.astype(np.int64) % BRANDS_PER_DEPARTMENT * TIERS // BRANDS_PER_DEPARTMENT


def make_catalogue(world: World, draws: Draws, products: int, languages: Sequence[str]) -> Catalogue:
    """Draw the hidden columns of all products.

    A small shop has fewer types, so that each has products enough to choose among.
    """
    kinds = min(max(products // (_PRODUCTS_PER_TYPE * len(languages)), _FEWEST_TYPES), len(world.types))
    rank = np.argsort(draws.bits("type/rank", np.arange(kinds)), kind="stable").argsort(kind="stable")
    weights = np.cumsum(20 + 400 // (rank + 4))
    spoken = np.array([LANGUAGES.index(language) for language in languages])
    language, kind, brand = np.empty(products, np.int8), np.empty(products, np.int16), np.empty(products, np.int16)
    popularity, values = np.empty(products, np.int32), np.empty((products, len(world.attributes)), np.int8)
    for begin in range(0, products, _PIECE):
        rows = np.arange(begin, min(begin + _PIECE, products))
        language[rows] = spoken[draws.below("language", rows, len(spoken))]
        kind[rows] = draws.weighted("type", rows, weights)
        brand[rows] = _brands(draws, rows, world.department[kind[rows]])
        popularity[rows] = draws.heavy("popularity", rows, 200)
        values[rows] = _values(world, draws, rows, kind[rows])
    group = language.astype(np.int32) * len(world.types) + kind
    count = np.bincount(group, minlength=len(LANGUAGES) * len(world.types))
    return Catalogue(
        language=language,
        type=kind,
        values=values,
        brand=brand,
        popularity=popularity,
        order=np.argsort(group, kind="stable").astype(np.int32),
        start=np.cumsum(count) - count,
        count=count,
    )


def _brands(draws: Draws, rows: Ints, department: Ints) -> Ints:
    return department * BRANDS_PER_DEPARTMENT + draws.below("brand", rows, BRANDS_PER_DEPARTMENT)


def _values(world: World, draws: Draws, rows: Ints, kind: NDArray[np.int16]) -> NDArray[np.int8]:
    """[n, A] values; the first of those that a type allows are the commoner ones."""
    values = np.full((len(rows), len(world.attributes)), -1, np.int8)
    for number, attribute in enumerate(world.attributes):
        count = np.array([len(allowed[number]) for allowed in world.allowed])
        flat = np.array([v for allowed in world.allowed for v in allowed[number]])
        has = np.flatnonzero(count[kind] > 0)
        of = kind[has]
        most = draws.below(f"{attribute.name}/most", rows[has], count[of]) + 1
        pick = draws.below(attribute.name, rows[has], most)
        values[has, number] = flat[(np.cumsum(count) - count)[of] + pick]
    return values
