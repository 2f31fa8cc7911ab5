"""Registries: a folder of modules in which each file is one entry, found by its file name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from shopstill.core.errors import ConfigError, nearest


class Registry:
    """Entries of a package, one module each; the entry is the module's attribute of the same name.

    A module whose name starts with an underscore is not an entry.

    >>> registry = Registry("shopstill.losses", "loss")
    >>> "soft" in registry.names()
    True
    """

    def __init__(self, package: str, noun: str) -> None:
        self.package = package
        self.noun = noun

    def names(self) -> list[str]:
        """The names of all entries, sorted; nothing is imported but the package itself."""
        folder = importlib.import_module(self.package).__path__
        return sorted(m.name for m in pkgutil.iter_modules(folder) if not m.name.startswith("_"))

    def module(self, name: str) -> Any:
        """The module of an entry.

        Raises:
            ConfigError: there is no such entry; the message names the nearest.
        """
        if name not in self.names():
            raise ConfigError(f"unknown {self.noun} {name!r}: {nearest(name, self.names())}")
        return importlib.import_module(f"{self.package}.{name}")

    def get(self, name: str) -> Any:
        """The entry: the attribute ``name`` of module ``name``."""
        return getattr(self.module(name), name)
