"""Passes: a file a pass, each a frozen dataclass that is its configuration, with ``apply(model, calibration)``.

A pass leaves its input alone and returns a smaller (or recovered) model, which saves, loads and exports like any other.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from shopstill.compress._calibration import Calibration, M
from shopstill.core.registry import Registry
from shopstill.models.families import Trait

__all__ = ["PASSES", "Pass", "Softens", "Stage", "Trait", "needs_of"]

PASSES = Registry("shopstill.compress", "pass")

Stage = Literal["structure", "weights", "storage", "arithmetic"]
"""When a pass may come: what changes shapes, then what changes values, then how they are stored, then how they are
computed. ``recover`` may come wherever some weights can still learn."""


class Pass(Protocol):
    """What every pass offers; ``kind`` is its name in the registry, the file's, as a recipe writes it.

    It may have ``needs``, the traits of a network of which it needs at least one; ``needs_of`` tells them of any pass.
    """

    kind: str
    stage: ClassVar[Stage]

    def apply(self, model: M, calibration: Calibration) -> M:
        """A new model; the one given stays as it is."""
        ...


@runtime_checkable
class Softens(Protocol):
    """A pass that a guard may ask for a milder form of itself."""

    def milder(self) -> Pass | None:
        """One that takes away less; None where there is none."""
        ...


def needs_of(step: Any) -> tuple[Trait, ...]:
    """What a pass needs a network to have, of which one is enough; nothing where any network will do."""
    found: tuple[Trait, ...] = getattr(step, "needs", ())
    return found
