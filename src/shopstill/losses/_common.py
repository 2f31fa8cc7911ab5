"""What losses share: checked shapes and options, one precision, a detached teacher, weighted means."""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Tensor

from shopstill.core.errors import ConfigError, nearest


def aligned(student: Tensor, other: Tensor, shape: str, *, same_width: bool = True) -> tuple[Tensor, Tensor]:
    """Both sides in one precision of at least float32, the other side cut from the graph.

    Args:
        student: the side that learns; float64 stays float64, anything narrower becomes float32.
        other: the teacher or the target.
        shape: one letter a dimension, such as ``"BK"``.
        same_width: False where the last dimension may differ.

    Raises:
        ConfigError: the shapes are not of that form or do not match.
    """
    counted = len(shape) if same_width else len(shape) - 1
    if not (student.dim() == other.dim() == len(shape) and student.shape[:counted] == other.shape[:counted]):
        rule = "equal in every dimension" if same_width else f"equal in {', '.join(shape[:counted])}"
        raise ConfigError(
            f"student has shape {list(student.shape)}, the other side {list(other.shape)}; "
            f"both must be [{', '.join(shape)}] and {rule}. Project or reshape the student before the loss"
        )
    return widened(student), other.detach().to(precision(student))


def precision(student: Tensor) -> torch.dtype:
    """The type a loss computes in: float64 when the student is float64, float32 otherwise."""
    return torch.float64 if student.dtype == torch.float64 else torch.float32


def widened(student: Tensor) -> Tensor:
    """The student's tensor in the type that a loss computes in."""
    return student.to(precision(student))


def row_weight(weight_B: Tensor | None, student: Tensor) -> Tensor:
    """Weights as the loss uses them: one a row, ones where none are given.

    Raises:
        ConfigError: there is not one weight a row, or one is below 0 or NaN.
    """
    if weight_B is None:
        return torch.ones(len(student), dtype=precision(student), device=student.device)
    if weight_B.shape != student.shape[:1]:
        raise ConfigError(
            f"weight_B has shape {list(weight_B.shape)}, student {list(student.shape)}; give one weight a row"
        )
    _refuse("weight", weight_B, ~(weight_B >= 0), "at least 0")
    return weight_B.detach().to(precision(student))


def present(weight_B: Tensor | None, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The weights, then the tensors, without the rows of weight 0 (those would still act as neighbours)."""
    weight = row_weight(weight_B, tensors[0])
    if weight_B is None:
        return weight, *tensors
    keep = weight > 0
    return weight[keep], *(tensor[keep] for tensor in tensors)


def spread(most: int | None, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The same ``most`` rows of every tensor, evenly spread over them; all rows where there are no more."""
    rows = len(tensors[0])
    if most is None or rows <= most:
        return tensors
    keep = torch.arange(most, device=tensors[0].device) * rows // most
    return tuple(tensor[keep] for tensor in tensors)


def weighted_mean(value: Tensor, weight: Tensor) -> Tensor:
    """Σ w·v / Σ w; where nothing has weight, a zero that still hangs on the graph."""
    total = weight.sum()
    return (weight * value).sum() / torch.where(total > 0, total, torch.ones_like(total))


def class_target(target_B: Tensor, logits_BK: Tensor) -> Tensor:
    """Classes, checked against the logits; −1 marks a row that nobody judged.

    Raises:
        ConfigError: they are not whole numbers, not one a row, or not between −1 and K − 1.
    """
    rows, classes = logits_BK.shape
    if target_B.shape != (rows,) or target_B.is_floating_point():
        raise ConfigError(
            f"target has shape {list(target_B.shape)} and type {target_B.dtype}, student {list(logits_BK.shape)}; "
            "give one whole-number class a row, such as int64 [B]"
        )
    _refuse(
        "target",
        target_B,
        (target_B < -1) | (target_B >= classes),
        f"a class from 0 to {classes - 1}, or -1 for unjudged",
    )
    return target_B.detach().long()


def share_target(target_BK: Tensor, logits_BK: Tensor) -> tuple[Tensor, Tensor]:
    """Shares of classes, checked against the logits, 0 in rows with a NaN; and the rows that have none [B].

    Raises:
        ConfigError: they are not one a class, below 0, or do not sum to 1.
    """
    if target_BK.shape != logits_BK.shape or not target_BK.is_floating_point():
        raise ConfigError(
            f"target has shape {list(target_BK.shape)} and type {target_BK.dtype}, student {list(logits_BK.shape)}; "
            "give one share a class, such as float32 [B, K], or whole numbers [B]"
        )
    judged_B = ~target_BK.isnan().any(-1)
    share_BK = target_BK.detach().nan_to_num().to(precision(logits_BK)) * judged_B[:, None]
    total_B = share_BK.sum(-1)
    _refuse("shares", total_B, judged_B & ((share_BK.amin(-1) < 0) | ((total_B - 1).abs() > 1e-3)), "1, none below 0")
    return share_BK, judged_B


def probability_target(target_B: Tensor) -> None:
    """Refuse targets outside [0, 1]; NaN marks a row that nobody judged.

    Raises:
        ConfigError: a target is below 0 or above 1.
    """
    _refuse(
        "target", target_B, (target_B < 0) | (target_B > 1), "between 0 and 1, or NaN for unjudged; rescale the grades"
    )


def _refuse(what: str, value_B: Tensor, wrong_B: Tensor, allowed: str) -> None:
    # On an accelerator the question would make every step wait for the device.
    if value_B.device.type == "cpu" and bool(wrong_B.any()):
        row = int(wrong_B.nonzero()[0])
        raise ConfigError(f"{what} of row {row} is {value_B[row].item()!r}; it must be {allowed}")


def unit(vectors: Tensor) -> Tensor:
    """Vectors of length 1 along the last dimension; a zero vector stays zero and sends no gradient."""
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return torch.where(length > 0, vectors / torch.where(length > 0, length, torch.ones_like(length)), 0.0)


def products(left: Tensor, right: Tensor) -> Tensor:
    """Dot products of all rows with all rows, in full precision even under autocast."""
    with torch.autocast(left.device.type, enabled=False):
        return left @ right.transpose(-1, -2)


def positive(**options: float) -> None:
    """Refuse options that are not finite numbers above 0.

    Raises:
        ConfigError: one is not.
    """
    for name, value in options.items():
        if not (_is_number(value) and value > 0):
            raise ConfigError(f"{name} is {value!r}; it must be a finite number above 0, such as 1.0")


def between(low: float, high: float, **options: float) -> None:
    """Refuse options that are not finite numbers from ``low`` to ``high``, both allowed.

    Raises:
        ConfigError: one is not.
    """
    for name, value in options.items():
        if not (_is_number(value) and low <= value <= high):
            bound = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
            raise ConfigError(f"{name} is {value!r}; it must be a finite number {bound}")


def at_least(low: int, **options: int | None) -> None:
    """Refuse options that are neither None nor whole numbers of at least ``low``.

    Raises:
        ConfigError: one is not.
    """
    for name, value in options.items():
        if value is not None and not (isinstance(value, int) and not isinstance(value, bool) and value >= low):
            raise ConfigError(f"{name} is {value!r}; it must be a whole number of at least {low}")


def one_of(allowed: Collection[str], **options: str) -> None:
    """Refuse options that are not among the allowed words.

    Raises:
        ConfigError: one is not; the message names the nearest.
    """
    for name, value in options.items():
        if value not in allowed:
            raise ConfigError(f"{name} is {value!r}; {nearest(value, allowed)}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
