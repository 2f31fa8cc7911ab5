"""Registries: a folder of modules in which each file is one entry, found by its file name; others may add to it."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from shopstill.core.errors import ConfigError, nearest


class Registry:
    """Entries of a package, one module each; the entry is the module's attribute of the same name.

    A module whose name starts with an underscore is not an entry. Another distribution adds entries of its own as
    entry points, in a group with the package's name; they do not replace those that are here.

    >>> registry = Registry("shopstill.losses", "loss")
    >>> "soft" in registry.names()
    True
    """

    def __init__(self, package: str, noun: str) -> None:
        self.package = package
        self.noun = noun

    def names(self) -> list[str]:
        """The names of all entries, sorted; nothing is imported but the package itself."""
        return sorted({*self._own(), *self._others()})

    def module(self, name: str) -> Any:
        """The module of an entry.

        Raises:
            ConfigError: there is no such entry; the message names the nearest.
        """
        if name in self._own():
            return importlib.import_module(f"{self.package}.{name}")
        return importlib.import_module(self._other(name).module)

    def get(self, name: str) -> Any:
        """The entry: the attribute ``name`` of module ``name``, or what another distribution's entry point names."""
        if name in self._own():
            return getattr(self.module(name), name)
        return self._other(name).load()

    def _own(self) -> set[str]:
        folder = importlib.import_module(self.package).__path__
        return {m.name for m in pkgutil.iter_modules(folder) if not m.name.startswith("_")}

    def _others(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.package)}

    def _other(self, name: str) -> EntryPoint:
        found = self._others().get(name)
        if found is None:
            raise ConfigError(f"unknown {self.noun} {name!r}: {nearest(name, self.names())}")
        return found
