"""Factorise linear layers, and token tables, into two narrow ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from shopstill.compress import Stage, _importance, _tables
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._narrow import principal
from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.models.compact import replace_module
from shopstill.models.compact.low_rank import LowRank
from shopstill.models.compact.low_rank_table import LowRankTable

_RIDGE = 1e-6


@config
class Factorise:
    """Replace ``W`` by ``U·V`` of a rank that is stated, or keeps so much of its energy or of its weights.

    With ``importance: activation`` the rank goes where calibration rows need it: ``E‖(W − UV)x‖²`` is least, by the
    singular values of ``W·S`` with ``S·Sᵀ = E[x·xᵀ]`` (as in https://arxiv.org/abs/2403.07378); tables count each token
    as often as the shop's texts use it. With ``none`` all directions count alike. Layers that would not get smaller
    stay dense.

    Raises:
        ConfigError: not exactly one of ``rank``, ``energy`` and ``share`` is given, or nothing would get smaller.

    >>> Factorise(energy=0.95).tables
    False
    """

    kind: Literal["low_rank"] = "low_rank"
    rank: int | None = Field(default=None, ge=1)
    energy: float | None = Field(default=None, gt=0, le=1)
    share: float | None = Field(default=None, gt=0, lt=1)
    importance: Literal["none", "activation"] = "activation"
    linears: bool = True
    tables: bool = False
    rows: int = Field(default=512, ge=1)

    stage: ClassVar[Stage] = "weights"

    def __post_init__(self) -> None:
        if sum(option is not None for option in (self.rank, self.energy, self.share)) != 1:
            raise ConfigError("low_rank: give exactly one of rank, energy (of the weights) and share (of their number)")

    def milder(self) -> Factorise | None:
        """Half of what went stays as well; None where a rank is given, or nearly all stays already."""
        for name in ("energy", "share"):
            kept = getattr(self, name)
            if kept is not None and kept <= 0.9:
                return replace(self, **{name: (1 + kept) / 2})
        return None

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with factorised layers."""
        made = copied(model)
        done = self._linears(made, calibration) if self.linears else 0
        done += self._tables(made, calibration) if self.tables else 0
        if not done:
            raise ConfigError("low_rank: nothing would get smaller; ask for less rank, or leave the pass out")
        ranks = {n: m.rank for n, m in made.network.named_modules() if isinstance(m, LowRank | LowRankTable)}
        calibration.notes[self.kind] = ranks
        return made

    def _linears(self, made: M, calibration: Calibration) -> int:
        found = {name: m for name, m in made.network.named_modules() if type(m) is nn.Linear}
        seen: dict[str, Tensor] = {}
        if self.importance == "activation":
            seen = _importance.grams(made, calibration, found, self.rows)
        done = 0
        for name, linear in found.items():
            widen, narrow, values = factors(linear.weight.detach(), seen.get(name))
            rank = self._rank(values, *linear.weight.shape)
            if rank * sum(linear.weight.shape) < linear.weight.numel():
                replace_module(made.network, name, _part(linear, widen[:, :rank], narrow[:rank]))
                done += 1
        return done

    def _tables(self, made: M, calibration: Calibration) -> int:
        done = 0
        for name, table in _tables.token_tables(made.network).items():
            weight = table.weight.detach().double()
            count_V = torch.ones(len(weight), dtype=torch.float64)
            if self.importance == "activation":
                count_V = _tables.use(made, calibration, len(weight), self.kind).double()
            narrow, back = principal(weight, count_V, weight.shape[1])
            energy = (narrow.square() * count_V[:, None]).sum(0)
            rank = self._rank(energy.sqrt(), *weight.shape)
            if rank * sum(weight.shape) < weight.numel():
                part = LowRankTable(table.num_embeddings, table.embedding_dim, rank)
                with torch.no_grad():
                    part.narrow.weight.copy_(narrow[:, :rank])
                    part.widen.weight.copy_(back[:, :rank])
                replace_module(made.network, name, part)
                done += 1
        return done

    def _rank(self, values: Tensor, rows: int, columns: int) -> int:
        """How many singular values stay, of those there are."""
        if self.rank is not None:
            return min(self.rank, len(values))
        if self.share is not None:
            return min(len(values), max(1, int(self.share * rows * columns / (rows + columns))))
        share = values.square().cumsum(0) / values.square().sum().clamp(min=1e-30)
        # What rounding leaves out of the sum is not worth a rank.
        return min(len(values), int((share < (self.energy or 1.0) - 1e-12).sum()) + 1)


def factors(weight: Tensor, gram: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """``widen`` [out, r], ``narrow`` [r, in] and the singular values [r] of a weight, best rank first.

    >>> weight = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
    >>> widen, narrow, _ = factors(weight, torch.eye(2))
    >>> torch.allclose(widen @ narrow, weight.double())
    True
    """
    weight = weight.double()
    axes = torch.eye(weight.shape[1], dtype=torch.float64)
    size = torch.ones(weight.shape[1], dtype=torch.float64)
    if gram is not None:
        # Few rows, or inputs that follow from each other, leave directions of no size: they must not be divided by.
        squares, axes = torch.linalg.eigh(gram.double())
        size = squares.clamp(min=_RIDGE * float(gram.diagonal().mean()) + 1e-30).sqrt()
    left, values, right = torch.linalg.svd(weight @ (axes * size), full_matrices=False)
    half = values.sqrt()
    return left * half, (half[:, None] * right / size) @ axes.T, values


def _part(linear: nn.Linear, widen: Tensor, narrow: Tensor) -> LowRank:
    options: dict[str, Any] = {"rank": len(narrow), "bias": linear.bias is not None}
    part = LowRank(linear.in_features, linear.out_features, **options)
    with torch.no_grad():
        part.widen.weight.copy_(widen)
        part.narrow.weight.copy_(narrow)
        if part.widen.bias is not None:
            part.widen.bias.copy_(linear.bias)
    return part


low_rank = Factorise
