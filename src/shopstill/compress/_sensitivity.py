"""Which layers cost most when they are quantized, and which to leave out so that a stated bound holds.

Shapes: ``N`` calibration rows, ``K`` outputs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from shopstill.compress._calibration import Calibration
from shopstill.core.errors import ConfigError
from shopstill.models.compact import put
from shopstill.models.families import Model

log = logging.getLogger(__name__)

_ROWS = 128

Bound = Annotated[float, Field(gt=0)]
"""How far quantizing may shift scores: root mean square, as a part of the scores' own spread. As a rule of thumb, .06
leaves a Kendall tau of .96."""

Pair = tuple[nn.Module, nn.Module]
"""A module, and what would stand in for it."""


def smaller(parts: Mapping[str, Pair]) -> dict[str, Pair]:
    """Stand-ins that take fewer bytes than what they stand for, which may be stored small already."""
    return {name: (old, new) for name, (old, new) in parts.items() if _bytes(new) < _bytes(old)}


def _bytes(module: nn.Module) -> int:
    return sum(value.numel() * value.element_size() for value in module.state_dict().values())


def stand_in(model: Model, parts: Mapping[str, Pair], calibration: Calibration, bound: float | None, kind: str) -> None:
    """Put stand-ins into a model, all but those that must be left out for the bound to hold.

    ``shift = √mean (score' − score)² / spread`` over calibration rows. Where it is beyond the bound, each layer is
    quantized alone, and as few as possible of those that then shift scores most stay as they are. What was found goes
    into the calibration's notes.

    Args:
        model: a copy that may change.
        parts: name → (module, its stand-in).
        calibration: the rows, and where notes go.
        bound: the largest shift; None for no bound.
        kind: the pass's name.

    Raises:
        ConfigError: there is nothing to quantize, or not a single layer can be within the bound.
    """
    if not parts:
        raise ConfigError(f"{kind}: this model has nothing that it could quantize; leave the pass out")
    found: dict[str, Any] = {"layers": len(parts), "left": []}
    if bound is not None:
        found |= {"bound": bound, **_within(_Shifts(model, calibration), parts, bound)}
    left = found["left"]
    if len(left) == len(parts):
        raise ConfigError(f"{kind}: no layer can be quantized within bound {bound}; raise it, or leave the pass out")
    _swap(model.network, [pair for name, pair in parts.items() if name not in left])
    calibration.notes[kind] = found
    log.info(
        "%s: %d of %d layers; as they are: %s", kind, len(parts) - len(left), len(parts), ", ".join(left) or "none"
    )


class _Shifts:
    """By how much stand-ins shift a model's scores on calibration rows."""

    def __init__(self, model: Model, calibration: Calibration) -> None:
        self._network: nn.Module = model.network
        self._batches = list(calibration.batches(model, _ROWS))
        self._score_NK = self._scores()
        self._spread = float(self._score_NK.std(correction=0)) or 1.0

    def __call__(self, pairs: Iterable[Pair]) -> float:
        """The shift with these stand-ins, which are taken out again."""
        pairs = list(pairs)
        _swap(self._network, pairs)
        off_NK = self._scores() - self._score_NK
        _swap(self._network, [(new, old) for old, new in pairs])
        return float(off_NK.square().mean().sqrt()) / self._spread

    @torch.inference_mode()
    def _scores(self) -> Tensor:
        return torch.cat([self._network(**batch.inputs).logits for batch in self._batches])


def _within(shifts: _Shifts, parts: Mapping[str, Pair], bound: float) -> dict[str, Any]:
    """The layers to leave out, the shift of the others, and where some are left out the shift of each alone."""
    reached = shifts(parts.values())
    if reached <= bound:
        return {"left": [], "shift": reached}
    alone = {name: shifts([pair]) for name, pair in parts.items()}
    costliest = sorted(parts, key=alone.__getitem__, reverse=True)
    low, high, reached = 1, len(parts), 0.0
    while low < high:
        middle = (low + high) // 2
        shift = shifts(parts[name] for name in costliest[middle:])
        if shift <= bound:
            high, reached = middle, shift
        else:
            low = middle + 1
    return {"left": costliest[:low], "shift": reached, "alone": alone}


def _swap(network: nn.Module, pairs: Sequence[Pair]) -> None:
    for old, new in pairs:
        put(network, old, new)
