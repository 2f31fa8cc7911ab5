"""Ranking: the order of graded pairs, weighted by what a swap costs in NDCG."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from shopstill.losses._common import at_least, one_of, positive
from shopstill.losses._segments import (
    GroupedRows,
    Groups,
    group_max,
    group_mean,
    group_sum,
    grouped_rows,
    ordered_pairs,
    ranks,
)
from shopstill.types import LossSpec

SPEC = LossSpec(
    takes="scores",
    against="target",
    grouped=True,
    source="Burges 2010, MSR-TR-2010-82, section 4; Wang et al. 2018, doi:10.1145/3269206.3271784",
)

Gain = Literal["linear", "exponential"]


def lambda_rank(
    student: Tensor,
    target: Tensor,
    group_B: Tensor,
    *,
    k: int | None = 10,
    gain: Gain = "exponential",
    sigma: float = 1.0,
    weight_B: Tensor | None = None,
) -> Tensor:
    """Logistic loss of graded pairs, each weighted by the change of NDCG@k that swapping the two would make.

    L = mean_g Σ_{i,j in g: y_i > y_j} |ΔNDCG_ij| · log(1 + exp(−σ·(s_i − s_j))), where
    |ΔNDCG_ij| = |G_i − G_j| · |1/D_i − 1/D_j| / maxDCG@k, G is the gain (y, or 2^y − 1), D = log₂(1 + place) in the
    student's present order, and 1/D = 0 beyond place k. No gradient flows through the places.

    Args:
        student: [B] scores.
        target: [B] grades of at least 0, fractions allowed; NaN leaves the row out.
        group_B: [B] whole numbers; equal ones are adjacent. A group without two different grades is left out.
        k: depth of the NDCG, at least 1; None for the whole list.
        gain: ``"linear"`` or ``"exponential"``.
        sigma: σ above 0, steepness.
        weight_B: [B] weights of at least 0. A pair weighs √(w_i·w_j), relative to its group, which weighs the mean of
            its rows' weights.

    Raises:
        ConfigError: shapes do not match, a group's rows are not adjacent, or an option is out of bounds.

    Source: Burges, From RankNet to LambdaRank to LambdaMART, MSR-TR-2010-82, 2010; as a loss in Wang et al., The
    LambdaLoss Framework for Ranking Metric Optimization, CIKM 2018 (there with log₂).

    >>> import torch
    >>> scores, grades = torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0])
    >>> round(lambda_rank(scores, grades, torch.tensor([0, 0])).item(), 4)  # (1 − 1/log₂ 3) · log 2
    0.2558
    """
    at_least(1, k=k)
    one_of(("linear", "exponential"), gain=gain)
    positive(sigma=sigma)
    rows = grouped_rows(student, target, group_B, weight_B, judged=True)
    better, worse = ordered_pairs(rows.other_B, rows.groups)
    value_P = F.softplus(-sigma * (rows.student_B[better] - rows.student_B[worse]))
    swap_P = _swap(rows, better, worse, k, gain) * _pair_weight(rows, better, worse)
    group_P = rows.groups.index_B[better]
    value_G = group_sum(swap_P * value_P, group_P, rows.groups)
    return group_mean(value_G, group_sum(torch.ones_like(swap_P), group_P, rows.groups) > 0, rows)


def _swap(rows: GroupedRows, better: Tensor, worse: Tensor, k: int | None, gain: Gain) -> Tensor:
    """|ΔNDCG@k| of every pair."""
    groups = rows.groups
    gain_B = _gains(rows.other_B, groups, gain)
    share_B = _discount(ranks(rows.student_B, groups), k, gain_B.dtype)
    best_G = group_sum(gain_B * _discount(ranks(gain_B, groups), k, gain_B.dtype), groups.index_B, groups)
    best_P = best_G[groups.index_B[better]]
    change_P = (gain_B[better] - gain_B[worse]).abs() * (share_B[better] - share_B[worse]).abs()
    return torch.where(best_P > 0, change_P / torch.where(best_P > 0, best_P, torch.ones_like(best_P)), 0.0)


def _gains(grade_B: Tensor, groups: Groups, gain: Gain) -> Tensor:
    """Gains up to a factor a group, which the ratio to maxDCG cancels, so that 2^y cannot overflow."""
    highest_B = group_max(grade_B, groups)[groups.index_B].clamp_min(0)
    if gain == "linear":
        return grade_B / torch.where(highest_B > 0, highest_B, torch.ones_like(highest_B))
    return (grade_B - highest_B).exp2() - (-highest_B).exp2()


def _discount(rank_B: Tensor, k: int | None, dtype: torch.dtype) -> Tensor:
    share_B = 1 / (rank_B.to(dtype) + 2).log2()
    return share_B if k is None else torch.where(rank_B < k, share_B, torch.zeros_like(share_B))


def _pair_weight(rows: GroupedRows, better: Tensor, worse: Tensor) -> Tensor:
    mean_G = group_sum(rows.weight_B, rows.groups.index_B, rows.groups) / rows.groups.size_G
    return (rows.weight_B[better] * rows.weight_B[worse]).sqrt() / mean_G[rows.groups.index_B[better]]
