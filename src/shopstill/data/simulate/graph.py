"""Edges: what products are, who made them, what they have, what was bought after them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopstill.data.simulate.catalogue import Truth
from shopstill.data.simulate.draws import Ints
from shopstill.data.simulate.products import product_ids

_KNOWN = 920
"""Of thousand facts, how many the graph holds; the others are what link prediction is asked for."""


def edge_rows(source: pa.Array | list[str], relation: str, target: pa.Array | list[str]) -> pa.Table:
    """Rows of the edges table, all of one relation."""
    return pa.table({"source": source, "relation": pa.array([relation] * len(source), pa.string()), "target": target})


def taxonomy_rows(truth: Truth) -> pa.Table:
    """Types in categories, categories in departments, and types that go together."""
    world = truth.world
    kinds, categories = _names("type", world.types), _names("category", world.categories)
    department = {int(c): int(d) for c, d in zip(world.category, world.department, strict=True)}
    tops = [f"department:{world.departments[department[c]]}" for c in range(len(world.categories))]
    parts = [
        edge_rows(kinds, "is_a", _named(categories, world.category)),
        edge_rows(categories, "is_a", tops),
        *(edge_rows(kinds, "goes_with", _named(kinds, column)) for column in world.next.T),
    ]
    return pa.concat_tables([part.cast(parts[0].schema) for part in parts])


def product_edges(truth: Truth, index: Ints) -> Iterator[pa.Table]:
    """Types, brands and attributes of some products, without some that nobody entered."""
    world, catalogue, draws = truth.world, truth.catalogue, truth.draws
    ids = product_ids(index)
    facts = [
        ("is_a", _names("type", world.types), catalogue.type[index]),
        ("made_by", _names("brand", [s[0] for s in world.brands["en"].spellings]), catalogue.brand[index]),
    ]
    for number, attribute in enumerate(world.attributes):
        names = _names(attribute.name, attribute.values)
        facts.append((f"has_{attribute.name}", names, catalogue.values[index, number]))
    for relation, names, value in facts:
        rows = np.flatnonzero((value >= 0) & draws.chance(f"edge/{relation}", index, _KNOWN))
        if rows.size:
            yield edge_rows(ids.take(pa.array(rows)), relation, _named(names, value[rows]))


def also_bought_rows(pairs: Ints) -> pa.Table:
    """Edges between products that shoppers bought one after the other; each pair once.

    Args:
        pairs: [n, 2] numbers of products.
    """
    return edge_rows(product_ids(pairs[:, 0]), "also_bought", product_ids(pairs[:, 1]))


def _named(names: pa.Array, numbers: np.ndarray) -> pa.Array:
    """Names by their numbers."""
    return names.take(pa.array(numbers.astype(np.int64)))


def _names(kind: str, names: tuple[str, ...] | list[str]) -> pa.Array:
    return pc.binary_join_element_wise(kind, pa.array(names, pa.string()), ":")
