"""Prune the feed-forward networks: fewer hidden units in each layer."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

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
class FeedForward:
    """Keep the most important hidden units (McCarley et al. 2019, https://arxiv.org/abs/1910.06360).

    ``share`` of them stays, in each layer or over all, in multiples of ``multiple`` that matrix products like. With
    ``u`` a unit's output and ``w`` its weights out, ``v`` those in, importance is ``‖v‖·‖w‖`` (magnitude),
    ``√E[u²]·‖w‖`` (activation), or the change of the objective without it, to first order (taylor).

    Raises:
        ConfigError: the model has no encoder of the BERT family, or its layers are compact already.

    >>> FeedForward(share=0.25).multiple
    8
    """

    kind: Literal["feed_forward"] = "feed_forward"
    share: float = Field(default=0.5, gt=0, le=1)
    importance: Importance = "taylor"
    scope: Scope = "global"
    multiple: int = Field(default=8, ge=1)
    rows: int = Field(default=512, ge=1)

    stage: ClassVar[Stage] = "structure"
    needs: ClassVar[tuple[Trait, ...]] = ("text transformers",)

    def milder(self) -> FeedForward | None:
        """Half of what went stays as well; None where nearly all units stay already."""
        return None if self.share > 0.9 else replace(self, share=(1 + self.share) / 2)

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model without its least important hidden units."""
        made = copied(model)
        found = encoders(made.network, self.kind)
        every = layers(found)
        scores = self._scores(made, calibration, every)
        for name, units in kept(scores, self.share, self.scope, self.multiple).items():
            layer = every[name]
            layer.up, layer.down = slim(layer.up, rows=units), slim(layer.down, columns=units)
        restate(found.values())
        calibration.notes[self.kind] = {name: layer.up.out_features for name, layer in every.items()}
        return made

    def _scores(self, model: M, calibration: Calibration, every: dict[str, Layer]) -> dict[str, Tensor]:
        readers: dict[str, nn.Linear] = {name: layer.down for name, layer in every.items()}
        if self.importance == "taylor":
            counts = {name: layer.down.in_features for name, layer in every.items()}
            return _importance.units(model, calibration, readers, counts, self.rows)
        out = {name: layer.down.weight.detach().norm(dim=0) for name, layer in every.items()}
        if self.importance == "activation":
            seen = _importance.moments(model, calibration, readers, self.rows)
            return levelled({name: out[name] * seen[name].sqrt() for name in every})
        return levelled({name: out[name] * layer.up.weight.detach().norm(dim=1) for name, layer in every.items()})


feed_forward = FeedForward
