"""Graded judgments that follow from the hidden truth, on a mix of candidates as shops show them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shopstill.data.simulate.catalogue import Truth
from shopstill.data.simulate.draws import Ints, choose
from shopstill.data.simulate.products import product_ids
from shopstill.data.simulate.queries import Intents, query_ids

LABELS = ("Irrelevant", "Related", "Partial", "Exact")
_MIX = (
    "best",
    "lookalike",
    "same",
    "related",
    "similar",
    "lookalike",
    "best",
    "random",
    "related",
    "lookalike",
    "same",
)
"""Where candidates come from, in turn, after the product that the query was made from."""
_CHOICE = 8
"""How many products the candidates "best", "lookalike" and "similar" are the best match of."""


def grades(truth: Truth, intents: Intents, products: Ints) -> NDArray[np.int8]:
    """True grades of candidates.

    3: right type and everything that is wanted; 2: right type, something missing; 1: an accessory, substitute or
    neighbour of the type; 0: anything else.

    Args:
        truth: what is hidden.
        intents: Q wishes.
        products: [Q, ...] candidates of each.

    Returns:
        [Q, ...] grades from 0 to 3.
    """
    shape = (-1,) + (1,) * (products.ndim - 1)
    concept = intents.concept.astype(np.int64).reshape(shape)
    kind = truth.catalogue.type[products]
    met = matches(truth, intents, products)
    asked = ((intents.wanted >= 0).sum(1) + (intents.brand >= 0)).reshape(shape)
    right = truth.world.exact[concept, kind]
    near = truth.world.related[concept, kind]
    return np.where(right, 2 + (met == asked), near).astype(np.int8)


def matches(truth: Truth, intents: Intents, products: Ints) -> Ints:
    """How many of the wanted attributes (the brand is one) each candidate has: [Q, ...] for products [Q, ...]."""
    catalogue = truth.catalogue
    shape = (-1,) + (1,) * (products.ndim - 1)
    brand = intents.brand.reshape(shape)
    met: Ints = ((brand >= 0) & (catalogue.brand[products] == brand)).astype(np.int64)
    for column in np.flatnonzero((intents.wanted >= 0).any(0)):
        rows = np.flatnonzero(intents.wanted[:, column] >= 0)
        wanted = intents.wanted[rows, column].astype(np.int64).reshape(shape)
        met[rows] += truth.world.fits[column, wanted, catalogue.values[products[rows], column]]
    return met


def judgment_rows(truth: Truth, intents: Intents, index: Ints, judged: int, noise: float) -> pa.Table:
    """Rows of the judgments table.

    Args:
        truth: what is hidden.
        intents: Q wishes.
        index: [Q] numbers of their queries.
        judged: candidates of a query, at most.
        noise: share of judgments that are off by one grade.
    """
    products, kept = candidates(truth, intents, index, judged)
    queries = np.broadcast_to(index[:, None], products.shape)
    grade = grades(truth, intents, products)[kept].astype(np.int64)
    pair = queries[kept] * len(truth.catalogue) + products[kept]
    off = truth.draws.chance("judge/off", pair, round(noise * 1000))
    step = 2 * truth.draws.below("judge/step", pair, 2) - 1
    step = np.where((grade + step < 0) | (grade + step >= len(LABELS)), -step, step)
    seen = pa.array(grade + off * step)
    return pa.table(
        {
            "query_id": query_ids(queries[kept]),
            "product_id": product_ids(products[kept]),
            "grade": seen.cast(pa.float32()),
            "gain": seen.cast(pa.float32()),
            "label": pa.array(LABELS).take(seen),
        }
    )


def candidates(truth: Truth, intents: Intents, index: Ints, judged: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Products to judge: [Q, M] in the order of their numbers, and which of them to keep, each once a query."""
    spare = judged + judged // 2 + 4
    products = np.empty((len(intents), spare), np.int64)
    products[:, 0] = intents.seed
    sources = np.array([_MIX[slot % len(_MIX)] for slot in range(1, spare)])
    for source in sorted(set(_MIX)):
        slots = 1 + np.flatnonzero(sources == source)
        if slots.size:
            products[:, slots] = _draw(truth, intents, index[:, None] * spare + slots, source)
    first = np.argsort(products, axis=1, kind="stable")
    products = np.take_along_axis(products, first, 1)
    fresh = np.ones(products.shape, bool)
    fresh[:, 1:] = products[:, 1:] != products[:, :-1]
    # Of the distinct candidates, the earliest drawn are kept, so that the mix of sources stays.
    turn = np.where(fresh, first, spare)
    limit = np.sort(turn, axis=1)[:, judged - 1]
    return products, fresh & (turn <= limit[:, None])


def _draw(truth: Truth, intents: Intents, place: Ints, source: str) -> Ints:
    """[Q, s] products from a source; ``place`` [Q, s] numbers the draws."""
    if source in ("random", "same", "related"):
        kind = _kinds(truth, intents, place, source)
        return truth.catalogue.sample(
            _language(truth, intents, place), kind, truth.draws.bits(f"judge/{source}", place)
        )
    several = place[..., None] * _CHOICE + np.arange(_CHOICE)
    kind = _kinds(truth, intents, place, source)[..., None]
    bits = truth.draws.bits(f"judge/{source}", several)
    drawn = truth.catalogue.sample(_language(truth, intents, several), kind, bits)
    return _best(truth, intents, drawn)


def _best(truth: Truth, intents: Intents, drawn: Ints) -> Ints:
    """Of the last axis, the product that has most of what is wanted."""
    most = matches(truth, intents, drawn).argmax(-1)
    return np.take_along_axis(drawn, most[..., None], -1)[..., 0]


def _kinds(truth: Truth, intents: Intents, place: Ints, source: str) -> Ints:
    """The type to draw from: [Q, s]; -1 for any."""
    bits = truth.draws.bits(f"judge/{source}/kind", place)
    if source in ("random", "similar"):
        return np.full(place.shape, -1)
    if source in ("best", "same"):
        return choose(truth.world.exact, intents.concept.astype(np.int64)[:, None], bits)
    if source == "related":
        return choose(truth.world.related, intents.concept.astype(np.int64)[:, None], bits)
    kind = truth.catalogue.type[intents.seed].astype(np.int64)
    spoken = truth.catalogue.language[intents.seed].astype(np.int64)
    return choose(np.concatenate(truth.world.lookalikes), (spoken * len(truth.world.types) + kind)[:, None], bits)


def _language(truth: Truth, intents: Intents, place: Ints) -> Ints:
    spoken = truth.catalogue.language[intents.seed].astype(np.int64)
    return np.broadcast_to(spoken.reshape((-1,) + (1,) * (place.ndim - 1)), place.shape)
