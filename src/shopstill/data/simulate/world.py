"""The world of the simulated shop: types, attributes and words, as arrays to look things up in."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopstill.data.simulate.draws import Ints
from shopstill.data.simulate.forms import Forms
from shopstill.data.simulate.words import asked, headline, lookalikes, written

LANGUAGES = ("en", "zh")
BRANDS_PER_DEPARTMENT = 24
TIERS = 5


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """An attribute of products, such as colour.

    Attributes:
        name: its key in the graph.
        slot: its place in templates.
        values: the keys of its V values.
        families: the keys of its families of values.
        label: language → its name.
        labels: language → label of each value.
        titles: language → spellings of each value in titles.
        asks: language → spellings in queries of each of C concepts: the V values, then families of values.
        members: [C, V] whether a concept means a value.
        family: [V] the concept of the value's family, -1 where it has none.
        price: [V] percent that a value adds to or takes from the price.
        scales: True where a higher number costs more.
    """

    name: str
    slot: str
    values: tuple[str, ...]
    families: tuple[str, ...]
    label: Mapping[str, str]
    labels: Mapping[str, Forms]
    titles: Mapping[str, Forms]
    asks: Mapping[str, Forms]
    members: NDArray[np.bool_]
    family: Ints
    price: Ints
    scales: bool


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything that is true in every simulated shop.

    T types, S categories, A attributes, V values of the attribute with most, C concepts of the one with most.

    Attributes:
        types: [T] keys of the types, in an order in which the first few make a sensible small shop.
        department, category: [T] numbers of a type's place in ``departments`` and ``categories``.
        places: language → labels of departments, categories and types.
        titles: language → spellings of types in titles.
        asks: language → spellings in queries of T types, then S categories.
        exact: [T + S, T] whether a concept means a type.
        related: [T + S, T] whether a type is an accessory, substitute or neighbour of what a concept means.
        next: [T, 2] what is bought after a type; the likelier first.
        lookalikes: [languages, T, T] whether names of unrelated types share words.
        attributes: the A attributes.
        allowed: [T, A] tuples of value numbers.
        fits: [A, C, V + 1] whether a wanted concept is met by a value; the last column is "no value".
        wording: language → templates and words.
    """

    types: tuple[str, ...]
    departments: tuple[str, ...]
    categories: tuple[str, ...]
    department: Ints
    category: Ints
    places: Mapping[str, tuple[Forms, Forms, Forms]]
    titles: Mapping[str, Forms]
    asks: Mapping[str, Forms]
    exact: NDArray[np.bool_]
    related: NDArray[np.bool_]
    next: Ints
    lookalikes: NDArray[np.bool_]
    price: Ints
    shapes: tuple[tuple[str, ...], ...]
    attributes: tuple[Attribute, ...]
    allowed: Sequence[Sequence[tuple[int, ...]]]
    fits: NDArray[np.bool_]
    brands: Mapping[str, Forms]
    wording: Mapping[str, Mapping[str, Any]]
    colours: tuple[str, ...]


