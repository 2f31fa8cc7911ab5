"""Attention: which tokens attend to, or resemble, which."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shopstill.losses._common import aligned, row_weight, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(
    takes="attention", against="teacher", source="Wang et al. 2021, MiniLMv2, arXiv:2012.15828, section 3.1"
)


def attention_relation(student: Tensor, teacher: Tensor, *, weight_B: Tensor | None = None) -> Tensor:
    """KL divergence of the student's relations between tokens from the teacher's.

    L = mean_b mean_{h,i} Σ_j P_bhij · log(P_bhij/Q_bhij), with P = softmax_j(t) and Q = softmax_j(s).

    Both sides are relation scores *before* the softmax, such as Q·Kᵀ/√d, V·Vᵀ/√d, over relation heads. −∞ on either
    side marks padding: a place that is −∞ is left out of its row, and a row of nothing but −∞ out of the mean.

    Args:
        student: [B, H, T, T] relation scores.
        teacher: [B, H, T, T] relation scores; bring the student to the same number of relation heads.
        weight_B: [B] weights of at least 0; the mean over examples is weighted.

    Raises:
        ConfigError: shapes do not match.

    Source: Wang et al., MiniLMv2: Multi-Head Self-Attention Relation Distillation, 2021 (arXiv:2012.15828).

    >>> import torch
    >>> teacher = torch.tensor([3.0, 1.0]).log().expand(1, 1, 2, 2)
    >>> round(attention_relation(torch.zeros(1, 1, 2, 2), teacher).item(), 4)  # ¼·log ½ + ¾·log 3/2
    0.1308
    """
    student, teacher = aligned(student, teacher, "BHTT")
    padding = student.isneginf() | teacher.isneginf()
    # Not -inf: a row of nothing but padding would become NaN, and NaN times zero stays NaN.
    lowest = torch.finfo(student.dtype).min / 2
    log_p = F.log_softmax(teacher.masked_fill(padding, lowest), -1)
    log_q = F.log_softmax(student.masked_fill(padding, lowest), -1)
    kl_BHT = (log_p.exp() * (log_p - log_q)).sum(-1)
    live_BHT = (~padding).any(-1).to(kl_BHT.dtype)
    live_B = live_BHT.sum((1, 2))
    mean_B = (kl_BHT * live_BHT).sum((1, 2)) / live_B.clamp_min(1)
    return weighted_mean(mean_B, row_weight(weight_B, student) * (live_B > 0))
