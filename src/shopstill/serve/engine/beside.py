"""Models that stand beside those of the search, by name; the first one answers where none is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from shopstill.core.errors import ConfigError
from shopstill.serve.bundle.manifest import Manifest
from shopstill.serve.engine.errors import NoModel, UnknownModel


class Named(Protocol):
    """A bundle of any kind."""

    manifest: Manifest


B = TypeVar("B", bound=Named)


class Beside(Generic[B]):
    """Bundles of one kind.

    Args:
        what: they are, such as ``a model of histories``.
        option: of the server that loads one.
        read: loads one.
        warm: has one answer, so that nobody waits for the first time.
    """

    def __init__(self, what: str, option: str, read: Callable[[Path], B], warm: Callable[[B], object]) -> None:
        self._what, self._option, self._read, self._warm = what, option, read, warm
        self._bundles: dict[str, B] = {}

    def load(self, folder: Path) -> str:
        """Load a model under its own name.

        Raises:
            ArtifactError: there is no bundle of the kind, or it is torn.
            ConfigError: there is one of this name already.
        """
        bundle = self._read(folder)
        name = bundle.manifest.name
        if name in self._bundles:
            raise ConfigError(f"{folder}: {self._what} named {name!r} is loaded already; name each otherwise")
        self._warm(bundle)
        self._bundles[name] = bundle
        return name

    def pick(self, name: str | None) -> tuple[str, B]:
        """A model, and its name.

        Raises:
            UnknownModel: none is loaded, or none of this name.
        """
        if not self._bundles:
            raise NoModel(self._what, self._option)
        name = name or next(iter(self._bundles))
        if name not in self._bundles:
            raise UnknownModel(name, self._bundles)
        return name, self._bundles[name]
