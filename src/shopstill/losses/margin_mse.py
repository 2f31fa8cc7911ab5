"""Ranking: the teacher's margins between candidates."""

from __future__ import annotations

import torch
from torch import Tensor

from shopstill.losses._segments import group_mean, group_sum, grouped_rows
from shopstill.types import LossSpec

SPEC = LossSpec(takes="scores", against="teacher", grouped=True, source="Hofstätter et al. 2020, arXiv:2010.02666")


def margin_mse(student: Tensor, teacher: Tensor, group_B: Tensor, *, weight_B: Tensor | None = None) -> Tensor:
    """Mean squared distance of the student's margins from the teacher's, over all pairs of a query's candidates.

    L = mean_g mean_{i<j in g} ((s_i − s_j) − (t_i − t_j))². The teacher's logits keep their scale.

    With d = s − t the pairs of a group of n have the mean 2/(n − 1) · Σ_i (d_i − mean d)²: every pair counts and none
    is made, so time and memory grow with the rows alone.

    Args:
        student: [B] scores.
        teacher: [B] logits.
        group_B: [B] whole numbers; equal ones are adjacent. A group of one row is left out.
        weight_B: [B] weights of at least 0. A pair weighs √(w_i·w_j), a group the mean of its rows' weights.

    Raises:
        ConfigError: shapes do not match, or a group's rows are not adjacent.

    Source: Hofstätter et al., Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge
    Distillation, 2020 (arXiv:2010.02666); there with one pair a query.

    >>> import torch
    >>> margin_mse(torch.tensor([3.0, 1.0]), torch.tensor([9.0, 4.0]), torch.tensor([0, 0])).item()  # (2 − 5)²
    9.0
    """
    rows = grouped_rows(student, teacher, group_B, weight_B)
    groups, index_B = rows.groups, rows.groups.index_B
    gap_B, root_B = rows.student_B - rows.other_B, rows.weight_B.sqrt()
    total_G = group_sum(root_B, index_B, groups)
    mean_G = group_sum(root_B * gap_B, index_B, groups) / total_G
    spread_G = total_G * group_sum(root_B * (gap_B - mean_G[index_B]).square(), index_B, groups)
    # Not (Σ√w)² - Σw, which rounds to nothing beside one heavy row.
    pair_weight_G = group_sum(root_B * (total_G[index_B] - root_B), index_B, groups) / 2
    several_G = pair_weight_G > 0
    value_G = spread_G / torch.where(several_G, pair_weight_G, torch.ones_like(total_G))
    return group_mean(value_G, several_G, rows)
