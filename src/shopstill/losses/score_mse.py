"""Soft targets: regression on the teacher's logits."""

from __future__ import annotations

from torch import Tensor

from shopstill.losses._common import aligned, row_weight, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="scores", against="teacher", source="Ba and Caruana 2014, arXiv:1312.6184, section 2.2")


def score_mse(student: Tensor, teacher: Tensor, *, weight_B: Tensor | None = None) -> Tensor:
    """Mean squared distance of the student's logits from the teacher's, neither squashed.

    L = mean_b (s_b − t_b)².

    Args:
        student: [B] logits.
        teacher: [B] logits.
        weight_B: [B] weights of at least 0; the mean is weighted.

    Raises:
        ConfigError: shapes do not match.

    Source: Ba and Caruana, Do Deep Nets Really Need to be Deep?, 2014 (arXiv:1312.6184); without their factor ½.

    >>> import torch
    >>> score_mse(torch.tensor([1.0, 2.0]), torch.tensor([1.0, -1.0])).item()
    4.5
    """
    student, teacher = aligned(student, teacher, "B")
    return weighted_mean((student - teacher).square(), row_weight(weight_B, student))
