"""Hard labels: binary cross-entropy on one logit."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shopstill.losses._common import aligned, probability_target, row_weight, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="scores", against="target", source="Goodfellow et al. 2016, Deep Learning, section 6.2.2.2")


def bce(student: Tensor, target: Tensor, *, weight_B: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of the student's scores, read as logits, with a truth between 0 and 1.

    L = mean_b −y_b · log σ(s_b) − (1 − y_b) · log σ(−s_b).

    Args:
        student: [B] logits.
        target: [B] clicks, purchases or grades from 0 to 1; NaN leaves the row out.
        weight_B: [B] weights of at least 0; the mean is weighted.

    Raises:
        ConfigError: shapes do not match, or a target is not between 0 and 1.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, section 6.2.2.2.

    >>> import torch
    >>> round(bce(torch.zeros(2), torch.tensor([0.0, 1.0])).item(), 4)  # log 2
    0.6931
    """
    student, target = aligned(student, target, "B")
    probability_target(target)
    unjudged = target.isnan()
    weight = row_weight(weight_B, student) * ~unjudged
    truth = torch.where(unjudged, torch.zeros_like(target), target)
    return weighted_mean(F.binary_cross_entropy_with_logits(student, truth, reduction="none"), weight)
