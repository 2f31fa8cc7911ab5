"""Which linear layers there are to quantize, and what calibration rows show of their inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from shopstill.compress._calibration import Calibration
from shopstill.compress._importance import watching
from shopstill.models.compact._grid import LEAST, MOST
from shopstill.models.compact._part import Linear, LinearPart
from shopstill.models.compact.half import Half
from shopstill.models.compact.int8_dynamic import Int8Dynamic
from shopstill.models.compact.int8_static import Int8Static
from shopstill.models.compact.packed import Packed
from shopstill.models.families import Model
from shopstill.models.towers import InteractionHead, TokenTower

Calibrate = Literal["minmax", "percentile", "entropy"]
"""How far the grid of activations reaches: to what calibration rows showed; to a percentile of it; or to where the
distribution on the grid tells most of the true one (least Kullback–Leibler divergence: Migacz 2017, TensorRT)."""

Percentile = Annotated[float, Field(gt=50, le=100)]
"""Of the values, the percentage below the highest that the grid holds; as many lie above the lowest."""

Rows = Annotated[int, Field(ge=1)]
"""Calibration rows that are looked at."""

Least = Annotated[float, Field(ge=0, lt=1)]
"""The share of all multiplications below which a layer is not worth its rounding."""

_BINS = 8192
_NEVER = 1e-9
_SHARES = [share / 64 for share in range(16, 65)]
_QUANTIZED = (Half, Int8Dynamic, Int8Static, Packed)


def linears(network: nn.Module) -> dict[str, Linear]:
    """Linear layers whose weight can be stored or computed in other ways, by name, each once.

    One that is made of others, such as a low-rank product, is represented by these.
    """
    found: dict[str, Linear] = {}
    for name, module in network.named_modules():
        whole = isinstance(module, LinearPart) and not any(type(inner) is nn.Linear for inner in module.modules())
        if type(module) is nn.Linear or (whole and not isinstance(module, _QUANTIZED)):
            found[name] = module
    return found


@dataclass(kw_only=True)
class Seen:
    """What calibration rows showed of a layer's inputs: their range, how they spread over it, and the work done."""

    low: float = 0.0
    high: float = 0.0
    work: int = 0
    count_H: Tensor | None = None

    def range(self, calibrate: Calibrate, percentile: float) -> tuple[float, float]:
        """The lowest and the highest value that the grid should hold."""
        if calibrate == "minmax" or self.count_H is None or self.high == self.low:
            return self.low, self.high
        if calibrate == "percentile":
            return self._percentiles(self.count_H, percentile / 100)
        return self._entropy(self.count_H)

    def add(self, x: Tensor) -> None:
        """Count values into the histogram of the range."""
        counted = torch.histc(x.detach().float(), _BINS, self.low, self.high).double()
        self.count_H = counted if self.count_H is None else self.count_H + counted

    def _percentiles(self, count_H: Tensor, share: float) -> tuple[float, float]:
        below_H = count_H.cumsum(0) / count_H.sum()
        width = (self.high - self.low) / _BINS
        first, last = int((below_H <= 1 - share).sum()), int((below_H < share).sum())
        return self.low + first * width, self.low + (last + 1) * width

    def _entropy(self, count_H: Tensor) -> tuple[float, float]:
        at_H = torch.linspace(self.low, self.high, len(count_H), dtype=torch.float64)
        lost = [_divergence(count_H, at_H, self.low * share, self.high * share) for share in _SHARES]
        best = _SHARES[min(range(len(lost)), key=lost.__getitem__)]
        return self.low * best, self.high * best


def _divergence(count_H: Tensor, at_H: Tensor, low: float, high: float) -> float:
    """KL of the true distribution, what lies beyond the grid added to its ends, from what the grid tells of it."""
    inside = (at_H >= low) & (at_H <= high)
    own, at = count_H[inside], at_H[inside]
    true = own.clone()
    true[0] += count_H[at_H < low].sum()
    true[-1] += count_H[at_H > high].sum()
    code = ((at - low) / (high - low) * MOST).round().long()
    there = (own > 0).double()
    held, bins = (torch.zeros(MOST + 1 - LEAST).double().index_add_(0, code, part) for part in (own, there))
    told = (held / bins.clamp(min=1))[code] * there
    true, told = true / true.sum(), (told / told.sum()).clamp(min=_NEVER)
    return float(torch.special.xlogy(true, true / told).sum())


@torch.no_grad()
def observe(
    model: Model, calibration: Calibration, layers: Mapping[str, Linear], rows: int, spread: bool = False
) -> dict[str, Seen]:
    """What calibration rows show of the layers that they reach; with ``spread`` also the histogram."""
    seen: dict[str, Seen] = {}

    def bounds(name: str, x: Tensor) -> None:
        if x.numel():
            one, low, high = seen.setdefault(name, Seen()), *(float(end) for end in x.aminmax())
            one.low, one.high = min(one.low, low), max(one.high, high)
            one.work += x.numel() * layers[name].out_features

    # Convolutions are no linear layers, but they do work: what is worth rounding is so beside them.
    others = {name: m for name, m in model.network.named_modules() if isinstance(m, nn.Conv2d)}

    def count(name: str, x: Tensor) -> None:
        seen.setdefault(name, Seen()).work += _multiplications(others[name], x)

    with watching(layers, bounds), watching(others, count):
        _run(model, calibration, rows)
    if spread:
        with watching(layers, lambda name, x: seen[name].add(x) if name in seen else None):
            _run(model, calibration, rows)
    return seen


def _multiplications(conv: nn.Conv2d, x_BCHW: Tensor) -> int:
    """Of a convolution, but for what its edges leave out."""
    places = x_BCHW.numel() // (x_BCHW.shape[1] * conv.stride[0] * conv.stride[1])
    return places * conv.weight.numel()


def _run(model: Model, calibration: Calibration, rows: int) -> None:
    for batch in calibration.batches(model, rows):
        model.network(**batch.inputs)


def worth(
    network: nn.Module, layers: Mapping[str, Linear], seen: Mapping[str, Seen], least: float
) -> dict[str, Linear]:
    """The layers that do at least a share ``least`` of the multiplications of all, less those that numpy computes.

    The towers' projections and head stay as they are: what serves them computes them in float32, ahead or in one go.
    """
    left = {module for tower in network.modules() for module in _served_by_numpy(tower)}
    total = sum(one.work for one in seen.values())
    enough = {name for name, one in seen.items() if one.work >= least * total}
    return {name: layer for name, layer in layers.items() if name in enough and layer not in left}


def _served_by_numpy(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, TokenTower):
        return list(module.project.modules())
    return list(module.modules()) if isinstance(module, InteractionHead) else []
