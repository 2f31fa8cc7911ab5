"""Share layers: several places of an encoder hold one layer, which is stored once."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from shopstill.compress import Stage, Trait
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._encoders import encoders
from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.models.encoder import Encoder


@config
class ShareLayers:
    """Leave ``groups`` distinct layers; neighbours share one (ALBERT: Lan et al. 2020, https://arxiv.org/abs/1909.11942).

    A shared layer starts as the ``mean`` of its group's weights, or as its ``first`` layer. It takes no less time, and
    needs ``recover`` after it.

    Raises:
        ConfigError: no encoder has more layers than that, or layers of one group differ in size.

    >>> ShareLayers(groups=2).start
    'mean'
    """

    kind: Literal["share_layers"] = "share_layers"
    groups: int = Field(default=1, ge=1)
    start: Literal["mean", "first"] = "mean"

    stage: ClassVar[Stage] = "structure"
    needs: ClassVar[tuple[Trait, ...]] = ("text transformers",)

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with shared layers."""
        made = copied(model)
        found = encoders(made.network, self.kind)
        deep = {name: e for name, e in found.items() if len({id(layer) for layer in e.layers}) > self.groups}
        if not deep:
            raise ConfigError(f"share_layers: groups: {self.groups}: no encoder has more layers; use fewer groups")
        for name, encoder in deep.items():
            self._share(encoder, name)
        return made

    def _share(self, encoder: Encoder, name: str) -> None:
        every = list(encoder.layers)
        group = [at * self.groups // len(every) for at in range(len(every))]
        for number in range(self.groups):
            members = [layer for layer, own in zip(every, group, strict=True) if own == number]
            _same_sizes(members, name)
            if self.start == "mean":
                _average(members)
        leaders = [every[group.index(own)] for own in group]
        encoder.layers = nn.ModuleList(leaders)


def _same_sizes(members: list[nn.Module], name: str) -> None:
    shapes = {tuple(tuple(p.shape) for p in layer.parameters()) for layer in members}
    if len(shapes) > 1:
        raise ConfigError(
            f"share_layers: layers of {name} that should share differ in size; prune them with scope: layer"
        )


@torch.no_grad()
def _average(members: list[Any]) -> None:
    """The first layer becomes the mean of all."""
    for parts in zip(*(layer.parameters() for layer in members), strict=True):
        parts[0].copy_(torch.stack(list(parts)).mean(0))


share_layers = ShareLayers
