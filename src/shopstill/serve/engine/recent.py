"""Rankings of late: a second page goes on where the first one ended, and what many ask is not worked out for each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")

KEPT = 1_024


class Recent(Generic[Value]):
    """The values that were used last, by key; safe for threads.

    >>> recent = Recent[int](kept=2)
    >>> for key in "abc":
    ...     recent.put(key, ord(key))
    >>> recent.get("a"), recent.get("c")
    (None, 99)
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._using = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """A value that is still known."""
        with self._using:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Remember a value; the one that was not used for longest goes where there are too many."""
        with self._using:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._kept:
                self._values.popitem(last=False)
