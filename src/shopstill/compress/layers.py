"""Prune whole layers: those one names, or those whose removal costs least."""

from __future__ import annotations

import logging
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from shopstill.compress import Stage, Trait
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._encoders import encoders, restate
from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.models.encoder import Encoder
from shopstill.models.families import Model
from shopstill.train.objective import Objective
from shopstill.types import Batch

log = logging.getLogger(__name__)


@config
class Layers:
    """Keep some layers of each encoder (Sajjad et al. 2020, https://arxiv.org/abs/2004.03844).

    ``keep`` names them, such as ``[0, 2, 5]``; or ``count`` says how many, and one after the other that layer is taken
    out without which the objective on calibration rows is lowest.

    Raises:
        ConfigError: not exactly one of ``keep`` and ``count`` is given, a layer is not there, or there is no encoder.

    >>> Layers(count=2).keep is None
    True
    """

    kind: Literal["layers"] = "layers"
    keep: tuple[int, ...] | None = Field(default=None, min_length=1)
    count: int | None = Field(default=None, ge=1)
    rows: int = Field(default=256, ge=1)

    stage: ClassVar[Stage] = "structure"
    needs: ClassVar[tuple[Trait, ...]] = ("text transformers",)

    def __post_init__(self) -> None:
        if (self.keep is None) == (self.count is None):
            raise ConfigError("layers: give either keep (which layers) or count (how many)")

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model without the other layers."""
        made = copied(model)
        found = encoders(made.network, self.kind)
        batches = [] if self.count is None else list(calibration.batches(made, self.rows))
        for name, encoder in found.items():
            if self.keep is not None:
                encoder.layers = nn.ModuleList(_named(encoder, name, self.keep))
            while self.count is not None and len(encoder.layers) > self.count:
                encoder.layers = _without_one(made, calibration, batches, encoder, name)
        restate(found.values())
        calibration.notes[self.kind] = {name: len(encoder.layers) for name, encoder in found.items()}
        return made


def _without_one(
    model: Model, calibration: Calibration, batches: list[Batch], encoder: Encoder, name: str
) -> nn.ModuleList:
    whole = list(encoder.layers)
    tries = [nn.ModuleList(whole[:at] + whole[at + 1 :]) for at in range(len(whole))]
    costs = []
    for fewer in tries:
        encoder.layers = fewer
        costs.append(_cost(model, calibration, batches))
    best = min(range(len(tries)), key=costs.__getitem__)
    shown = ", ".join(f"{cost:.4f}" for cost in costs)
    log.info("%s: without each of its %d layers the objective is %s; %d goes", name, len(whole), shown, best)
    return tries[best]


def _named(encoder: Encoder, name: str, keep: tuple[int, ...]) -> list[nn.Module]:
    have = len(encoder.layers)
    for layer in keep:
        if not 0 <= layer < have:
            raise ConfigError(f"layers: keep: {layer} is not a layer of {name}, which has 0 to {have - 1}")
    if list(keep) != sorted(set(keep)):
        raise ConfigError(f"layers: keep: {list(keep)} must name each layer once, in ascending order")
    return [encoder.layers[layer] for layer in keep]


@torch.no_grad()
def _cost(model: Model, calibration: Calibration, batches: list[Batch]) -> float:
    """The objective on calibration rows, without terms of features: their projections are not learned yet."""
    objective = Objective([term for term in calibration.objective if term.tap is None])
    return sum(float(calibration.loss(model, batch, objective)) for batch in batches)


layers = Layers
