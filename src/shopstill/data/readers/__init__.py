"""Readers: one file a format; each turns what a publisher gives into chunks of our tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from shopstill.core.registry import Registry
from shopstill.data.chunk import Chunk

READERS = Registry("shopstill.data.readers", "reader")


class Reader(Protocol):
    """A configuration that knows how to read."""

    def read(self) -> Iterator[Chunk]:
        """The rows, piece by piece.

        Raises:
            DataError: a file is missing or is not what it claims to be.
        """
        ...

    def sources(self) -> list[Path]:
        """The files whose content decides what is read."""
        ...
