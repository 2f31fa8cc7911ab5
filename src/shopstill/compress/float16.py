"""Store the weights of linear layers, and tables, in float16; they are computed with in float32."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import nn

from shopstill.compress import Stage
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._linears import linears
from shopstill.compress._sensitivity import smaller, stand_in
from shopstill.compress.tables import whole_tables
from shopstill.core.config import config
from shopstill.models.compact.half import Half
from shopstill.models.compact.half_table import HalfTable


@config
class Float16:
    """Half the file, scores to three or four digits, and no less time: weights are widened once, when loaded.

    Raises:
        ConfigError: there is nothing to store.

    >>> Float16().stage
    'storage'
    """

    kind: Literal["float16"] = "float16"

    stage: ClassVar[Stage] = "storage"

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with its weights in float16."""
        made = copied(model)
        parts: dict[str, tuple[nn.Module, nn.Module]] = {
            name: (layer, Half.of(layer.weight, layer.bias)) for name, layer in linears(made.network).items()
        }
        parts |= {name: (table, HalfTable.of(table.weight)) for name, table in whole_tables(made.network).items()}
        stand_in(made, smaller(parts), calibration, None, self.kind)
        return made


float16 = Float16
