"""The interfaces between stages, and nothing else.

Shape legend, used in names everywhere: ``B`` rows of a batch, ``K`` classes or outputs, ``D`` feature width,
``T`` tokens, ``H`` heads, ``G`` groups (queries). ``logits_BK`` is a tensor of B rows and K columns; ``score_B`` has
one value a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import Field
from torch import Tensor

from shopstill.core.config import config

Takes = Literal["logits", "scores", "features", "attention"]
"""What a loss compares: ``logits`` [B, K], ``scores`` [B], ``features`` [B, D] or ``attention`` [B, H, T, T]."""

Against = Literal["teacher", "target"]
"""Whether a loss compares the student with the teacher's outputs or with the truth."""


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What every model returns.

    Attributes:
        logits: [B] scores or [B, K] logits, unsquashed.
        features: name → tensor with B rows: embeddings, hidden states, attention relations.
    """

    logits: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A piece of training or judging data.

    Attributes:
        inputs: what the model's ``forward`` takes, by name.
        target: [B] truth (grade, click, class); NaN (or -1 for classes) in rows that nobody judged. Or [B, K], the
            share of each class in a mixed row, NaN where nobody judged it.
        group: [B] number of the query, user or graph that each row belongs to; equal numbers are adjacent.
        weight: [B] weight of each row, or None for all ones.
        teacher: the teacher's signals for the same rows, or None.
        own: [B] whether a row was asked for. The others pair a batch's queries with its other products, and count as
            the least there is; terms that look ``across`` see them, the rest do not. None: all were.
    """

    inputs: Mapping[str, Tensor]
    target: Tensor
    group: Tensor
    weight: Tensor | None = None
    teacher: Signals | None = None
    own: Tensor | None = None


class Loss(Protocol):
    """A pure function of tensors; see ``LossSpec`` for what it is given."""

    def __call__(self, student: Tensor, other: Tensor, **options: Any) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class LossSpec:
    """What a loss needs; each module in ``losses/`` states it as ``SPEC``.

    Attributes:
        takes: the kind of tensor.
        against: teacher or target.
        grouped: True where it also takes ``group_B``: it compares rows within a group only.
        with_target: True where a loss against the teacher also takes the true class of each row as ``target_B``.
        source: the paper or page the formula comes from.
    """

    takes: Takes
    against: Against
    grouped: bool = False
    with_target: bool = False
    source: str


@config
class Term:
    """One part of an objective.

    Attributes:
        loss: name in the registry of losses.
        weight: its factor (λ or α in the literature).
        until: share of the training after which the factor has gone to ``then`` in a straight line; constant when null.
        then: the factor at ``until`` and after.
        tap: which named feature it compares, for losses of features and attention; logits otherwise.
            ``hidden:pooled`` is the student's ``hidden`` against the teacher's ``pooled``.
        across: compare each query of a batch with all its products, not only with its own; for losses that compare
            within a group. What a query was not asked about counts as irrelevant to it.
        options: keyword arguments of the loss, such as ``{"temperature": 2.0}``.
    """

    loss: str
    weight: float = Field(default=1.0, ge=0)
    until: float | None = Field(default=None, gt=0, le=1)
    then: float = Field(default=0.0, ge=0)
    tap: str | None = None
    across: bool = False
    options: dict[str, Any] = Field(default_factory=dict)

    def factor(self, done: float) -> float:
        """The weight when a share ``done`` of the training lies behind.

        >>> Term(loss="mse", weight=1.0, until=0.5, then=0.0).factor(0.25)
        0.5
        """
        if self.until is None:
            return self.weight
        return self.weight + (self.then - self.weight) * min(done / self.until, 1.0)
