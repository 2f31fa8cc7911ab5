"""Store the weights of linear layers in 8 or 4 bits; they are computed with in float32."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from shopstill.compress import Stage
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._linears import linears
from shopstill.compress._sensitivity import Bound, smaller, stand_in
from shopstill.core.config import config
from shopstill.models.compact.packed import Packed


@config
class WeightOnly:
    """A smaller file, and no less time: the weights are unpacked once, when the model is loaded.

    ``group`` inputs share a scale, which takes 16 bits itself; 0 gives each output one scale. With ``bound`` the layers
    that cost most stay as they are, until scores shift by no more than it.

    Raises:
        ConfigError: there is no layer to store, or none within the bound.

    >>> WeightOnly(bits=4).group
    32
    """

    kind: Literal["weight_only"] = "weight_only"
    bits: Literal[8, 4] = 8
    group: int = Field(default=32, ge=0)
    bound: Bound | None = None

    stage: ClassVar[Stage] = "storage"

    def milder(self) -> WeightOnly | None:
        """8 bits in place of 4; None at 8."""
        return replace(self, bits=8) if self.bits == 4 else None

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with its layers stored in few bits."""
        made = copied(model)
        parts = {
            name: (layer, Packed.of(layer.weight, layer.bias, self.bits, self.group))
            for name, layer in linears(made.network).items()
        }
        stand_in(made, smaller(parts), calibration, self.bound, self.kind)
        return made


weight_only = WeightOnly
