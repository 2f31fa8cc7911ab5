"""How an encoder becomes narrower, and which directions of a table matter most.

Shapes: ``D`` width before, ``E`` after, ``V`` tokens, ``S`` tokens of a batch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.compress import _importance
from shopstill.compress._calibration import Calibration
from shopstill.compress._encoders import slim
from shopstill.compress._importance import Importance
from shopstill.compress._ranked import levelled
from shopstill.models.cross import CrossEncoder, FirstHead, SidesHead
from shopstill.models.encoder import Encoder, Layer
from shopstill.models.families import Model
from shopstill.models.label import BothNetwork, TextNetwork
from shopstill.models.label.texts import EncoderBody
from shopstill.models.towers import TokenTower


class Wanted(Protocol):
    """How narrow, by which importance, seen on how many rows."""

    @property
    def width(self) -> int: ...
    @property
    def importance(self) -> Importance: ...
    @property
    def rows(self) -> int: ...


def principal(vectors_VD: Tensor, weight_V: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Principal components [V, E] of weighted vectors about the origin, and the directions [D, E] that turn them back.

    ``components @ directions.T`` is the nearest matrix of that rank, rows weighted.

    >>> narrow, back = principal(torch.tensor([[3.0, 4.0], [6.0, 8.0]]), torch.ones(2), width=1)
    >>> (narrow @ back.T).round(decimals=3).tolist()
    [[3.0, 4.0], [6.0, 8.0]]
    """
    gram = (vectors_VD * weight_V[:, None]).T @ vectors_VD
    directions = torch.linalg.eigh(gram).eigenvectors.flip(1)[:, :width]
    return vectors_VD @ directions, directions


def encoder(model: Model, calibration: Calibration, name: str, made: Encoder, wanted: Wanted) -> None:
    """Narrow an encoder of a model, and whatever reads its states, in place."""
    before = made.size
    readers = _readers(model.network, name, made)
    score_D = _scores(model, calibration, readers, wanted)
    if wanted.importance == "magnitude":
        score_D = score_D * _scale(made)
    keep = torch.argsort(score_D, descending=True, stable=True)
    keep = keep[: wanted.width].sort().values
    fits = _norm_fits(model, calibration, made, keep, wanted.rows)
    for table in ("tokens", "positions", "segments"):
        setattr(made, table, nn.Embedding.from_pretrained(getattr(made, table).weight.detach()[:, keep], freeze=False))
    for layer in {id(layer): layer for layer in made.layers}.values():
        _narrow_layer(layer, keep)
    for norm, fit in fits:
        _narrow_norm(norm, *fit)
    each = tuple(before.layer(at) for at in range(before.layers))
    made.size = replace(before, width=wanted.width, each=each)
    for module in model.network.modules():
        if isinstance(module, CrossEncoder) and module.encoder is made:
            module.head = _narrow_head(module, keep, before.width)
        if isinstance(module, TokenTower) and module.body is made:
            module.project = slim(module.project, columns=keep)
        if _classifies(module, made):
            owner, part = module.text_reader
            setattr(owner, part, slim(getattr(owner, part), columns=keep))


def _classifies(module: nn.Module, made: Encoder) -> TypeGuard[TextNetwork | BothNetwork]:
    """Whether a network puts texts into classes by the states of that encoder."""
    if not isinstance(module, TextNetwork | BothNetwork):
        return False
    return isinstance(module.body, EncoderBody) and module.body.encoder is made


def _readers(network: nn.Module, name: str, made: Encoder) -> dict[str, nn.Linear]:
    """Every linear layer that reads the states."""
    found = {f"{name}.{n}": m for n, m in made.named_modules() if n.rpartition(".")[2] in ("query", "key_value", "up")}
    for owner, module in network.named_modules():
        if isinstance(module, CrossEncoder) and module.encoder is made:
            found[f"{owner}.head.dense"] = module.head.dense
        if isinstance(module, TokenTower) and module.body is made:
            found[f"{owner}.project"] = module.project
        if _classifies(module, made):
            holder, part = module.text_reader
            found[f"{owner}.text_reader"] = getattr(holder, part)
    return {n: m for n, m in found.items() if isinstance(m, nn.Linear)}


