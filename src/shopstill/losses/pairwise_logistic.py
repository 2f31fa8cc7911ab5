"""Ranking: the order of graded pairs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shopstill.losses._common import positive
from shopstill.losses._segments import group_mean, group_sum, grouped_rows, ordered_pairs
from shopstill.types import LossSpec

SPEC = LossSpec(takes="scores", against="target", grouped=True, source="Burges et al. 2005, RankNet, ICML")


def pairwise_logistic(
    student: Tensor, target: Tensor, group_B: Tensor, *, sigma: float = 1.0, weight_B: Tensor | None = None
) -> Tensor:
    """Logistic loss of every pair of a query's candidates whose grades differ.

    L = mean_g mean_{i,j in g: y_i > y_j} log(1 + exp(−σ·(s_i − s_j))).

    Args:
        student: [B] scores.
        target: [B] grades; NaN leaves the row out.
        group_B: [B] whole numbers; equal ones are adjacent. A group without two different grades is left out.
        sigma: σ above 0, steepness.
        weight_B: [B] weights of at least 0. A pair weighs √(w_i·w_j), a group the mean of its rows' weights.

    Raises:
        ConfigError: shapes do not match, a group's rows are not adjacent, or σ is not above 0.

    Source: Burges et al., Learning to Rank using Gradient Descent, ICML 2005.

    >>> import torch
    >>> loss = pairwise_logistic(torch.zeros(3), torch.tensor([2.0, 1.0, 1.0]), torch.tensor([0, 0, 0]))
    >>> round(loss.item(), 4)  # log 2
    0.6931
    """
    positive(sigma=sigma)
    rows = grouped_rows(student, target, group_B, weight_B, judged=True)
    better, worse = ordered_pairs(rows.other_B, rows.groups)
    value_P = F.softplus(-sigma * (rows.student_B[better] - rows.student_B[worse]))
    weight_P = (rows.weight_B[better] * rows.weight_B[worse]).sqrt()
    group_P = rows.groups.index_B[better]
    total_G = group_sum(weight_P, group_P, rows.groups)
    value_G = group_sum(weight_P * value_P, group_P, rows.groups)
    return group_mean(value_G / torch.where(total_G > 0, total_G, torch.ones_like(total_G)), total_G > 0, rows)
