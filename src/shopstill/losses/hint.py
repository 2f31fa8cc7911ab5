"""Features: the teacher's hidden states."""

from __future__ import annotations

from torch import Tensor

from shopstill.losses._common import aligned, row_weight, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="features", against="teacher", source="Romero et al. 2015, FitNets, arXiv:1412.6550, equation 3")


def hint(student: Tensor, teacher: Tensor, *, weight_B: Tensor | None = None) -> Tensor:
    """Mean squared distance of the student's features from the teacher's.

    L = mean_b mean_d (s_bd − t_bd)². Where the widths differ, project the student first; the projection learns too.

    Args:
        student: [B, D] features.
        teacher: [B, D] features.
        weight_B: [B] weights of at least 0; the mean over rows is weighted.

    Raises:
        ConfigError: shapes do not match.

    Source: Romero et al., FitNets: Hints for Thin Deep Nets, 2015 (arXiv:1412.6550); a mean where they sum.

    >>> import torch
    >>> hint(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 4.0]])).item()
    2.0
    """
    student, teacher = aligned(student, teacher, "BD")
    return weighted_mean((student - teacher).square().mean(-1), row_weight(weight_B, student))
