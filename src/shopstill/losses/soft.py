"""Soft targets: the teacher's distribution over classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from shopstill.losses._common import aligned, positive, row_weight, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="logits", against="teacher", source="Hinton et al. 2015, arXiv:1503.02531, section 2")


def soft(student: Tensor, teacher: Tensor, *, temperature: float = 1.0, weight_B: Tensor | None = None) -> Tensor:
    """KL divergence of the student's softened classes from the teacher's.

    L = τ² · mean_b Σ_k p_bk · log(p_bk / q_bk), with p = softmax(t/τ) and q = softmax(s/τ).
    The factor τ² keeps the gradient's size when τ changes: ∂L/∂s_bk = τ·(q_bk − p_bk)/B.

    Args:
        student: [B, K] logits.
        teacher: [B, K] logits.
        temperature: τ above 0.
        weight_B: [B] weights of at least 0; the mean is weighted.

    Raises:
        ConfigError: shapes do not match, or τ is not above 0.

    Source: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015 (arXiv:1503.02531).

    >>> import torch
    >>> teacher = torch.tensor([[0.0, 3.0 * torch.log(torch.tensor(3.0))]])
    >>> round(soft(torch.zeros(1, 2), teacher, temperature=3.0).item(), 4)  # 9·(¼·log ½ + ¾·log 3/2)
    1.1773
    """
    positive(temperature=temperature)
    student, teacher = aligned(student, teacher, "BK")
    log_p, log_q = F.log_softmax(teacher / temperature, -1), F.log_softmax(student / temperature, -1)
    kl_B = (log_p.exp() * (log_p - log_q)).sum(-1)
    return temperature**2 * weighted_mean(kl_B, row_weight(weight_B, student))
