"""Prune the channels of picture networks: really smaller convolutions, whose counts are stated by name.

Shapes: ``C`` channels of one name, ``O`` outputs, ``I`` inputs of a convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from shopstill.compress import Stage, Trait
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._encoders import slim
from shopstill.compress._importance import Importance, objective_for
from shopstill.compress._multiplications import Costs, kept_by_cost
from shopstill.compress._ranked import Scope, kept, levelled
from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.models.vision import Place, places
from shopstill.train.objective import Objective


@config
class Channels:
    """Keep the most important channels; those that residual sums tie together stay or go together.

    ``share`` of them stays, of each name (``scope: layer``) or over all (``global``), in multiples of ``multiple``; or
    (``multiplications``) as many as leave ``share`` of the multiplications that a picture takes, those first to go that
    matter least for what they cost: early channels are few and dear, late ones many and cheap. A channel's importance
    is the sum of its filters' absolute weights, norm folded in (magnitude: Li et al. 2017, arXiv:1608.08710), its root
    mean square times the weights that read it (activation), or ``Σ_batches (Σ y·∂L/∂y)²`` of what is written to it, the
    change of the objective without it to first order (taylor: Molchanov et al. 2019, arXiv:1906.10771). What norms know
    of their inputs is then found anew on the calibration rows.

    Raises:
        ConfigError: the model reads no pictures, or its convolutions are compact already.

    >>> Channels(share=0.25).multiple
    8
    """

    kind: Literal["channels"] = "channels"
    share: float = Field(default=0.5, gt=0, le=1)
    importance: Importance = "taylor"
    scope: Scope | Literal["multiplications"] = "global"
    multiple: int = Field(default=8, ge=1)
    rows: int = Field(default=512, ge=2)

    stage: ClassVar[Stage] = "structure"
    needs: ClassVar[tuple[Trait, ...]] = ("convolutions",)

    def milder(self) -> Channels | None:
        """Half of what went stays as well; None where nearly all channels stay already."""
        return None if self.share > 0.9 else replace(self, share=(1 + self.share) / 2)

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model without its least important channels."""
        made = copied(model)
        every = _places(made.network)
        stay = self._kept(made, calibration, every)
        for place in every:
            _narrow(place, stay)
        _renorm(made, calibration, self.rows)
        calibration.notes[self.kind] = {name: len(found) for name, found in stay.items()}
        return made

    def _kept(self, model: Any, calibration: Calibration, every: Sequence[Place]) -> dict[str, Tensor]:
        scores = self._scores(model, calibration, every)
        if self.scope != "multiplications":
            return kept(scores, self.share, self.scope, self.multiple)
        one = next(iter(calibration.batches(model, 1)))
        return kept_by_cost(scores, self.share, self.multiple, Costs.of(model.network, every, one.inputs))

    def _scores(self, model: Any, calibration: Calibration, every: Sequence[Place]) -> dict[str, Tensor]:
        writers = {name: _writers(name, every) for name in dict.fromkeys(p.writes for p in every) if name is not None}
        if self.importance == "taylor":
            return _taylor(model, calibration, writers, self.rows)
        if self.importance == "activation":
            return levelled(_activation(model, calibration, writers, every, self.rows))
        return levelled({name: torch.stack([_folded(p) for p in found]).sum(0) for name, found in writers.items()})


def _places(network: nn.Module) -> list[Place]:
    """What reads or writes channels.

    Raises:
        ConfigError: nothing does, or some of it is no longer dense.
    """
    every = list(places(network))
    if not every:
        raise ConfigError("channels: this model has no convolutions; leave the pass out, or use another")
    if not all(type(place.module) in (nn.Conv2d, nn.Linear) for place in every):
        raise ConfigError("channels: some layers are compact already; put channels before the pass that made them so")
    return every


def _writers(name: str, every: Sequence[Place]) -> list[Place]:
    """Whose outputs are the channels of a name: where each is filtered alone, the filters, which come last."""
    found = [place for place in every if place.writes == name]
    return [place for place in found if place.single] or found


def _affine(place: Place) -> list[nn.Parameter]:
    """The parameters that what is written depends on in a straight line: ``y = a·x + b``, row by row."""
    module = place.module if place.norm is None else getattr(place.owner, place.norm)
    return [value for name, value in module.named_parameters(recurse=False) if name in ("weight", "bias")]


