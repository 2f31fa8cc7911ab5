"""Relations: angles among three rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shopstill.losses._common import aligned, at_least, present, products, spread, unit, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="features", against="teacher", source="Park et al. 2019, arXiv:1904.05068, section 3.2.2")


def rkd_angle(student: Tensor, teacher: Tensor, *, max_rows: int | None = 64, weight_B: Tensor | None = None) -> Tensor:
    """Huber loss between the cosines of the angles that three rows form, in the student and in the teacher.

    L = mean_{i,j,k distinct} huber(cos ∠s_i s_j s_k − cos ∠t_i t_j t_k), cos ∠x_i x_j x_k = ⟨e_ij, e_kj⟩,
    e_ij = (x_i − x_j)/‖x_i − x_j‖, huber(x) = ½x² for |x| ≤ 1 and |x| − ½ beyond. Where two rows coincide the cosine
    is 0. The widths of the two sides may differ.

    Args:
        student: [B, D] features.
        teacher: [B, D'] features.
        max_rows: use at most so many rows, evenly spread over the batch, since cost grows with their cube; at least 3,
            None for all.
        weight_B: [B] weights of at least 0; a triple weighs ∛(w_i·w_j·w_k).

    Raises:
        ConfigError: the numbers of rows differ, or ``max_rows`` is below 3.

    Source: Park et al., Relational Knowledge Distillation, CVPR 2019 (arXiv:1904.05068); a mean where they sum.

    >>> import torch
    >>> teacher = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> round(rkd_angle(3 * teacher, teacher).item(), 6)
    0.0
    """
    at_least(3, max_rows=max_rows)
    student, teacher = aligned(student, teacher, "BD", same_width=False)
    weight, student, teacher = spread(max_rows, *present(weight_B, student, teacher))
    root = weight.pow(1 / 3)
    apart = ~torch.eye(len(root), dtype=torch.bool, device=root.device)
    # Middle row first: [j, i, k].
    distinct = apart[:, :, None] & apart[:, None, :] & apart[None, :, :]
    weight_T = root[:, None, None] * root[None, :, None] * root[None, None, :] * distinct
    gap_T = _cosines(student) - _cosines(teacher)
    return weighted_mean(F.huber_loss(gap_T, torch.zeros_like(gap_T), reduction="none"), weight_T)


def _cosines(features_BD: Tensor) -> Tensor:
    towards = unit(features_BD[None, :, :] - features_BD[:, None, :])
    return products(towards, towards)