def _scores(model: Model, calibration: Calibration, readers: dict[str, nn.Linear], wanted: Wanted) -> Tensor:
    """Importance of each dimension [D]; a head that reads several vectors end to end counts each of them."""
    columns = {name: reader.in_features for name, reader in readers.items()}
    if wanted.importance == "taylor":
        scores = _importance.units(model, calibration, readers, columns, wanted.rows)
    else:
        scores = {name: reader.weight.detach().square().sum(0) for name, reader in readers.items()}
        if wanted.importance == "activation":
            seen = _importance.moments(model, calibration, readers, wanted.rows)
            scores = {name: score * seen[name] for name, score in scores.items() if len(seen[name])}
        scores = levelled(scores)
    width = min(columns.values())
    return torch.stack([score.unflatten(0, (-1, width)).sum(0) for score in scores.values()]).sum(0)


def _scale(made: Encoder) -> Tensor:
    """How large the norms make each dimension [D]."""
    norms = [m for m in made.modules() if isinstance(m, nn.LayerNorm)]
    return torch.stack([(norm.weight.square() + norm.bias.square()).detach() for norm in norms]).mean(0)


@torch.no_grad()
def _norm_fits(
    model: Model, calibration: Calibration, made: Encoder, keep: Tensor, rows: int
) -> list[tuple[nn.LayerNorm, tuple[Tensor, Tensor]]]:
    """Each norm with the weight and bias under which, over the kept dimensions alone, it gives nearest what it gave."""
    norms = {name: module for name, module in made.named_modules() if isinstance(module, nn.LayerNorm)}
    sums = {name: torch.zeros(5, len(keep), dtype=torch.float64) for name in norms}

    def see(name: str, x: Tensor) -> None:
        norm = norms[name]
        x_SD = x.detach().flatten(0, -2)
        x_SE = F.layer_norm(x_SD[:, keep], (len(keep),), eps=norm.eps).double()
        y_SE = F.layer_norm(x_SD, norm.normalized_shape, norm.weight, norm.bias, norm.eps)[:, keep].double()
        parts = (torch.ones_like(x_SE), x_SE, y_SE, x_SE * x_SE, x_SE * y_SE)
        sums[name] += torch.stack([part.sum(0) for part in parts])

    with _importance.watching(norms, see):
        for batch in calibration.batches(model, rows):
            model.network(**batch.inputs)
    return [(norm, _line(sums[name], norm.weight[keep].double())) for name, norm in norms.items()]


def _line(sums: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and offset of the least-squares line in each dimension; the old weight where nothing varies."""
    count, x, y, xx, xy = sums
    count = count.clamp(min=1)
    spread = xx / count - (x / count).square()
    slope = torch.where(spread > 1e-9, (xy / count - x * y / count**2) / spread.clamp(min=1e-9), weight)
    return slope, (y - slope * x) / count


def _narrow_norm(norm: nn.LayerNorm, weight: Tensor, bias: Tensor) -> None:
    norm.normalized_shape = (len(weight),)
    norm.weight, norm.bias = nn.Parameter(weight.float()), nn.Parameter(bias.float())


def _narrow_layer(layer: Any, keep: Tensor) -> None:
    assert isinstance(layer, Layer)
    for reads in ("query", "key_value", "up"):
        setattr(layer, reads, slim(getattr(layer, reads), columns=keep))
    for writes in ("out", "down"):
        setattr(layer, writes, slim(getattr(layer, writes), rows=keep))


@torch.no_grad()
def _narrow_head(network: CrossEncoder, keep: Tensor, before: int) -> FirstHead | SidesHead:
    """The head over the kept dimensions, with as many of its most important hidden units."""
    old, width = network.head, len(keep)
    hidden = torch.argsort(old.out.weight.norm(dim=0) * old.dense.weight.norm(dim=1), descending=True, stable=True)
    hidden = hidden[:width].sort().values
    if isinstance(old, FirstHead):
        made: FirstHead | SidesHead = FirstHead(width, network.config)
        made.dense = slim(old.dense, rows=hidden, columns=keep)
    else:
        made = SidesHead(width, network.config)
        made.dense = slim(old.dense, rows=hidden, columns=torch.cat([keep, keep + before, keep + 2 * before]))
        # The head scales products of both sides by the root of the width.
        made.dense.weight[:, 2 * width :] *= (before / width) ** 0.5
        made.scale, made.shift = old.scale, old.shift
    made.out = slim(old.out, columns=hidden)
    return made.train(old.training)
