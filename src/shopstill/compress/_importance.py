"""How much each input of some layers matters, seen on calibration rows.

Shapes: ``S`` rows that a layer is given in a batch, ``C`` its inputs (columns), ``U`` units of ``C / U`` columns each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from shopstill.compress._calibration import Calibration
from shopstill.models.families import Model
from shopstill.train.objective import Objective

Importance = Literal["magnitude", "activation", "taylor"]
"""``magnitude``: of the weights alone. ``activation``: of what they are given as well. ``taylor``: by how much the
objective would change, to first order."""

See = Callable[[str, Tensor], None]


def units(
    model: Model, calibration: Calibration, readers: Mapping[str, nn.Linear], counts: Mapping[str, int], rows: int
) -> dict[str, Tensor]:
    """Taylor importance [U] of the inputs of some linear layers: ``Σ_batches (Σ x · ∂L/∂x)²``, sums over a unit.

    Molchanov et al. 2019, https://arxiv.org/abs/1906.10771; for heads: Michel et al. 2019,
    https://arxiv.org/abs/1905.10650.

    Args:
        model: the model; its gradients are thrown away.
        calibration: the rows and the objective.
        readers: linear layers by name.
        counts: name → U.
        rows: how many calibration rows are looked at.
    """
    total = {name: torch.zeros(counts[name]) for name in readers}
    sums: dict[str, Tensor] = {}

    def see(name: str, x: Tensor) -> None:
        if x.requires_grad:
            x.register_hook(lambda slope: _add(sums, name, (x.detach() * slope).flatten(0, -2).sum(0)))

    objective: Objective | None = None
    with watching(readers, see), _matrices_at_rest(model.network):
        for batch in calibration.batches(model, rows, batch_rows=16):
            objective = objective or objective_for(model, calibration, batch)
            calibration.loss(model, batch, objective).backward()
            for name, sum_C in sums.items():
                total[name] += sum_C.unflatten(0, (counts[name], -1)).sum(1).square()
            sums.clear()
    model.network.zero_grad(set_to_none=True)
    return total


@torch.no_grad()
def grams(model: Model, calibration: Calibration, readers: Mapping[str, nn.Module], rows: int) -> dict[str, Tensor]:
    """Mean ``xᵀx`` [C, C] of the inputs of some layers; a layer that is never called is left out."""
    total: dict[str, Tensor] = {}
    count = dict.fromkeys(readers, 0)

    def see(name: str, x: Tensor) -> None:
        x_SC = x.detach().flatten(0, -2).float()
        _add(total, name, x_SC.T @ x_SC)
        count[name] += len(x_SC)

    with watching(readers, see):
        for batch in calibration.batches(model, rows):
            model.network(**batch.inputs)
    return {name: gram / max(1, count[name]) for name, gram in total.items()}


@torch.no_grad()
def moments(model: Model, calibration: Calibration, readers: Mapping[str, nn.Module], rows: int) -> dict[str, Tensor]:
    """Mean square [C] of each input of some layers."""
    total = {name: torch.zeros(0) for name in readers}
    count = dict.fromkeys(readers, 0)

    def see(name: str, x: Tensor) -> None:
        x_SC = x.detach().flatten(0, -2)
        total[name] = x_SC.square().sum(0) + (total[name] if len(total[name]) else 0)
        count[name] += len(x_SC)

    with watching(readers, see):
        for batch in calibration.batches(model, rows):
            model.network(**batch.inputs)
    return {name: value / max(1, count[name]) for name, value in total.items()}


@contextmanager
def watching(modules: Mapping[str, nn.Module], see: See) -> Iterator[None]:
    """Show the first input of each module, whenever it is called."""
    hooks = [module.register_forward_pre_hook(_pre_hook(name, see)) for name, module in modules.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _matrices_at_rest(network: nn.Module) -> Iterator[None]:
    """No gradients for tables and matrices, which would cost a third of the work; norms and biases carry the rest."""
    matrices = [value for value in network.parameters() if value.dim() > 1 and value.requires_grad]
    for value in matrices:
        value.requires_grad_(False)
    try:
        yield
    finally:
        for value in matrices:
            value.requires_grad_(True)


def _pre_hook(name: str, see: See) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    return lambda _, inputs: see(name, inputs[0])


def objective_for(model: Model, calibration: Calibration, batch: Any) -> Objective:
    """The calibration's objective, with the projections that it needs on such a batch."""
    objective = Objective(calibration.objective)
    if batch.teacher is not None and batch.teacher.features:
        torch.manual_seed(calibration.seed)
        with torch.no_grad():
            objective.build(model.network(**batch.inputs), batch.teacher)
    return objective


def _add(sums: dict[str, Tensor], name: str, value: Tensor) -> None:
    sums[name] = sums[name] + value if name in sums else value