def _taylor(
    model: Any, calibration: Calibration, writers: Mapping[str, Sequence[Place]], rows: int
) -> dict[str, Tensor]:
    """``y·∂L/∂y`` of an affine output is the sum of ``w·∂L/∂w`` over what it is made with."""
    total = {name: torch.zeros(len(found[0].module.weight)) for name, found in writers.items()}
    objective: Objective | None = None
    for batch in calibration.batches(model, rows, batch_rows=16):
        objective = objective or objective_for(model, calibration, batch)
        calibration.loss(model, batch, objective).backward()
        for name, found in writers.items():
            change = torch.stack([_change(value) for place in found for value in _affine(place)]).sum(0)
            total[name] += change.square()
        model.network.zero_grad(set_to_none=True)
    return total


def _change(value: nn.Parameter) -> Tensor:
    """``w·∂L/∂w``, summed to one number a row."""
    if value.grad is None:
        return torch.zeros(len(value))
    return (value.detach() * value.grad).reshape(len(value), -1).sum(1)


@torch.no_grad()
def _activation(
    model: Any,
    calibration: Calibration,
    writers: Mapping[str, Sequence[Place]],
    every: Sequence[Place],
    rows: int,
) -> dict[str, Tensor]:
    square = {name: torch.zeros(len(found[0].module.weight)) for name, found in writers.items()}

    def see(name: str) -> Any:
        def add(_: nn.Module, __: Any, y: Tensor) -> None:
            square[name] += y.detach().square().flatten(2).mean(2).sum(0) if y.dim() > 2 else y.square().sum(0)

        return add

    hooks = [
        (p.module if p.norm is None else getattr(p.owner, p.norm)).register_forward_hook(see(name))
        for name, found in writers.items()
        for p in found
    ]
    try:
        for batch in calibration.batches(model, rows):
            model.network(**batch.inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: value.sqrt() * _read(name, every) for name, value in square.items()}


def _read(name: str, every: Sequence[Place]) -> Tensor:
    """Norm of the weights that read each channel."""
    weights = [p.module.weight.detach().transpose(0, 1) for p in every if p.reads == name and not p.single]
    return torch.stack([w.reshape(len(w), -1).square().sum(1) for w in weights]).sum(0).sqrt()


def _folded(place: Place) -> Tensor:
    """Absolute weights of each filter, with what its norm multiplies them by."""
    size = place.module.weight.detach().abs().flatten(1).sum(1)
    if place.norm is None:
        return size
    norm = getattr(place.owner, place.norm)
    return size * norm.weight.detach().abs() / (norm.running_var + norm.eps).sqrt()


def _narrow(place: Place, stay: Mapping[str, Tensor]) -> None:
    """Leave a layer, and its norm, the channels that stay."""
    rows = None if place.writes is None else stay[place.writes]
    columns = None if place.reads is None or place.single else stay[place.reads]
    module = place.module
    made = slim(module, rows, columns) if isinstance(module, nn.Linear) else _slim(module, rows, columns)
    setattr(place.owner, place.part, made)
    if place.norm is not None and rows is not None:
        setattr(place.owner, place.norm, _slim_norm(getattr(place.owner, place.norm), rows))


def _slim(conv: nn.Conv2d, rows: Tensor | None, columns: Tensor | None) -> nn.Conv2d:
    weight = conv.weight.detach()
    weight = weight if rows is None else weight[rows]
    weight = weight if columns is None else weight[:, columns]
    groups = 1 if conv.groups == 1 else len(weight)
    made = nn.Conv2d(
        weight.shape[1] * groups,
        len(weight),
        conv.kernel_size,  # type: ignore[arg-type]  # two sides, as a pair
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        groups=groups,
        bias=False,
    )
    with torch.no_grad():
        made.weight.copy_(weight)
    return made


def _slim_norm(norm: nn.BatchNorm2d, rows: Tensor) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(len(rows), eps=norm.eps, momentum=norm.momentum).eval()
    own = norm.state_dict()
    made.load_state_dict({name: value[rows] if value.dim() else value for name, value in own.items()})
    return made


@torch.no_grad()
def _renorm(model: Any, calibration: Calibration, rows: int) -> None:
    """Mean and variance of every norm's inputs, found anew: a sum that lost a part has others."""
    norms = [module for module in model.network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train().momentum = None
    for batch in calibration.batches(model, rows):
        # One row alone may have but one value a channel, which has no variance.
        if len(batch.group) > 1:
            model.network(**batch.inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum


channels = Channels
