"""Which convolutions there are to quantize, and what calibration rows show of what they read and write."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from shopstill.compress._calibration import Calibration
from shopstill.compress._linears import Calibrate, Seen
from shopstill.models.compact._grid import grid_of
from shopstill.models.compact.folded import Folded
from shopstill.models.compact.int8_conv import Int8Conv
from shopstill.models.families import Model
from shopstill.models.vision import PIXELS, ConvNorm

_CUT = (nn.ReLU, nn.ReLU6)
"""Activations that a grid from 0 to the most that was seen does as well."""

Pair = tuple[nn.Module, nn.Module]


def convolutions(network: nn.Module) -> dict[str, ConvNorm]:
    """Convolutions with their norms, by name, but for those that read pixels.

    With three channels there is little to multiply, and much to rearrange: in int8 such a layer takes twice as long.
    """
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, ConvNorm)
        and type(module.conv) is nn.Conv2d
        and type(module.norm) is nn.BatchNorm2d
        and module.reads != PIXELS.name
    }


def parts(
    model: Model,
    calibration: Calibration,
    found: dict[str, ConvNorm],
    rows: int,
    ends: tuple[Calibrate, float],
) -> dict[str, Pair]:
    """Each convolution, and what would stand in for it.

    Args:
        model: whose they are.
        calibration: the rows.
        found: the convolutions.
        rows: how many rows are looked at.
        ends: how far grids reach.
    """
    inside, outside = _seen(model, calibration, found, rows, ends[0] != "minmax")
    return {
        name: (module, _made(module, grid_of(*inside[name].range(*ends)), grid_of(*outside[name].range(*ends))))
        for name, module in found.items()
        if name in inside
    }


def _made(module: ConvNorm, grid: tuple[float, int], out: tuple[float, int]) -> ConvNorm:
    """The same in int8; its parts are its own, and what is not replaced is shared."""
    made = copy.copy(module)
    assert isinstance(module.norm, nn.BatchNorm2d)
    put: dict[str, nn.Module] = {"conv": Int8Conv.of(module.conv, module.norm, grid, out), "norm": Folded()}
    if isinstance(module.act, _CUT):
        put["act"] = Folded()
    made._modules = {**module._modules, **put}
    return made


@torch.no_grad()
def _seen(
    model: Model, calibration: Calibration, found: dict[str, ConvNorm], rows: int, spread: bool
) -> tuple[dict[str, Seen], dict[str, Seen]]:
    """What goes into each convolution, and what its grid is to hold of what comes out."""
    inside: dict[str, Seen] = {}
    outside: dict[str, Seen] = {}

    def widen(into: dict[str, Seen]) -> Callable[[str, Tensor], None]:
        def see(name: str, x: Tensor) -> None:
            one, low, high = into.setdefault(name, Seen()), *(float(end) for end in x.aminmax())
            one.low, one.high = min(one.low, low), max(one.high, high)

        return see

    def count(into: dict[str, Seen]) -> Callable[[str, Tensor], None]:
        return lambda name, x: into[name].add(x)

    _run(model, calibration, found, rows, (widen(inside), widen(outside)))
    if spread:
        _run(model, calibration, found, rows, (count(inside), count(outside)))
    return inside, outside


See = Callable[[str, Tensor], None]


def _run(model: Model, calibration: Calibration, found: dict[str, ConvNorm], rows: int, see: tuple[See, See]) -> None:
    with ExitStack() as hooks:
        for name, module in found.items():
            reads, writes = module.conv, module.act if isinstance(module.act, _CUT) else module.norm
            hooks.callback(reads.register_forward_pre_hook(_before(name, see[0])).remove)
            hooks.callback(writes.register_forward_hook(_after(name, see[1])).remove)
        for batch in calibration.batches(model, rows):
            model.network(**batch.inputs)


def _before(name: str, see: See) -> Any:
    return lambda _, inputs: see(name, inputs[0])


def _after(name: str, see: See) -> Any:
    return lambda _, __, output: see(name, output)
