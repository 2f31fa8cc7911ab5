"""Contrast: the student's embedding finds its own teacher embedding among the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shopstill.losses._common import aligned, between, positive, present, products, unit, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="features", against="teacher", source="van den Oord et al. 2018, arXiv:1807.03748, equation 4")


def info_nce(
    student: Tensor,
    teacher: Tensor,
    *,
    temperature: float = 0.05,
    same_above: float = 0.9999,
    weight_B: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of picking the row's own teacher embedding among those of the batch.

    L = mean_b −log( exp(c_bb/τ) / Σ_{n in N_b} exp(c_bn/τ) ), c_bn = cos(s_b, t_n); N_b holds b and every row whose
    teacher embedding differs from b's. A batch repeats queries and products, and a repeat is no negative.

    Args:
        student: [B, D] embeddings, already in the teacher's width.
        teacher: [B, D] embeddings.
        temperature: τ above 0.
        same_above: two rows are repeats where the cosine of their teacher embeddings is above this; from -1 to 1, and 1
            takes no row for a repeat.
        weight_B: [B] weights of at least 0; the mean is weighted, and a row of weight 0 is no negative.

    Raises:
        ConfigError: shapes do not match, or an option is out of bounds.

    Source: van den Oord, Li and Vinyals, Representation Learning with Contrastive Predictive Coding, 2018
    (arXiv:1807.03748); against a teacher as in Tian et al., Contrastive Representation Distillation, 2020
    (arXiv:1910.10699).

    >>> import torch
    >>> round(info_nce(torch.eye(2), torch.eye(2), temperature=1.0).item(), 4)  # log(1 + 1/e)
    0.3133
    """
    positive(temperature=temperature)
    between(-1, 1, same_above=same_above)
    student, teacher = aligned(student, teacher, "BD")
    weight, student, teacher = present(weight_B, student, teacher)
    known = unit(teacher)
    repeat = products(known, known).clamp(max=1) > same_above
    repeat.fill_diagonal_(False)
    cosine_BB = products(unit(student), known) / temperature
    own_B = torch.arange(len(weight), device=weight.device)
    value = F.cross_entropy(cosine_BB.masked_fill(repeat, -torch.inf), own_B, reduction="none")
    return weighted_mean(value, weight)
