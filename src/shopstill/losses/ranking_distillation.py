"""Ranking: the teacher's best candidates as positives, the better the more."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shopstill.losses._common import aligned, at_least, positive, row_weight, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="logits", against="teacher", source="Tang and Wang 2018, arXiv:1809.07428, equations 3 and 6")


def ranking_distillation(
    student: Tensor,
    teacher: Tensor,
    *,
    top: int = 10,
    decay: float = 10.0,
    tail: int = 0,
    weight_B: Tensor | None = None,
) -> Tensor:
    """Logistic loss of the candidates that the teacher thinks most of, weighted by their place in its order.

    L = mean_b −Σ_{r=1..n} w_r · log σ(s_{b,π(r)}), with π the teacher's order, w_r = exp(−r/λ) / Σ_{i=1..n} exp(−i/λ)
    and n the lesser of ``top`` and the candidates that are ranked. It says of nothing that its score is to be low, so
    it stands beside a term that does, such as ``cross_entropy``.

    Args:
        student: [B, K] logits of a row's candidates.
        teacher: [B, K] logits of the same.
        top: how many of the teacher's best count, at least 1.
        decay: λ above 0, in places: after as many, a weight has gone down to 1/e.
        tail: as many of the last columns are drawn from the rest of a catalogue, and never among the best.
        weight_B: [B] weights of at least 0; the mean is weighted.

    Raises:
        ConfigError: shapes do not match, or an option is out of bounds.

    Source: Tang and Wang, Ranking Distillation, KDD 2018 (arXiv:1809.07428): the weights by position.

    >>> teacher = torch.tensor([[5.0, 1.0, 3.0]])
    >>> round(ranking_distillation(torch.zeros(1, 3), teacher, top=2).item(), 4)  # log 2
    0.6931
    """
    at_least(1, top=top)
    at_least(0, tail=tail)
    positive(decay=decay)
    student, teacher = aligned(student, teacher, "BK")
    count = min(top, max(0, student.shape[1] - tail))
    best_BN = teacher[:, : student.shape[1] - tail].argsort(dim=-1, descending=True, stable=True)[:, :count]
    place_N = torch.arange(count, device=student.device, dtype=student.dtype)
    loss_B = -(F.logsigmoid(student.gather(1, best_BN)) * (-place_N / decay).softmax(0)).sum(-1)
    return weighted_mean(loss_B, row_weight(weight_B, student))