@lru_cache(maxsize=1)
def world() -> World:
    """The world, read once from the tables beside this file."""
    wording, places = _read("wording.toml"), _read("places.toml")
    facts = _in_order(_types())
    acronyms = frozenset(wording["en"]["acronyms"])
    attributes, colours = _attributes(facts, acronyms)
    departments, categories = tuple(places["departments"]), tuple(places["categories"])
    names = [fact["name"] for fact in facts]
    category = np.array([categories.index(fact["in"][1]) for fact in facts])
    exact = np.vstack([np.eye(len(names), dtype=bool), category == np.arange(len(categories))[:, None]])
    follow = np.array([[names.index(n) for n in fact["goes_with"]] for fact in facts])
    related = _related(category, follow, exact)
    return World(
        types=tuple(names),
        departments=departments,
        categories=categories,
        department=np.array([departments.index(fact["in"][0]) for fact in facts]),
        category=category,
        places={language: _places(language, places, facts) for language in LANGUAGES},
        titles={k: Forms([written(fact, k, acronyms) for fact in facts]) for k in LANGUAGES},
        asks={k: _asks(facts, places["categories"].values(), k) for k in LANGUAGES},
        exact=exact,
        related=related,
        next=follow,
        lookalikes=np.stack([lookalikes([[*f[k], *f[f"ask_{k}"]] for f in facts], related, k) for k in LANGUAGES]),
        price=np.array([fact["price"] for fact in facts]),
        shapes=tuple(tuple(fact["shape"]) for fact in facts),
        attributes=attributes,
        allowed=[[_allowed(fact, a) for a in attributes] for fact in facts],
        fits=_fits(attributes),
        brands={language: _brands(wording[language], len(departments)) for language in LANGUAGES},
        wording=wording,
        colours=colours,
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((files("shopstill.data.simulate") / "world" / name).read_text(encoding="utf-8"))


def _types() -> list[dict[str, Any]]:
    names = ("kitchen", "home", "tools", "clothing", "electronics", "outdoors", "care", "play")
    return [{"name": name, **fact} for file in names for name, fact in _read(f"types/{file}.toml").items()]


def _in_order(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One category of every department, then a second, and so on: a prefix has variety and related types."""
    categories: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for fact in facts:
        categories.setdefault(fact["in"][0], {}).setdefault(fact["in"][1], []).append(fact)
    rounds = max(len(c) for c in categories.values())
    columns = [list(c.values()) for c in categories.values()]
    return [fact for r in range(rounds) for column in columns if r < len(column) for fact in column[r]]


def _attributes(facts: list[dict[str, Any]], acronyms: frozenset[str]) -> tuple[tuple[Attribute, ...], tuple[str, ...]]:
    stated = _read("attributes.toml")
    for fact in facts:
        fact["has"] = {k: stated[k]["palettes"][v] if isinstance(v, str) else v for k, v in fact["has"].items()}
    built = []
    for name, spec in stated.items():
        numbers = sorted({v for fact in facts for v in fact["has"].get(name, [])}) if "unit" in spec else []
        built.append(_attribute(name, spec, {str(n): _number(spec, n) for n in numbers} or spec["values"], acronyms))
    return tuple(built), tuple(v["rgb"] for v in stated["colour"]["values"].values())


def _number(spec: Mapping[str, Any], n: int) -> dict[str, Any]:
    """The spellings of a quantity, in the shape of a value of words."""
    if n in spec.get("silent", ()):
        return {"en": [], "zh": []}
    form = spec["thousand"] if n >= 1000 and "thousand" in spec else spec["unit"]
    return {key: [text.format(n=n, m=f"{n / 1000:g}") for text in texts] for key, texts in form.items()}


def _attribute(name: str, spec: Mapping[str, Any], values: Mapping[str, Any], acronyms: frozenset[str]) -> Attribute:
    values = {key: {"en": [key], **value} for key, value in values.items()}
    families = spec.get("families", {})
    keys = list(values)
    members = np.vstack([np.eye(len(keys), dtype=bool), *[[k in f["of"] for k in keys] for f in families.values()]])
    belongs = members[len(keys) :]
    family = np.where(belongs.any(0), len(keys) + belongs.argmax(0), -1) if families else np.full(len(keys), -1)
    slot = spec.get("slot", "numbers" if "unit" in spec else name)
    return Attribute(
        name=name,
        slot=slot,
        values=tuple(keys),
        families=tuple(families),
        label={language: spec[language] for language in LANGUAGES},
        labels={k: Forms([v[k][:1] or [key] for key, v in values.items()]) for k in LANGUAGES},
        titles={
            k: Forms([v[k] if "unit" in spec else written(v, k, acronyms) for v in values.values()]) for k in LANGUAGES
        },
        asks={
            k: Forms([asked(v, k, plurals=False) for v in [*values.values(), *families.values()]]) for k in LANGUAGES
        },
        members=members,
        family=family,
        price=np.array([v.get("price", 100) for v in values.values()]),
        scales=spec.get("scales", False),
    )


def _allowed(fact: Mapping[str, Any], attribute: Attribute) -> tuple[int, ...]:
    return tuple(attribute.values.index(str(v)) for v in fact["has"].get(attribute.name, ()))


def _asks(facts: Iterable[Mapping[str, Any]], categories: Iterable[Mapping[str, Any]], language: str) -> Forms:
    of_types = [asked(fact, language) for fact in facts]
    return Forms([*of_types, *(asked(category, language, plurals=False) for category in categories)])


def _related(category: Ints, follow: Ints, exact: NDArray[np.bool_]) -> NDArray[np.bool_]:
    near = category[:, None] == category
    for column in follow.T:
        near[np.arange(len(category)), column] = True
    near |= near.T
    touched: NDArray[np.bool_] = exact.astype(np.int64) @ near > 0
    return touched & ~exact


def _fits(attributes: Sequence[Attribute]) -> NDArray[np.bool_]:
    concepts, values = (max(a.members.shape[axis] for a in attributes) for axis in (0, 1))
    fits = np.zeros((len(attributes), concepts, values + 1), dtype=bool)
    for number, attribute in enumerate(attributes):
        fits[number, : attribute.members.shape[0], : attribute.members.shape[1]] = attribute.members
    return fits


def _places(language: str, places: Mapping[str, Any], facts: list[dict[str, Any]]) -> tuple[Forms, Forms, Forms]:
    if language == "en":
        tops = [list(places["departments"]), list(places["categories"])]
    else:
        tops = [list(places["departments"].values()), [c["label"] for c in places["categories"].values()]]
    leaves = [headline(fact[language][0], frozenset()) for fact in facts]
    return Forms([[t] for t in tops[0]]), Forms([[t] for t in tops[1]]), Forms([[t] for t in leaves])


def _brands(words: Mapping[str, Any], departments: int) -> Forms:
    """Invented names: head and tail, each pair once."""
    heads, tails = words["brand_heads"], words["brand_tails"]
    step = 137  # coprime to the number of pairs, so that neighbours in the list do not look alike
    pairs = [
        divmod(i * step % (len(heads) * len(tails)), len(tails)) for i in range(departments * BRANDS_PER_DEPARTMENT)
    ]
    return Forms([[heads[h] + tails[t]] for h, t in pairs])
