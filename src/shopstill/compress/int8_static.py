"""Compute linear layers and convolutions in int8, on grids of activations that calibration rows fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from shopstill.compress import Stage, Trait
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._convolutions import convolutions
from shopstill.compress._convolutions import parts as convolved
from shopstill.compress._linears import Calibrate, Least, Percentile, Rows, Seen, linears, observe, worth
from shopstill.compress._sensitivity import Bound, Pair, stand_in
from shopstill.core.config import config
from shopstill.models.compact._grid import grid_of
from shopstill.models.compact._part import Linear
from shopstill.models.compact.int8_static import Int8Static as Part


@config
class Int8Static:
    """Weights int8 with a scale for each output, activations uint8 on a grid that is the same for every row.

    A row's score does not depend on its company. ``calibrate`` says how far a grid reaches, ``percentile`` where it
    ends if by percentile; a transformer's few largest values carry much, so that cutting them off costs more than it
    gains. Layers that do less than ``least`` of all multiplications stay as they are, and so do those that cost most,
    until scores shift by no more than ``bound``.

    Of convolutions all but those of pixels are computed so, however little they do, since what lies between two of them
    then stays in uint8; their norms are folded in.

    Raises:
        ConfigError: there is no layer to quantize, or none within the bound.

    >>> Int8Static(bound=None).calibrate
    'minmax'
    """

    kind: Literal["int8_static"] = "int8_static"
    calibrate: Calibrate = "minmax"
    percentile: Percentile = 99.99
    rows: Rows = 256
    least: Least = 0.01
    bound: Bound | None = 0.06

    stage: ClassVar[Stage] = "arithmetic"
    needs: ClassVar[tuple[Trait, ...]] = ("linear layers", "convolutions")

    def milder(self) -> Int8Static | None:
        """Half the bound, so that more layers are left out; None where the bound is small already."""
        return None if (self.bound or 1) < 0.02 else replace(self, bound=(self.bound or 0.12) / 2)

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with its layers in int8."""
        made = copied(model)
        layers = linears(made.network)
        seen = observe(made, calibration, layers, self.rows, spread=self.calibrate != "minmax")
        parts = self.parts(worth(made.network, layers, seen, self.least), seen)
        pairs: dict[str, Pair] = {name: (layers[name], part) for name, part in parts.items()}
        found = convolutions(made.network)
        pairs |= convolved(made, calibration, found, self.rows, (self.calibrate, self.percentile))
        stand_in(made, pairs, calibration, self.bound, self.kind)
        return made

    def parts(self, layers: Mapping[str, Linear], seen: Mapping[str, Seen]) -> dict[str, Part]:
        """What would stand in for some layers."""
        made = {}
        for name, layer in layers.items():
            grid = grid_of(*seen[name].range(self.calibrate, self.percentile))
            made[name] = Part.of(layer.weight, layer.bias, *grid)
        return made


int8_static = Int8Static
