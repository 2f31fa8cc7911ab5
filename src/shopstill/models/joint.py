"""A small cross-encoder and two towers with one score: what exact matching knows, the cross-encoder need not learn.

Shapes: ``B`` pairs.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from shopstill.core.config import config
from shopstill.data.pairs import PairTexts
from shopstill.data.tokens import TextTokenizer
from shopstill.models.cross import Cross, CrossEncoder
from shopstill.models.pairs import ApartFeed, JoinedFeed
from shopstill.models.towers import Towers, TwoTowers
from shopstill.types import Signals


@config
class Joint:
    """The sum of a cross-encoder's and two towers' scores, learned together; both must use one tokenizer."""

    kind: Literal["joint"] = "joint"
    cross: Cross = Field(default_factory=lambda: Cross(start="splade-tiny"))
    towers: Towers = Field(default_factory=lambda: Towers(head="interaction"))


class JointModel(nn.Module):
    """Both networks over the same pairs.

    Args:
        cross: reads both texts together.
        towers: read them apart.
        config: the configuration, kept for saving.
    """

    def __init__(self, cross: CrossEncoder, towers: TwoTowers, config: Joint) -> None:
        super().__init__()
        self.config = config
        self.cross = cross
        self.towers = towers

    @property
    def lexical(self) -> int:
        """How many lexical features it takes."""
        return self.towers.lexical

    def forward(self, **inputs: Tensor) -> Signals:
        """The sum of scores; inputs are those of both networks, each name behind ``cross_`` or ``towers_``.

        Returns:
            logits [B]; features of both, under their own names.
        """
        one, other = self.cross(**_under("cross_", inputs)), self.towers(**_under("towers_", inputs))
        return Signals(logits=one.logits + other.logits, features={**one.features, **other.features})

    def feed(self, tokenizer: TextTokenizer, pairs: PairTexts) -> JointFeed:
        """Pairs made ready for ``forward``."""
        return JointFeed(self.cross.feed(tokenizer, pairs), self.towers.feed(tokenizer, pairs))


class JointFeed:
    """Inputs of both networks for the same rows; ``cost_N`` is the cross-encoder's."""

    def __init__(self, cross: JoinedFeed, towers: ApartFeed) -> None:
        self._cross, self._towers = cross, towers
        self.cost_N = cross.cost_N

    def __len__(self) -> int:
        return len(self._cross)

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Both networks' inputs of some rows."""
        both = {"cross_": self._cross.inputs(rows), "towers_": self._towers.inputs(rows)}
        return {f"{prefix}{name}": value for prefix, own in both.items() for name, value in own.items()}


def _under(prefix: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in inputs.items() if name.startswith(prefix)}
