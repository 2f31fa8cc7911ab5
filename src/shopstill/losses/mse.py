"""Hard labels: regression on grades."""

from __future__ import annotations

import torch
from torch import Tensor

from shopstill.losses._common import aligned, row_weight, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="scores", against="target", source="Goodfellow et al. 2016, Deep Learning, section 6.2.2.1")


def mse(student: Tensor, target: Tensor, *, weight_B: Tensor | None = None) -> Tensor:
    """Mean squared distance of the student's scores from the grades.

    L = mean_b (s_b − y_b)².

    Args:
        student: [B] scores, in the unit of the grades.
        target: [B] grades; NaN leaves the row out.
        weight_B: [B] weights of at least 0; the mean is weighted.

    Raises:
        ConfigError: shapes do not match.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 6.2.2.1.

    >>> import torch
    >>> mse(torch.tensor([1.0, 2.0]), torch.tensor([3.0, float("nan")])).item()
    4.0
    """
    student, target = aligned(student, target, "B")
    unjudged = target.isnan()
    weight = row_weight(weight_B, student) * ~unjudged
    gap = torch.where(unjudged, torch.zeros_like(student), student - target)
    return weighted_mean(gap.square(), weight)
