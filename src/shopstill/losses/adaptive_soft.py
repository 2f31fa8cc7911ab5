"""Soft targets of a teacher that is not always right: each row counts as much as the teacher is to be trusted."""

from __future__ import annotations

from math import log
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from shopstill.losses._common import aligned, between, class_target, one_of, positive, row_weight, weighted_mean
from shopstill.types import LossSpec

By = Literal["confidence", "entropy", "disagreement"]

SPEC = LossSpec(
    takes="logits",
    against="teacher",
    with_target=True,
    source="Hinton et al. 2015, arXiv:1503.02531, section 2; weighted as in Zhang et al. 2022, arXiv:2201.00007",
)


def adaptive_soft(
    student: Tensor,
    teacher: Tensor,
    *,
    target_B: Tensor | None = None,
    by: By = "disagreement",
    sharpness: float = 1.0,
    temperature: float = 1.0,
    weight_B: Tensor | None = None,
) -> Tensor:
    """``soft`` with a weight for each row, from 0 where the teacher is not to be trusted to 1 where it is.

    L = Σ_b w_b·a_b·τ²·KL(p_b ‖ q_b) / Σ_b w_b, with p = softmax(t/τ), q = softmax(s/τ); the weights a_b are not in the
    denominator, so that a row the teacher is unsure of teaches less, and none more. With r = softmax(t), at τ = 1:

    - ``confidence``: a = ((max_k r_k − 1/K) / (1 − 1/K))^γ, 0 for a teacher that has no idea;
    - ``entropy``: a = (1 − H(r)/log K)^γ;
    - ``disagreement``: a = (r_c / max_k r_k)^γ with c the true class: 1 where it is the teacher's own, less the surer
      the teacher is of another. Where the row has no true class the teacher is taken at its word, a = 1.

    Args:
        student: [B, K] logits.
        teacher: [B, K] logits.
        target_B: [B] whole numbers from 0 to K − 1, or −1 for rows that nobody judged; for ``disagreement``.
        by: what the weight comes from.
        sharpness: γ, at least 0; 0 makes all weights 1, and the loss ``soft``.
        temperature: τ above 0.
        weight_B: w, [B] weights of at least 0.

    Raises:
        ConfigError: shapes do not match, a class does not exist, or an option is out of bounds.

    Source: Zhang, Chen and Wang, Confidence-Aware Multi-Teacher Knowledge Distillation, ICASSP 2022 (arXiv:2201.00007),
    weighs teachers by their cross-entropy with the truth, −log r_c; here one teacher's rows, by r_c over its largest
    probability. By entropy as in Kwon et al. 2020, Adaptive Knowledge Distillation Based on Entropy (ICASSP 2020).

    >>> round(adaptive_soft(torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log(), by="confidence").item(), 4)  # ½ · soft
    0.0654
    """
    positive(temperature=temperature)
    between(0, torch.inf, sharpness=sharpness)
    one_of(("confidence", "entropy", "disagreement"), by=by)
    student, teacher = aligned(student, teacher, "BK")
    log_p, log_q = F.log_softmax(teacher / temperature, -1), F.log_softmax(student / temperature, -1)
    kl_B = (log_p.exp() * (log_p - log_q)).sum(-1)
    trust_B = trust(teacher, target_B, by) ** sharpness
    return temperature**2 * weighted_mean(trust_B * kl_B, row_weight(weight_B, student))


def trust(teacher: Tensor, target_B: Tensor | None, by: By) -> Tensor:
    """The weight of each row [B] from 0 to 1, before it is sharpened.

    >>> trust(torch.tensor([[3.0, 1.0], [1.0, 3.0]]).log(), torch.tensor([0, 0]), "disagreement")
    tensor([1.0000, 0.3333])
    """
    rows, classes = teacher.shape
    log_r = F.log_softmax(teacher, -1)
    if by == "disagreement":
        return _agreement(log_r, target_B)
    if classes < 2 or not rows:
        return torch.ones_like(log_r[:, :1]).sum(-1)
    if by == "entropy":
        entropy_B = -torch.special.xlogy(log_r.exp(), log_r.exp()).sum(-1)
        return (1 - entropy_B / log(classes)).clamp(0, 1)
    return ((log_r.amax(-1).exp() - 1 / classes) / (1 - 1 / classes)).clamp(0, 1)


def _agreement(log_r: Tensor, target_B: Tensor | None) -> Tensor:
    if target_B is None or not log_r.numel():
        return torch.ones(len(log_r), dtype=log_r.dtype, device=log_r.device)
    class_B = class_target(target_B, log_r)
    own_B = log_r.gather(1, class_B.clamp(min=0)[:, None]).squeeze(1)
    return torch.where(class_B < 0, torch.ones_like(own_B), (own_B - log_r.amax(-1)).exp())
