"""Ranking: the teacher's distribution over a query's candidates."""

from __future__ import annotations

from torch import Tensor

from shopstill.losses._common import positive
from shopstill.losses._segments import group_log_softmax, group_mean, group_sum, grouped_rows
from shopstill.types import LossSpec

SPEC = LossSpec(
    takes="scores",
    against="teacher",
    grouped=True,
    source="Cao et al. 2007, ListNet, ICML; Ren et al. 2021, arXiv:2110.07367, section 3.2",
)


def listwise_kl(
    student: Tensor, teacher: Tensor, group_B: Tensor, *, temperature: float = 1.0, weight_B: Tensor | None = None
) -> Tensor:
    """KL divergence of the student's distribution over a query's candidates from the teacher's.

    L = τ² · mean_g Σ_{i in g} p_i · log(p_i/q_i), with p = softmax_g(t/τ) and q = softmax_g(s/τ).

    Args:
        student: [B] scores.
        teacher: [B] logits.
        group_B: [B] whole numbers; equal ones are adjacent. A group of one row is left out.
        temperature: τ above 0.
        weight_B: [B] weights of at least 0. A candidate of weight w stands in its list w times; a group weighs the
            mean of its rows' weights.

    Raises:
        ConfigError: shapes do not match, a group's rows are not adjacent, or τ is not above 0.

    Source: Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach, ICML 2007; as distillation in
    Ren et al., RocketQAv2, 2021 (arXiv:2110.07367).

    >>> import torch
    >>> teacher = torch.tensor([0.0, 3.0 * torch.log(torch.tensor(3.0)), 7.0])
    >>> round(listwise_kl(torch.zeros(3), teacher, torch.tensor([4, 4, 5]), temperature=3.0).item(), 4)
    1.1773
    """
    positive(temperature=temperature)
    rows = grouped_rows(student, teacher, group_B, weight_B)
    log_weight = rows.weight_B.log()
    log_p = group_log_softmax(rows.other_B / temperature + log_weight, rows.groups)
    log_q = group_log_softmax(rows.student_B / temperature + log_weight, rows.groups)
    kl_G = group_sum(log_p.exp() * (log_p - log_q), rows.groups.index_B, rows.groups)
    return temperature**2 * group_mean(kl_G, rows.groups.size_G > 1, rows)
