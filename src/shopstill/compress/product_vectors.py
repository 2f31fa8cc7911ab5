"""Keep the vectors of products that are encoded ahead in few bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from shopstill.compress import Stage, Trait
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.data.vectors import Codec
from shopstill.models.families import Model
from shopstill.models.towers import TwoTowers


@config
class ProductVectors:
    """A smaller catalogue, in memory and on disk: the network stays, and a bundle keeps its products by the codec.

    Raises:
        ConfigError: the model encodes no products ahead.

    >>> ProductVectors(codec=Codec(kind="binary", rescore=10)).codec.bytes(width=64)
    76
    """

    kind: Literal["product_vectors"] = "product_vectors"
    codec: Codec = Field(default_factory=Codec)

    stage: ClassVar[Stage] = "storage"
    needs: ClassVar[tuple[Trait, ...]] = ("products ahead",)

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with the codec."""
        ahead = any(isinstance(part, TwoTowers) for part in model.network.modules())
        if not ahead or "vectors" not in model.__dataclass_fields__:
            raise ConfigError("product_vectors: this model encodes no products ahead; leave the pass out")
        made: Any = copied(model)
        calibration.notes[self.kind] = {"bytes_per_vector": self.codec.bytes(_width(made))}
        kept: M = replace(made, vectors=self.codec)
        return kept


def _width(model: Model) -> int:
    return next(part.config.width for part in model.network.modules() if isinstance(part, TwoTowers))


product_vectors = ProductVectors
