"""Compute linear layers in int8, on grids of activations that are found as they run."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from shopstill.compress import Stage, Trait
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._linears import Least, Rows, linears, observe, worth
from shopstill.compress._sensitivity import Bound, stand_in
from shopstill.core.config import config
from shopstill.models.compact.int8_dynamic import Int8Dynamic as Part


@config
class Int8Dynamic:
    """Weights int8 with a scale for each output, activations uint8 on a grid of each row, or of all rows together.

    With ``per_row`` a row's score does not depend on its company, at the price of one more look at every activation.
    Without, which is what runtimes call dynamic quantization, it does. Layers that do less than ``least`` of all
    multiplications stay as they are, and so do those that cost most, until scores shift by no more than ``bound``.

    Raises:
        ConfigError: there is no layer to quantize, or none within the bound.

    >>> Int8Dynamic().per_row
    True
    """

    kind: Literal["int8_dynamic"] = "int8_dynamic"
    per_row: bool = True
    rows: Rows = 32
    least: Least = 0.01
    bound: Bound | None = 0.06

    stage: ClassVar[Stage] = "arithmetic"
    needs: ClassVar[tuple[Trait, ...]] = ("linear layers",)

    def milder(self) -> Int8Dynamic | None:
        """Half the bound, so that more layers are left out; None where the bound is small already."""
        return None if (self.bound or 1) < 0.02 else replace(self, bound=(self.bound or 0.12) / 2)

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with its layers in int8."""
        made = copied(model)
        layers = linears(made.network)
        seen = observe(made, calibration, layers, self.rows)
        chosen = worth(made.network, layers, seen, self.least)
        parts = {name: (layer, Part.of(layer.weight, layer.bias, self.per_row)) for name, layer in chosen.items()}
        stand_in(made, parts, calibration, self.bound, self.kind)
        return made


int8_dynamic = Int8Dynamic
