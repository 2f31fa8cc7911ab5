"""Forms: the spellings of things, and templates that put them together, a column at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from string import Formatter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopstill.data.simulate.draws import Bits, Ints, scale

_ENDS = " ,|-\uff0c"  # what a vanished group may leave at an end, the Chinese comma included
_GROUP = re.compile(r"\[([^\[\]]*)\]")


class Forms:
    """The spellings of each of n things.

    >>> Forms([["red"], [], ["sky", "azure"]]).pick(np.array([0, 1, -1]), np.zeros(3, np.uint64)).to_pylist()
    ['red', None, None]
    """

    def __init__(self, spellings: Iterable[Sequence[str]]) -> None:
        self.spellings = [list(s) for s in spellings]
        self.counts = np.array([len(s) for s in self.spellings], dtype=np.int64)
        self._starts = np.cumsum(self.counts) - self.counts
        self._texts = pa.array([text for s in self.spellings for text in s], pa.string())

    def pick(self, ids: Ints, bits: Bits) -> pa.Array:
        """One spelling of each thing; null where the id is negative or the thing has none."""
        none = (ids < 0) | (self.counts[ids] == 0)
        index = np.where(none, 0, self._starts[ids] + scale(bits, self.counts[ids]))
        return self._texts.take(pa.array(index, mask=none))

    def first(self, ids: Ints) -> pa.Array:
        """The first spelling of each thing: its label."""
        return self.pick(ids, np.zeros(ids.shape, np.uint64))


def render(templates: Sequence[str], choice: Ints, slots: Mapping[str, pa.Array]) -> pa.Array:
    """Texts from templates, one for each row.

    A group ``[ by {brand}]`` vanishes where one of its slots is null; text outside of groups is not allowed.

    Args:
        templates: what to choose from.
        choice: [n] the number of each row's template.
        slots: name → n words, null where absent.

    >>> render(["[{a}][, {b}]"], np.array([0, 0]), {"a": pa.array(["x", "y"]), "b": pa.array(["z", None])}).to_pylist()
    ['x, z', 'y']
    """
    parts, places = [], []
    for number, template in enumerate(templates):
        rows = np.flatnonzero(choice == number)
        if rows.size:
            groups = [_group(group, slots, pa.array(rows)) for group in _GROUP.findall(template)]
            parts.append(_skip_nulls(groups))
            places.append(rows)
    if not parts:
        return pa.array([], pa.string())
    return pc.utf8_trim(restore(parts, places), _ENDS)


def restore(parts: Sequence[pa.Array], places: Sequence[Ints]) -> pa.Array:
    """Parts of a column in the order of the rows that they belong to."""
    return pa.concat_arrays(parts).take(pa.array(np.argsort(np.concatenate(places), kind="stable")))


def join(words: Sequence[pa.Array]) -> pa.Array:
    """Several columns of words as one, with spaces between; null where all are null."""
    joined = pc.utf8_ltrim(_skip_nulls([pc.binary_join_element_wise(" ", column, "") for column in words]), " ")
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)


def drop(words: pa.Array, gone: np.ndarray) -> pa.Array:
    """Words with some made null."""
    return pc.if_else(pa.array(gone), pa.scalar(None, pa.string()), words)


def _group(group: str, slots: Mapping[str, pa.Array], rows: pa.Array) -> pa.Array:
    pieces: list[pa.Array | str] = []
    for literal, slot, _, _ in Formatter().parse(group):
        pieces.append(literal)
        if slot is not None:
            pieces.append(slots[slot].take(rows))
    return pc.binary_join_element_wise(*pieces, "")


def _skip_nulls(columns: Sequence[pa.Array]) -> pa.Array:
    # The leading "" keeps rows that have only nulls: some releases of Arrow leave such rows out.
    return pc.binary_join_element_wise("", *columns, "", null_handling="skip")
