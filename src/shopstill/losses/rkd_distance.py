"""Relations: distances between rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shopstill.losses._common import aligned, at_least, present, spread, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="features", against="teacher", source="Park et al. 2019, arXiv:1904.05068, section 3.2.1")


def rkd_distance(
    student: Tensor, teacher: Tensor, *, max_rows: int | None = 512, weight_B: Tensor | None = None
) -> Tensor:
    """Huber loss between the student's and the teacher's distances among rows, each divided by their mean.

    L = mean_{i<j} huber(‖s_i − s_j‖/μ_s − ‖t_i − t_j‖/μ_t), μ = mean_{i<j} ‖x_i − x_j‖, huber(x) = ½x² for |x| ≤ 1
    and |x| − ½ beyond. The widths of the two sides may differ.

    Args:
        student: [B, D] features.
        teacher: [B, D'] features.
        max_rows: use at most so many rows, evenly spread over the batch, since cost grows with their square; at least
            2, None for all.
        weight_B: [B] weights of at least 0; a pair weighs √(w_i·w_j), in the loss and in both means.

    Raises:
        ConfigError: the numbers of rows differ, or ``max_rows`` is below 2.

    Source: Park et al., Relational Knowledge Distillation, CVPR 2019 (arXiv:1904.05068); a mean where they sum.

    >>> import torch
    >>> teacher = torch.tensor([[0.0], [1.0], [2.0]])
    >>> rkd_distance(10 * teacher, teacher).item()
    0.0
    """
    at_least(2, max_rows=max_rows)
    student, teacher = aligned(student, teacher, "BD", same_width=False)
    weight, student, teacher = spread(max_rows, *present(weight_B, student, teacher))
    first, second = torch.triu_indices(len(weight), len(weight), offset=1, device=weight.device)
    weight_P = (weight[first] * weight[second]).sqrt()
    gap_P = _relative_distance(student, weight_P) - _relative_distance(teacher, weight_P)
    return weighted_mean(F.huber_loss(gap_P, torch.zeros_like(gap_P), reduction="none"), weight_P)


def _relative_distance(features_BD: Tensor, weight_P: Tensor) -> Tensor:
    # torch's pdist of no rows kills the process in its backward pass.
    distance_P = F.pdist(features_BD) if len(features_BD) else features_BD.flatten()
    mean = weighted_mean(distance_P, weight_P)
    return distance_P / torch.where(mean > 0, mean, torch.ones_like(mean))
