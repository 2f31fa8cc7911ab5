"""Products as a shop shows them: titles, descriptions, incomplete attributes, prices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shopstill.data.simulate.catalogue import Truth, tier
from shopstill.data.simulate.draws import Draws, Ints
from shopstill.data.simulate.forms import Forms, drop, join, render
from shopstill.data.simulate.world import LANGUAGES, World

_TIER_PERCENT = np.array([60, 80, 100, 140, 220])
_IN_TITLE, _IN_TEXT, _IN_MAP = 900, 850, 750
"""Of thousand attributes, how many are named in the title, in the description, in the attribute map."""


def product_ids(index: Ints) -> pa.Array:
    """Ids of products.

    >>> product_ids(np.array([7])).to_pylist()
    ['p0000007']
    """
    return numbered("p", index, 7)


def numbered(prefix: str, index: Ints, width: int) -> pa.Array:
    """Ids from numbers, filled up with zeros."""
    digits = pc.utf8_lpad(pc.cast(pa.array(index, pa.int64()), pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


def product_rows(truth: Truth, index: Ints) -> pa.Table:
    """Rows of the products table, without images.

    Args:
        truth: what is hidden.
        index: [n] numbers of products, ascending.
    """
    catalogue = truth.catalogue
    spoken = catalogue.language[index]
    rows = [np.flatnonzero(spoken == number) for number in range(len(LANGUAGES))]
    parts = [_rows(truth, index[r], language) for r, language in zip(rows, LANGUAGES, strict=True) if r.size]
    return pa.concat_tables(parts).take(pa.array(np.argsort(np.concatenate(rows), kind="stable")))


def attribute_slots(
    world: World, values: NDArray[np.int8], which: Mapping[str, Forms], draw: tuple[Draws, str, Ints]
) -> dict[str, pa.Array]:
    """Words of attributes by their slot in templates.

    Args:
        world: the attributes.
        values: [n, A] numbers of values or concepts; negative for none.
        which: attribute name → its spellings.
        draw: the random numbers, a name for them, and [n] the index of each row.
    """
    draws, name, index = draw
    slots: dict[str, list[pa.Array]] = {}
    for number, attribute in enumerate(world.attributes):
        ids = values[:, number].astype(np.int64)
        words = which[attribute.name].pick(ids, draws.bits(f"{name}/{attribute.name}", index))
        slots.setdefault(attribute.slot, []).append(words)
    return {slot: words[0] if len(words) == 1 else join(words) for slot, words in slots.items()}


def _rows(truth: Truth, index: Ints, language: str) -> pa.Table:
    world, catalogue, draws = truth.world, truth.catalogue, truth.draws
    kind, brand = catalogue.type[index].astype(np.int64), catalogue.brand[index].astype(np.int64)
    department, category, leaf = world.places[language]
    path = [department.first(world.department[kind]), category.first(world.category[kind]), leaf.first(kind)]
    names = world.brands[language].first(brand)
    return pa.table(
        {
            "product_id": product_ids(index),
            "title": _titles(truth, index, language),
            "description": _descriptions(truth, index, language),
            "brand": drop(names, draws.chance("brand/gone", index, 50)),
            "category": _lists(path),
            "price": pa.array(_cents(truth, index) / 100),
            "attributes": _map(truth, index, language),
            "language": pa.array([language] * len(index), pa.string()),
        }
    )


def _titles(truth: Truth, index: Ints, language: str) -> pa.Array:
    world, draws = truth.world, truth.draws
    slots = _slots(truth, index, language, "title", _IN_TITLE)
    templates = world.wording[language]["titles"]
    titles = render(templates, draws.below("title", index, len(templates)), slots)
    if language != "en":
        return titles
    shout, whisper = draws.chance("title/upper", index, 40), draws.chance("title/lower", index, 80)
    titles = pc.if_else(pa.array(shout), pc.utf8_upper(titles), titles)
    return pc.if_else(pa.array(whisper & ~shout), pc.utf8_lower(titles), titles)


def _descriptions(truth: Truth, index: Ints, language: str) -> pa.Array:
    world, catalogue, draws = truth.world, truth.catalogue, truth.draws
    slots = _slots(truth, index, language, "text", _IN_TEXT)
    uses = world.asks[language].pick(catalogue.type[index].astype(np.int64), draws.bits("text/use", index))
    slots["use"] = drop(uses, draws.chance("text/use/gone", index, 600) | truth.unsaid(index))
    templates = world.wording[language]["descriptions"]
    texts = render(templates, draws.below("text", index, len(templates)), slots)
    empty = np.asarray(pc.equal(texts, "").to_numpy(zero_copy_only=False))
    return drop(texts, draws.chance("text/gone", index, 150) | empty)


def _slots(truth: Truth, index: Ints, language: str, name: str, kept: int) -> dict[str, pa.Array]:
    """Words of every slot; each attribute is named with a chance of ``kept`` in a thousand."""
    world, catalogue, draws = truth.world, truth.catalogue, truth.draws
    grid = index[:, None] * len(world.attributes) + np.arange(len(world.attributes))
    values = np.where(draws.chance(f"{name}/kept", grid, kept), catalogue.values[index], -1)
    forms = {attribute.name: attribute.titles[language] for attribute in world.attributes}
    slots = attribute_slots(world, values, forms, (draws, name, index))
    wording = world.wording[language]
    unsaid = truth.unsaid(index)
    kinds = world.titles[language].pick(catalogue.type[index].astype(np.int64), draws.bits(f"{name}/type", index))
    slots["type"] = drop(kinds, unsaid)
    brands = world.brands[language].first(catalogue.brand[index].astype(np.int64))
    # What has no name has a brand at least: no title is empty.
    slots["brand"] = drop(brands, draws.chance(f"{name}/brand", index, 50) & ~unsaid)
    for slot, gone in (("series", 400), ("marketing", 400)):
        words = Forms([wording[slot]]).pick(np.zeros(len(index), np.int64), draws.bits(slot, index))
        slots[slot] = drop(words, draws.chance(f"{name}/{slot}/gone", index, gone))
    slots["model"] = drop(_models(draws, index), draws.chance(f"{name}/model/gone", index, 500))
    return slots


def _models(draws: Draws, index: Ints) -> pa.Array:
    """Model numbers such as KX240."""
    letters = Forms([[a + b for a in "BDFHKMRTVX" for b in "ACEGLSUXZ"]])
    pairs = letters.pick(np.zeros(len(index), np.int64), draws.bits("model/letters", index))
    digits = pc.cast(pa.array(100 + 10 * draws.below("model/digits", index, 90)), pa.string())
    return pc.binary_join_element_wise(pairs, digits, "")


def _cents(truth: Truth, index: Ints) -> Ints:
    """Prices: base of the type by tier of the brand by attributes by some jitter, ending in 99."""
    world, catalogue, draws = truth.world, truth.catalogue, truth.draws
    kind, values = catalogue.type[index].astype(np.int64), catalogue.values[index].astype(np.int64)
    cents = world.price[kind] * _TIER_PERCENT[tier(catalogue.brand[index])] // 100
    for number, attribute in enumerate(world.attributes):
        percent = attribute.price
        if attribute.scales:
            lowest = np.array([min(allowed[number], default=0) for allowed in world.allowed])
            percent = 80 + 25 * (values[:, number] - lowest[kind])
            cents = np.where(values[:, number] < 0, cents, cents * np.clip(percent, 80, 300) // 100)
        else:
            cents = np.where(values[:, number] < 0, cents, cents * percent[values[:, number]] // 100)
    whole: Ints = cents * (85 + draws.below("price", index, 31)) // 10_000
    return np.maximum(whole, 1) * 100 - 1


def _lists(columns: list[pa.Array]) -> pa.ListArray:
    """Columns of words as one column of lists."""
    rows, width = len(columns[0]), len(columns)
    across = pa.array(np.arange(rows * width).reshape(width, rows).T.ravel())
    return pa.ListArray.from_arrays(
        pa.array(np.arange(rows + 1, dtype=np.int32) * width), pa.concat_arrays(columns).take(across)
    )


def _map(truth: Truth, index: Ints, language: str) -> pa.MapArray:
    world, catalogue, draws = truth.world, truth.catalogue, truth.draws
    values = catalogue.values[index].astype(np.int64)
    grid = index[:, None] * len(world.attributes) + np.arange(len(world.attributes))
    rows, columns = np.nonzero((values >= 0) & draws.chance("map", grid, _IN_MAP))
    counts = [0, *(len(a.values) for a in world.attributes)]
    labels = pa.array([s[0] for a in world.attributes for s in a.labels[language].spellings])
    names = pa.array([a.label[language] for a in world.attributes])
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(index)))]).astype(np.int32)
    items = labels.take(pa.array(np.cumsum(counts)[columns] + values[rows, columns]))
    return pa.MapArray.from_arrays(pa.array(offsets), names.take(pa.array(columns)), items)
