"""Soft targets: the teacher's probability from one logit."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from shopstill.losses._common import aligned, positive, row_weight, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="scores", against="teacher", source="Hinton et al. 2015, arXiv:1503.02531, with two classes")


def soft_bce(student: Tensor, teacher: Tensor, *, temperature: float = 1.0, weight_B: Tensor | None = None) -> Tensor:
    """Binary KL divergence of the student's softened probability from the teacher's; ``soft`` on the logits [0, s].

    L = τ² · mean_b [p_b · log(p_b/q_b) + (1 − p_b) · log((1 − p_b)/(1 − q_b))], with p = σ(t/τ) and q = σ(s/τ).
    It differs from binary cross-entropy with target p by the teacher's entropy, so that its least value is 0.

    Args:
        student: [B] logits.
        teacher: [B] logits.
        temperature: τ above 0.
        weight_B: [B] weights of at least 0; the mean is weighted.

    Raises:
        ConfigError: shapes do not match, or τ is not above 0.

    Source: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015 (arXiv:1503.02531).

    >>> import torch
    >>> round(soft_bce(torch.zeros(1), torch.tensor([3.0]).log()).item(), 4)  # ¼·log ½ + ¾·log 3/2
    0.1308
    """
    positive(temperature=temperature)
    student, teacher = aligned(student, teacher, "B")
    s, t = student / temperature, teacher / temperature
    yes = t.sigmoid() * (F.logsigmoid(t) - F.logsigmoid(s))
    no = (-t).sigmoid() * (F.logsigmoid(-t) - F.logsigmoid(-s))
    return temperature**2 * weighted_mean(yes + no, row_weight(weight_B, student))
