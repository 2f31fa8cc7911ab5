"""Ranking: the relevant ones among a query's candidates, by one softmax over all of them."""

from __future__ import annotations

from torch import Tensor

from shopstill.losses._common import positive
from shopstill.losses._segments import group_log_softmax, group_mean, group_sum, grouped_rows
from shopstill.types import LossSpec

SPEC = LossSpec(
    takes="scores",
    against="target",
    grouped=True,
    source="Bruch et al. 2019, doi:10.1145/3341981.3344221, equation 4",
)


def listwise_softmax(
    student: Tensor, target: Tensor, group_B: Tensor, *, temperature: float = 1.0, weight_B: Tensor | None = None
) -> Tensor:
    """Cross-entropy of picking a query's relevant candidates, each as often as its grade has of the sum of all.

    L = mean_g −Σ_{i in g} y_i / (Σ_{j in g} y_j) · log q_i, with q = softmax_g(s/τ). With the other products of a
    batch as candidates (a term ``across``) it is the loss that towers for retrieval are trained with.

    Args:
        student: [B] scores.
        target: [B] grades of at least 0, fractions allowed; NaN leaves the row out.
        group_B: [B] whole numbers; equal ones are adjacent. A group of one row, or without a grade above 0, is left
            out.
        temperature: τ above 0.
        weight_B: [B] weights of at least 0. A candidate of weight w stands in its list w times; a group weighs the
            mean of its rows' weights.

    Raises:
        ConfigError: shapes do not match, a group's rows are not adjacent, or τ is not above 0.

    Source: Bruch, Wang, Bendersky and Najork, An Analysis of the Softmax Cross Entropy Loss for Learning-to-Rank with
    Binary Relevance, ICTIR 2019.

    >>> import torch
    >>> grades = torch.tensor([1.0, 0.0, 0.0, 0.0])
    >>> round(listwise_softmax(torch.zeros(4), grades, torch.tensor([3, 3, 3, 3])).item(), 4)  # log 4
    1.3863
    """
    positive(temperature=temperature)
    rows = grouped_rows(student, target, group_B, weight_B, judged=True)
    log_q = group_log_softmax(rows.student_B / temperature + rows.weight_B.log(), rows.groups)
    share_B = rows.weight_B * rows.other_B.clamp(min=0)
    total_G = group_sum(share_B, rows.groups.index_B, rows.groups)
    value_G = group_sum(-share_B * log_q, rows.groups.index_B, rows.groups) / total_G.clamp(min=1e-30)
    return group_mean(value_G, (total_G > 0) & (rows.groups.size_G > 1), rows)
