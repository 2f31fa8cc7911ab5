"""What shoppers want, and the words they type for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shopstill.data.simulate.catalogue import Truth
from shopstill.data.simulate.draws import Ints
from shopstill.data.simulate.forms import render
from shopstill.data.simulate.products import attribute_slots, numbered
from shopstill.data.simulate.words import misspell
from shopstill.data.simulate.world import LANGUAGES

MOST_WANTED = 3
_HEAD = 16
_PIECE = 8_192
_ROUNDS = 30
_CATEGORY, _FAMILY, _BRAND, _TYPO = 60, 450, 80, 100
"""Of thousand queries, how many ask for a whole category, a family of values, a brand; how many hold a slip."""


@dataclass(frozen=True, kw_only=True)
class Intents:
    """What each of Q queries asks for.

    Attributes:
        seed: [Q] the product from which the wish was made, so that something meets it.
        concept: [Q] number in ``World.asks``: a type or a category.
        wanted: [Q, A] wanted concept of each attribute, -1 where any will do.
        brand: [Q] wanted brand, -1 for any.
        frequency: [Q] how often it was typed.
    """

    seed: Ints
    concept: NDArray[np.int16]
    wanted: NDArray[np.int8]
    brand: NDArray[np.int16]
    frequency: Ints

    def __len__(self) -> int:
        return len(self.seed)

    def take(self, rows: Ints | slice) -> Intents:
        """The intents of some queries."""
        return Intents(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def stack(parts: list[Intents]) -> Intents:
    """Several intents as one."""
    return Intents(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Intents)})


def query_ids(index: Ints) -> pa.Array:
    """Ids of queries.

    >>> query_ids(np.array([7])).to_pylist()
    ['q0000007']
    """
    return numbered("q", index, 7)


def query_pieces(truth: Truth, queries: int) -> Iterator[tuple[Intents, pa.Table]]:
    """Intents and rows of the queries table, piece by piece; every text is there once.

    Ends early when the shop has no more different things to ask for.
    """
    seen: set[str] = set()
    for piece in range(_ROUNDS * (queries // _PIECE + 1)):
        index = np.arange(piece * _PIECE, (piece + 1) * _PIECE)
        intents = draw_intents(truth, index)
        texts = query_texts(truth, intents, index)
        fresh = [row for row, text in enumerate(texts) if not (text in seen or seen.add(text))]  # type: ignore[func-returns-value]
        rows = np.array(fresh[: max(queries - len(seen) + len(fresh), 0)], dtype=np.int64)
        number = len(seen) - len(fresh) + np.arange(len(rows))
        kept = intents.take(rows)
        yield (
            kept,
            pa.table(
                {
                    "query_id": query_ids(number),
                    "text": pa.array([texts[row] for row in rows], pa.string()),
                    "language": pa.array(LANGUAGES).take(pa.array(truth.catalogue.language[kept.seed])),
                    "frequency": pa.array(kept.frequency),
                }
            ),
        )
        if len(seen) >= queries:
            return


def draw_intents(truth: Truth, index: Ints) -> Intents:
    """The wishes behind queries: head queries ask for little, tail queries for up to three attributes."""
    catalogue, draws = truth.catalogue, truth.draws
    seed = draws.weighted("query/seed", index, np.cumsum(catalogue.popularity, dtype=np.int64))
    frequency = draws.heavy("query/frequency", index, 100_000)
    head = frequency >= _HEAD
    number = np.where(head, draws.below("query/few", index, 2), 1 + draws.below("query/many", index, MOST_WANTED))
    brand = np.where(draws.chance("query/brand", index, _BRAND), catalogue.brand[seed], -1)
    return Intents(
        seed=seed,
        concept=_concepts(truth, index, seed),
        wanted=_wanted(truth, index, seed, number),
        brand=brand.astype(np.int16),
        frequency=frequency,
    )


def query_texts(truth: Truth, intents: Intents, index: Ints) -> list[str]:
    """What shoppers typed for their wishes."""
    spoken = truth.catalogue.language[intents.seed]
    texts = [""] * len(intents)
    for number, language in enumerate(LANGUAGES):
        rows = np.flatnonzero(spoken == number)
        if rows.size:
            for row, text in zip(rows, _texts(truth, intents.take(rows), index[rows], language), strict=True):
                texts[row] = text
    return texts


def _concepts(truth: Truth, index: Ints, seed: Ints) -> NDArray[np.int16]:
    world, catalogue = truth.world, truth.catalogue
    kind = catalogue.type[seed].astype(np.int64)
    category = len(world.types) + world.category[kind]
    known = np.array([world.asks[language].counts for language in LANGUAGES])[catalogue.language[seed], category] > 0
    broad = known & truth.draws.chance("query/category", index, _CATEGORY)
    return np.where(broad, category, kind).astype(np.int16)


def _wanted(truth: Truth, index: Ints, seed: Ints, number: Ints) -> NDArray[np.int8]:
    """[n, A]: ``number`` of the seed product's attributes, each as its value or as the value's family."""
    world, draws = truth.world, truth.draws
    values = truth.catalogue.values[seed].astype(np.int64)
    wanted = np.full(values.shape, -1, np.int64)
    for column, attribute in enumerate(world.attributes):
        value = values[:, column]
        family = draws.chance(f"query/family/{attribute.name}", index, _FAMILY) & (attribute.family[value] >= 0)
        askable = (value >= 0) & (attribute.titles["en"].counts[value] > 0)
        wanted[:, column] = np.where(askable, np.where(family, attribute.family[value], value), -1)
    grid = index[:, None] * len(world.attributes) + np.arange(len(world.attributes))
    priority = (draws.bits("query/wanted", grid) >> np.uint64(2)).astype(np.int64)
    priority[wanted < 0] = -1
    place = np.argsort(np.argsort(-priority, axis=1, kind="stable"), axis=1, kind="stable")
    return np.where(place < number[:, None], wanted, -1).astype(np.int8)


def _texts(truth: Truth, intents: Intents, index: Ints, language: str) -> list[str]:
    world, draws = truth.world, truth.draws
    forms = {attribute.name: attribute.asks[language] for attribute in world.attributes}
    slots = attribute_slots(world, intents.wanted, forms, (draws, "query", index))
    slots["type"] = world.asks[language].pick(intents.concept.astype(np.int64), draws.bits("query/type", index))
    slots["brand"] = world.brands[language].first(intents.brand.astype(np.int64))
    templates = world.wording[language]["queries"]
    texts: list[str] = pc.utf8_lower(
        render(templates, draws.below("query/template", index, len(templates)), slots)
    ).to_pylist()
    bits = draws.bits("query/slip", index)
    for row in np.flatnonzero(draws.chance("query/typo", index, _TYPO) & (intents.frequency < _HEAD)):
        texts[row] = misspell(texts[row], int(bits[row]), world.wording[language].get("typos"))
    return texts
