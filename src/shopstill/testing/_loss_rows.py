"""What a loss is given, as one value: drawn at random, cast, picked from and handed over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from shopstill.types import LossSpec

GROUP_SIZES = (4, 3, 5)
_CLASSES, _WIDTH, _HEADS, _TOKENS = 4, 5, 2, 3


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The tensors of one call.

    Attributes:
        student: the side that learns.
        other: the teacher or the target.
        group_B: groups of the rows, for a grouped loss.
        target_B: true classes, for a loss against the teacher that takes them.
        weight_B: weights of the rows, or None.
    """

    student: Tensor
    other: Tensor
    group_B: Tensor | None = None
    target_B: Tensor | None = None
    weight_B: Tensor | None = None


def call(function: Callable[..., Tensor], rows: Rows, **options: Any) -> Tensor:
    """The loss of these rows."""
    for name in ("target_B", "weight_B"):
        if getattr(rows, name) is not None:
            options[name] = getattr(rows, name)
    return function(rows.student, rows.other, *([] if rows.group_B is None else [rows.group_B]), **options)


def draw(spec: LossSpec, seed: int = 0) -> Rows:
    """Twelve random rows in float64: three groups of different sizes, every grade and class among them."""
    random = torch.Generator().manual_seed(seed)
    count = sum(GROUP_SIZES)
    shape = {
        "logits": (count, _CLASSES),
        "scores": (count,),
        "features": (count, _WIDTH),
        "attention": (count, _HEADS, _TOKENS, _TOKENS),
    }[spec.takes]
    student, teacher = (torch.randn(shape, generator=random, dtype=torch.float64) for _ in range(2))
    classes = torch.arange(count).remainder(_CLASSES)[torch.randperm(count, generator=random)]
    grades = torch.arange(count).remainder(3).double() / 2
    truth = classes if spec.takes == "logits" else grades
    numbers = torch.tensor([7, 3, 9]).repeat_interleave(torch.tensor(GROUP_SIZES))
    return Rows(
        student=student,
        other=teacher if spec.against == "teacher" else truth,
        group_B=numbers if spec.grouped else None,
        target_B=classes if spec.with_target else None,
    )


def pick(rows: Rows, index: Tensor) -> Rows:
    """Some of the rows, in a new order."""
    given = {field.name: getattr(rows, field.name) for field in fields(rows)}
    return replace(rows, **{name: tensor[index] for name, tensor in given.items() if tensor is not None})


def cast(rows: Rows, dtype: torch.dtype) -> Rows:
    """The same rows in another precision; whole numbers stay whole."""
    other = rows.other.to(dtype) if rows.other.is_floating_point() else rows.other
    return replace(rows, student=rows.student.to(dtype), other=other)


def extremes(spec: LossSpec) -> dict[str, Rows]:
    """Rows at the edges of what a loss may meet, each in float32, by what is extreme about them."""
    rows = cast(draw(spec), torch.float32)
    teacher = spec.against == "teacher"
    student = 1e4 * rows.student.sign()
    same = torch.ones_like(rows.other) if rows.other.is_floating_point() else torch.zeros_like(rows.other)
    found = {
        "logits of 10,000": replace(rows, student=student, other=1e4 * rows.other.sign() if teacher else rows.other),
        "student and teacher opposed at 10,000": replace(rows, student=student, other=-student if teacher else same),
        "all zero": replace(rows, student=torch.zeros_like(student), other=torch.zeros_like(rows.other)),
        "all equal": replace(rows, student=torch.ones_like(student), other=same),
        "one row": pick(rows, torch.tensor([0])),
        "no rows": pick(rows, torch.arange(0)),
    }
    if spec.grouped:
        found["groups of one row"] = replace(rows, group_B=torch.arange(len(student)))
    if spec.takes == "logits":
        zero = torch.zeros(len(student), dtype=torch.int64)
        one = Rows(student=student[:, :1], other=rows.other[:, :1] if teacher else zero)
        found["one class"] = replace(one, target_B=zero if spec.with_target else None)
    return found


def agreement(spec: LossSpec, rows: Rows) -> float:
    """How near the student is to the other side, by a measure that is no loss; more is nearer.

    Scores: correlation, within groups. Logits and relations: shared probability, or that of the true class.
    Features: cosine of the rows, plus the correlation of the distances among them.
    """
    if spec.takes == "features":
        direction = torch.cosine_similarity(rows.student, rows.other).mean()
        return float(direction) + _correlation(torch.pdist(rows.student), torch.pdist(rows.other))
    if spec.takes == "scores":
        parts = [torch.arange(len(rows.student))] if rows.group_B is None else _blocks(rows.group_B)
        return sum(_correlation(rows.student[part], rows.other[part]) for part in parts) / len(parts)
    shares = rows.student.softmax(-1)
    if spec.against == "target":
        return float(shares.gather(1, rows.other[:, None]).mean())
    return float(torch.minimum(shares, rows.other.softmax(-1)).sum(-1).mean())


def _blocks(group_B: Tensor) -> list[Tensor]:
    return [(group_B == number).nonzero()[:, 0] for number in group_B.unique()]


def _correlation(left: Tensor, right: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([left, right]))[0, 1])
