"""Ranking: the order of the teacher's best candidates, and that all others stand below them in any order."""

from __future__ import annotations

import torch
from torch import Tensor

from shopstill.losses._common import aligned, at_least, row_weight, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="logits", against="teacher", source="Kang et al. 2020, arXiv:2012.04357, equation 8")


def relaxed_ranking(
    student: Tensor, teacher: Tensor, *, top: int = 10, tail: int = 0, weight_B: Tensor | None = None
) -> Tensor:
    """Likelihood, under the student, of the teacher's best candidates in the teacher's order before all others.

    L = mean_b −(1/n) Σ_{k=1..n} (s_{π(k)} − log(Σ_{i=k..n} exp s_{π(i)} + Σ_{j in rest} exp s_j)), with π the teacher's
    order, n the lesser of ``top`` and the candidates that are ranked, and the rest all others, whose order is free.

    Args:
        student: [B, K] logits of a row's candidates.
        teacher: [B, K] logits of the same.
        top: how many of the teacher's best stand in order, at least 1.
        tail: as many of the last columns are drawn from the rest of a catalogue, and never among the best.
        weight_B: [B] weights of at least 0; the mean is weighted.

    Raises:
        ConfigError: shapes do not match, or an option is out of bounds.

    Source: Kang et al., DE-RRD, CIKM 2020 (arXiv:2012.04357); a mean over the places where they sum.

    >>> teacher = torch.tensor([[5.0, 1.0, 3.0]])
    >>> round(relaxed_ranking(torch.zeros(1, 3), teacher, top=2).item(), 4)  # (log 3 + log 2) / 2
    0.8959
    """
    at_least(1, top=top)
    at_least(0, tail=tail)
    student, teacher = aligned(student, teacher, "BK")
    ranked = max(0, student.shape[1] - tail)
    count = min(top, ranked)
    order_BR = teacher[:, :ranked].argsort(dim=-1, descending=True, stable=True)
    beyond_BT = torch.arange(ranked, student.shape[1], device=student.device).expand(len(student), -1)
    sorted_BK = student.gather(1, torch.cat([order_BR, beyond_BT], 1))
    # Sums from each place to the end, built from the end: the rest counts at every place.
    from_BK = sorted_BK.flip(1).logcumsumexp(1).flip(1)
    loss_B = (from_BK - sorted_BK)[:, :count].sum(-1) / max(1, count)
    return weighted_mean(loss_B, row_weight(weight_B, student))
