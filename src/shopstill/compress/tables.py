"""Store token tables in 8 or 4 bits."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from shopstill.compress import Stage, Trait
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._sensitivity import Bound, smaller, stand_in
from shopstill.core.config import config
from shopstill.models.compact._part import Table, TablePart
from shopstill.models.compact.half_table import HalfTable
from shopstill.models.compact.packed_table import PackedTable

_NARROW = 8


@config
class Tables:
    """A smaller file, and less memory: only the rows that a text asks for are unpacked.

    ``group`` numbers of a row share a scale, which takes 16 bits itself; 0 gives each row one. Tables of fewer than 8
    numbers a row stay as they are. With ``bound`` those that cost most do too, until scores shift by no more than it.

    Raises:
        ConfigError: there is no table to store, or none within the bound.

    >>> Tables(bits=4, group=32).stage
    'storage'
    """

    kind: Literal["tables"] = "tables"
    bits: Literal[8, 4] = 8
    group: int = Field(default=0, ge=0)
    bound: Bound | None = None

    stage: ClassVar[Stage] = "storage"
    needs: ClassVar[tuple[Trait, ...]] = ("tables",)

    def milder(self) -> Tables | None:
        """8 bits in place of 4; None at 8."""
        return replace(self, bits=8) if self.bits == 4 else None

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with its tables stored in few bits."""
        made = copied(model)
        parts = {
            name: (table, PackedTable.of(table.weight, self.bits, self.group))
            for name, table in whole_tables(made.network).items()
        }
        stand_in(made, smaller(parts), calibration, self.bound, self.kind)
        return made


def whole_tables(network: nn.Module) -> dict[str, Table]:
    """Tables whose rows can be stored in other ways, by name, each once; of those made of others, the others."""
    found: dict[str, Table] = {}
    for name, module in network.named_modules():
        inner = sum(type(m) is nn.Embedding for m in module.modules())
        whole = isinstance(module, TablePart) and not inner and not isinstance(module, HalfTable | PackedTable)
        if (type(module) is nn.Embedding or whole) and module.embedding_dim >= _NARROW:
            found[name] = module
    return found


tables = Tables
