"""Prune attention heads: a really smaller network, whose sizes are stated layer by layer."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from shopstill.compress import Stage, Trait, _importance
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._encoders import encoders, layers, restate, slim
from shopstill.compress._importance import Importance
from shopstill.compress._ranked import Scope, kept, levelled
from shopstill.core.config import config
from shopstill.models.encoder import Layer


@config
class Heads:
    """Keep the most important heads, one of each layer at least (Michel et al. 2019, https://arxiv.org/abs/1905.10650).

    ``share`` of them stays, in each layer or over all. A head is ``o_h``, the part it adds through the layer's output
    weights ``W_h``; its importance is ``‖V_h‖·‖W_h‖`` (magnitude, ``V_h`` the weights of its values),
    ``√E‖o_h W_hᵀ‖²`` column by column (activation), or the change of the objective without it (taylor).

    Raises:
        ConfigError: the model has no encoder of the BERT family, or its layers are compact already.

    >>> Heads(share=0.5).importance
    'taylor'
    """

    kind: Literal["heads"] = "heads"
    share: float = Field(default=0.5, gt=0, le=1)
    importance: Importance = "taylor"
    scope: Scope = "global"
    rows: int = Field(default=512, ge=1)

    stage: ClassVar[Stage] = "structure"
    needs: ClassVar[tuple[Trait, ...]] = ("text transformers",)

    def milder(self) -> Heads | None:
        """Half of what went stays as well; None where nearly all heads stay already."""
        return None if self.share > 0.9 else replace(self, share=(1 + self.share) / 2)

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model without its least important heads."""
        made = copied(model)
        found = encoders(made.network, self.kind)
        every = layers(found)
        scores = self._scores(made, calibration, every)
        for name, heads in kept(scores, self.share, self.scope).items():
            _keep(every[name], heads)
        restate(found.values())
        calibration.notes[self.kind] = {name: layer.heads for name, layer in every.items()}
        return made

    def _scores(self, model: M, calibration: Calibration, every: dict[str, Layer]) -> dict[str, Tensor]:
        counts = {name: layer.heads for name, layer in every.items()}
        readers: dict[str, nn.Linear] = {name: layer.out for name, layer in every.items()}
        if self.importance == "taylor":
            return _importance.units(model, calibration, readers, counts, self.rows)
        squares = {name: layer.out.weight.detach().square().sum(0) for name, layer in every.items()}
        if self.importance == "activation":
            seen = _importance.moments(model, calibration, readers, self.rows)
            return levelled({n: _by_head(squares[n] * seen[n], counts[n]).sqrt() for n in every})
        return levelled({n: _by_head(squares[n], counts[n]).sqrt() * _values(layer) for n, layer in every.items()})


def _by_head(values_C: Tensor, heads: int) -> Tensor:
    return values_C.unflatten(0, (heads, -1)).sum(1)


def _values(layer: Layer) -> Tensor:
    """Norm of the weights of each head's values."""
    value = layer.key_value.weight.detach().chunk(2)[1]
    return _by_head(value.square().sum(1), layer.heads).sqrt()


def _keep(layer: Layer, heads: Tensor) -> None:
    mixed = layer.query.out_features
    width = mixed // layer.heads
    columns = (heads[:, None] * width + torch.arange(width)).flatten()
    layer.query = slim(layer.query, rows=columns)
    layer.key_value = slim(layer.key_value, rows=torch.cat([columns, columns + mixed]))
    layer.out = slim(layer.out, columns=columns)
    layer.heads = len(heads)


heads = Heads
