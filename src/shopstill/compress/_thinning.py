"""Linear layers whose smallest weights are masked, more of them as training goes on.

Shapes: ``O`` outputs, ``I`` inputs of a linear layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.compress._ranked import Scope
from shopstill.models.compact._part import LinearPart

_STEP = 0.005
"""Masks are found anew when they should have as much more of the weights: on every step it would cost more than it."""


@dataclass(frozen=True, kw_only=True)
class Sparsity:
    """What is masked in the end.

    Attributes:
        share: part of the weights that is masked.
        pattern: ``(n, m)`` where of every m inputs in a row n stay; ``share`` then follows from it.
        scope: whether the smallest of each layer go, or of all together.
    """

    share: float
    pattern: tuple[int, int] | None
    scope: Scope


def masks(scores: Sequence[Tensor], wanted: Sparsity, done: float = 1.0) -> list[Tensor]:
    """Which weights stay, layer by layer [O, I] bool, when a part ``done`` of what shall go has gone.

    >>> wanted = Sparsity(share=0.5, pattern=None, scope="global")
    >>> [m.tolist() for m in masks([torch.tensor([[1.0, 9.0]]), torch.tensor([[8.0, 2.0]])], wanted)]
    [[[False, True]], [[True, False]]]
    """
    if wanted.scope == "layer":
        return [_masks([score], wanted, done)[0] for score in scores]
    return _masks(scores, wanted, done)


def cubic(done: float) -> float:
    """The part of what shall go that has gone: ``1 − (1 − done)³`` (Zhu and Gupta 2017, https://arxiv.org/abs/1710.01878).

    >>> cubic(0.5)
    0.875
    """
    return 1 - (1 - min(max(done, 0.0), 1.0)) ** 3


class Thinning(LinearPart):
    """A linear layer while its mask closes.

    Its score is the size of its weights, or what movement has gathered: ``−Σ w · ∂L/∂w`` (Sanh et al. 2020,
    https://arxiv.org/abs/2005.07683), larger where training moves a weight away from zero.
    """

    mask: Tensor
    moved: Tensor

    def __init__(self, linear: nn.Linear, movement: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.dense, self.bias, self._movement = linear.weight, linear.bias, movement
        self.settled = False
        self.plan: Plan | None = None
        self.register_buffer("mask", torch.ones_like(linear.weight, dtype=torch.bool))
        if movement:
            self.register_buffer("moved", torch.zeros_like(linear.weight))

    @property
    def weight(self) -> Tensor:
        """[O, I], zero where masked."""
        return self.dense * self.mask

    @property
    def score(self) -> Tensor:
        """What a weight must have to stay [O, I]."""
        return self.moved if self._movement else self.dense.detach().abs()

    def forward(self, x: Tensor) -> Tensor:
        """With the weights that are left; masked ones gather movement too, and can come back while it goes on."""
        weight = self.weight
        if self._movement and self.training and weight.requires_grad:
            weight.register_hook(self._move)
        return F.linear(x, weight, self.bias)

    def before_step(self, done: float) -> None:
        """Let the common plan close the masks."""
        assert self.plan is not None
        self.plan.take(done)

    @torch.no_grad()
    def _move(self, slope: Tensor) -> None:
        self.moved -= self.dense * slope


class Plan:
    """The schedule of some layers together; masks are final when a share ``until`` of the training lies behind."""

    def __init__(self, parts: Sequence[Thinning], wanted: Sparsity, until: float) -> None:
        self._parts, self._wanted, self._until = parts, wanted, until
        final = masks([torch.zeros(part.mask.shape) for part in parts], wanted)
        self._total, self._final = sum(mask.numel() for mask in final), sum(int((~mask).sum()) for mask in final)
        for part in parts:
            part.plan = self

    @torch.no_grad()
    def take(self, done: float) -> None:
        """Mask as many weights as there should be by now. What is masked already tells, so a resumed run goes on."""
        gone = sum(int((~part.mask).sum()) for part in self._parts)
        portion = cubic(done / self._until)
        final = portion >= 1 and gone != self._final
        if final or portion * self._final - gone >= _STEP * self._total:
            found = masks([part.score for part in self._parts], self._wanted, portion)
            for part, mask in zip(self._parts, found, strict=True):
                part.mask.copy_(mask)
        for part in self._parts:
            part.settled = portion >= 1


def _masks(scores: Sequence[Tensor], wanted: Sparsity, done: float) -> list[Tensor]:
    """The lowest scores of all together go; with a pattern, of those alone that the pattern lets go."""
    flat = torch.cat([_candidates(score, wanted.pattern).flatten() for score in scores])
    most = round(wanted.share * len(flat)) if wanted.pattern is None else int(torch.isfinite(flat).sum())
    stays = torch.ones(len(flat), dtype=torch.bool, device=flat.device)
    stays[torch.topk(flat, round(done * most), largest=False, sorted=False).indices] = False
    sizes = [score.numel() for score in scores]
    return [piece.view(score.shape) for piece, score in zip(stays.split(sizes), scores, strict=True)]


def _candidates(score: Tensor, pattern: tuple[int, int] | None) -> Tensor:
    """Scores, infinite where the pattern keeps the weight whatever happens."""
    if pattern is None:
        return score
    least, group = pattern
    padded = F.pad(score, (0, -score.shape[1] % group), value=-torch.inf).unflatten(1, (-1, group))
    best = padded.topk(least, dim=-1).indices
    return padded.scatter(-1, best, torch.inf).flatten(1)[:, : score.shape[1]]
