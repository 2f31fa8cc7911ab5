"""Rows in groups of any size: sums, softmax, ranks and pairs within groups, without a Python loop."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shopstill.core.errors import ConfigError
from shopstill.losses._common import aligned, present


@dataclass(frozen=True)
class Groups:
    """Where each group lies among the rows.

    Attributes:
        index_B: number of the group of each row, counted from 0 in order of appearance.
        size_G: rows of each group.
        start_G: first row of each group.
    """

    index_B: Tensor
    size_G: Tensor
    start_G: Tensor


@dataclass(frozen=True)
class GroupedRows:
    """Both sides of a grouped loss after checks: one precision, rows of weight 0 and unjudged rows left out."""

    student_B: Tensor
    other_B: Tensor
    weight_B: Tensor
    groups: Groups


def grouped_rows(
    student_B: Tensor, other_B: Tensor, group_B: Tensor, weight_B: Tensor | None, *, judged: bool = False
) -> GroupedRows:
    """Check and align what a grouped loss is given.

    Args:
        student_B: [B] scores of the student.
        other_B: [B] scores of the teacher, or grades.
        group_B: [B] whole numbers; equal ones are adjacent.
        weight_B: [B] weights of at least 0, or None for all ones.
        judged: leave out the rows whose other side is NaN.

    Raises:
        ConfigError: shapes or types do not fit, or a group's rows are not adjacent.
    """
    student, other = aligned(student_B, other_B, "B")
    if group_B.shape != student.shape or group_B.is_floating_point():
        raise ConfigError(
            f"group_B has shape {list(group_B.shape)} and type {group_B.dtype}, student {list(student.shape)}; "
            "give one whole number a row"
        )
    weight, student, other, group_B = present(weight_B, student, other, group_B)
    if judged:
        seen = ~other.isnan()
        weight, student, other, group_B = weight[seen], student[seen], other[seen], group_B[seen]
    return GroupedRows(student, other, weight, _groups(group_B))


def _groups(group_B: Tensor) -> Groups:
    number_G, index_B, size_G = torch.unique_consecutive(group_B, return_inverse=True, return_counts=True)
    number, times = number_G.unique(return_counts=True)
    if len(number) < len(number_G):
        raise ConfigError(
            f"group_B: the rows of group {int(number[times > 1][0])} are not adjacent; sort the batch by group"
        )
    return Groups(index_B, size_G, size_G.cumsum(0) - size_G)


def group_sum(value_B: Tensor, index_B: Tensor, groups: Groups) -> Tensor:
    """[G] sum of the values whose group number is given beside them."""
    return value_B.new_zeros(len(groups.size_G)).index_add(0, index_B, value_B)


def group_max(value_B: Tensor, groups: Groups) -> Tensor:
    """[G] greatest value of each group, without a graph."""
    lowest = value_B.new_full((len(groups.size_G),), -torch.inf)
    return lowest.scatter_reduce(0, groups.index_B, value_B.detach(), "amax")


def group_log_softmax(score_B: Tensor, groups: Groups) -> Tensor:
    """[B] logarithm of the softmax over the rows of each group."""
    shifted_B = score_B - group_max(score_B, groups)[groups.index_B]
    total_G = group_sum(shifted_B.exp(), groups.index_B, groups)
    return shifted_B - total_G.log()[groups.index_B]


def ranks(score_B: Tensor, groups: Groups) -> Tensor:
    """[B] place of each row in its group, 0 for the highest score; equal scores keep the order of the rows."""
    by_score = score_B.detach().argsort(descending=True, stable=True)
    order = by_score[groups.index_B[by_score].argsort(stable=True)]
    place = torch.arange(len(score_B), device=score_B.device) - groups.start_G[groups.index_B]
    return torch.empty_like(place).scatter(0, order, place)


def pairs(groups: Groups) -> tuple[Tensor, Tensor]:
    """Rows i < j of every pair within a group: n·(n − 1)/2 of them for a group of n."""
    row_B = torch.arange(len(groups.index_B), device=groups.index_B.device)
    after_B = (groups.start_G + groups.size_G)[groups.index_B] - row_B - 1
    first = row_B.repeat_interleave(after_B)
    behind = torch.arange(len(first), device=first.device) - (after_B.cumsum(0) - after_B)[first]
    return first, first + 1 + behind


def ordered_pairs(grade_B: Tensor, groups: Groups) -> tuple[Tensor, Tensor]:
    """Pairs within a group whose grades differ, the better row first."""
    first, second = pairs(groups)
    gap = grade_B[first] - grade_B[second]
    better, worse = torch.where(gap > 0, first, second), torch.where(gap > 0, second, first)
    return better[gap != 0], worse[gap != 0]


def group_mean(value_G: Tensor, counts_G: Tensor, rows: GroupedRows) -> Tensor:
    """Mean over the groups that count; a group weighs the mean of its rows' weights.

    Where no group counts, a zero that still hangs on the graph.
    """
    weight_G = group_sum(rows.weight_B, rows.groups.index_B, rows.groups) / rows.groups.size_G
    weight_G = torch.where(counts_G, weight_G, torch.zeros_like(weight_G))
    total = weight_G.sum()
    return (weight_G * value_G).sum() / torch.where(total > 0, total, torch.ones_like(total))
