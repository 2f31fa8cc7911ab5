"""Quantization-aware fine-tuning: train with the rounding that int8 will do, then compute in int8.

Shapes: ``O`` outputs, ``I`` inputs.
"""

from __future__ import annotations

import logging
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.compress import Stage, Trait
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._linears import Calibrate, Least, Percentile, Rows, linears, observe, worth
from shopstill.compress._sensitivity import Bound, stand_in
from shopstill.core.config import config
from shopstill.models.compact import put
from shopstill.models.compact._grid import codes_of, grid_of, on_grid
from shopstill.models.compact._part import Linear
from shopstill.models.compact.int8_static import Int8Static as Part
from shopstill.train.training import Training

log = logging.getLogger(__name__)


@config
class Int8Aware:
    """``int8_static`` whose weights and grids learn, on the teacher's labels, while every layer rounds as int8 does.

    Gradients go straight through the rounding; the step of each grid learns as in LSQ (Esser et al. 2020,
    https://arxiv.org/abs/1902.08153). ``bound`` leaves out the layers that cost most before training. Where training
    makes the validation figure no better, the weights stay as they were.

    Raises:
        ConfigError: there is no layer to quantize, or none within the bound.

    >>> Int8Aware(training=Training(epochs=1, learning_rate=2e-5)).bound is None
    True
    """

    kind: Literal["int8_aware"] = "int8_aware"
    calibrate: Calibrate = "minmax"
    percentile: Percentile = 99.99
    rows: Rows = 256
    least: Least = 0.01
    bound: Bound | None = None
    training: Training | None = None

    stage: ClassVar[Stage] = "arithmetic"
    needs: ClassVar[tuple[Trait, ...]] = ("linear layers",)

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with its layers in int8, its best weights by validation."""
        made = copied(model)
        layers = linears(made.network)
        seen = observe(made, calibration, layers, self.rows, spread=self.calibrate != "minmax")
        parts = {}
        for name, layer in worth(made.network, layers, seen, self.least).items():
            grid = grid_of(*seen[name].range(self.calibrate, self.percentile))
            parts[name] = (layer, _Rounding(layer, *grid))
        stand_in(made, parts, calibration, self.bound, self.kind)
        begun = copied(made)
        calibration.train(made, self.training)
        if calibration.quality(made) < calibration.quality(begun):
            log.info("%s: training made it no better; the weights stay as they were", self.kind)
            made = begun
        for part in [m for m in made.network.modules() if isinstance(m, _Rounding)]:
            put(made.network, part, part.settled())
        made.network.eval()
        return made


class _Rounding(nn.Module):
    """A linear layer that computes in float32 what int8 will: ``x`` and the weight on their grids, which can learn."""

    def __init__(self, layer: Linear, step: float, zero: int) -> None:
        super().__init__()
        bias = layer.bias
        self.weight = nn.Parameter(layer.weight.detach().clone())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        # By its logarithm a step stays positive, and learns in parts of itself.
        self.log_step = nn.Parameter(torch.tensor(step).log())
        self.zero = zero

    def forward(self, x: Tensor) -> Tensor:
        """[…, I] to […, O]."""
        codes_IO, scale_O = codes_of(self.weight)
        near_OI = (codes_IO * scale_O).T
        straight_OI = self.weight + (near_OI - self.weight).detach()
        step = self.log_step.exp()
        return F.linear(on_grid(x, step, torch.tensor(float(self.zero))) * step, straight_OI, self.bias)

    def settled(self) -> Part:
        """The layer in int8."""
        step = float(self.log_step.detach().exp())
        return Part.of(self.weight, self.bias, step, self.zero).to(self.weight.device)


int8_aware = Int8Aware
