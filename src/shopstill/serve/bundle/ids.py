"""Names of items by number and numbers by name, for catalogues of a million: Arrow's bytes and twelve more an item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

_AT_ONCE = 1 << 16


class Ids(Sequence[str]):
    """Names in order, the first of which has the number 1.

    A dictionary of a million names takes two hundred megabytes. Here hashes are sorted, found by bisection, and what is
    found is compared.

    Args:
        names: an Arrow array of different strings, none of them null.

    >>> import pyarrow as pa
    >>> ids = Ids(pa.array(["mug", "cup"]))
    >>> ids.numbers(["cup", "jug"]), ids[0]
    ([2, 0], 'mug')
    """

    def __init__(self, names: Any) -> None:
        self._names = names
        hash_V = np.empty(len(names), np.int64)
        for at in range(0, len(names), _AT_ONCE):
            piece = names.slice(at, _AT_ONCE).to_pylist()
            hash_V[at : at + len(piece)] = [hash(name) for name in piece]
        self._order = np.argsort(hash_V, kind="stable").astype(np.int32)
        self._hashes = hash_V[self._order]

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return (name.as_py() for name in self._names)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> list[str]: ...

    def __getitem__(self, at: int | slice) -> str | list[str]:
        found: str | list[str] = self._names[at].to_pylist() if isinstance(at, slice) else self._names[at].as_py()
        return found

    def numbers(self, names: Sequence[str]) -> list[int]:
        """The number of each name, from 1; 0 where there is none."""
        hashes = np.fromiter(map(hash, names), np.int64, len(names))
        places = np.searchsorted(self._hashes, hashes)
        return [self._from(*each) for each in zip(places.tolist(), hashes.tolist(), names, strict=True)]

    def repeated(self) -> str | None:
        """A name that stands there twice, if one does."""
        equal = np.flatnonzero(self._hashes[1:] == self._hashes[:-1]) + 1
        for at in self._order[equal].tolist():
            if self.numbers([self[at]]) != [at + 1]:
                return self[at]
        return None

    def _from(self, place: int, wanted: int, name: str) -> int:
        """The number of a name, from the first place of its hash on."""
        while place < len(self._hashes) and self._hashes[place] == wanted:
            at = int(self._order[place])
            if self[at] == name:
                return at + 1
            place += 1
        return 0
