"""Soft targets: the target class and the other classes apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shopstill.losses._common import aligned, between, class_target, positive, row_weight, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(
    takes="logits", against="teacher", with_target=True, source="Zhao et al. 2022, arXiv:2203.08679, equation 7"
)


def decoupled(
    student: Tensor,
    teacher: Tensor,
    *,
    target_B: Tensor | None = None,
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: float = 4.0,
    weight_B: Tensor | None = None,
) -> Tensor:
    """Decoupled distillation: how sure the target class is, and how the other classes compare, each with its weight.

    L = τ² · mean_b (α·TCKD_b + β·NCKD_b), with p = softmax(t/τ), q = softmax(s/τ) and c the target class:
    TCKD = p_c·log(p_c/q_c) + (1 − p_c)·log((1 − p_c)/(1 − q_c)); NCKD = KL(p̂‖q̂), p̂ and q̂ being p and q over the
    classes other than c, brought to sum 1. With α = 1 and β = 1 − p_c it would be ``soft``.

    Args:
        student: [B, K] logits.
        teacher: [B, K] logits.
        target_B: [B] whole numbers from 0 to K − 1; where it is −1 or not given, the teacher's own top class.
        alpha: α, at least 0.
        beta: β, at least 0.
        temperature: τ above 0.
        weight_B: [B] weights of at least 0; the mean is weighted.

    Raises:
        ConfigError: shapes do not match, a class does not exist, or an option is out of bounds.

    Source: Zhao et al., Decoupled Knowledge Distillation, CVPR 2022 (arXiv:2203.08679).

    >>> import torch
    >>> logits = torch.tensor([[2.0, 0.0, 1.0]])
    >>> decoupled(logits, logits, target_B=torch.tensor([0])).item()
    0.0
    """
    positive(temperature=temperature)
    between(0, torch.inf, alpha=alpha, beta=beta)
    student, teacher = aligned(student, teacher, "BK")
    weight = row_weight(weight_B, student)
    if not student.numel() or student.shape[1] < 2:
        return weighted_mean(student.sum(-1) * 0, weight)
    class_BK = F.one_hot(_target(target_B, teacher), student.shape[1]).bool()
    target_kl_B, other_kl_B = _parts(teacher / temperature, student / temperature, class_BK)
    return temperature**2 * weighted_mean(alpha * target_kl_B + beta * other_kl_B, weight)


def _parts(t_BK: Tensor, s_BK: Tensor, class_BK: Tensor) -> tuple[Tensor, Tensor]:
    """TCKD and NCKD of every row."""
    all_t, all_s = t_BK.logsumexp(-1), s_BK.logsumexp(-1)
    t_rest, s_rest = t_BK.masked_fill(class_BK, -torch.inf), s_BK.masked_fill(class_BK, -torch.inf)
    rest_t, rest_s = t_rest.logsumexp(-1), s_rest.logsumexp(-1)
    gap_BK = t_BK - s_BK
    yes = (gap_BK * class_BK).sum(-1) - (all_t - all_s)
    no = (rest_t - rest_s) - (all_t - all_s)
    share_B = (rest_t - all_t).exp()
    # The sums run over all classes; the class itself has no share within the rest.
    other_kl_B = (t_rest.softmax(-1) * gap_BK).sum(-1) - (rest_t - rest_s)
    return (1 - share_B) * yes + share_B * no, other_kl_B


def _target(target_B: Tensor | None, teacher_BK: Tensor) -> Tensor:
    top_B = teacher_BK.argmax(-1)
    if target_B is None:
        return top_B
    target_B = class_target(target_B, teacher_BK)
    return torch.where(target_B < 0, top_B, target_B)
