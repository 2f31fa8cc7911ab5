"""Hard labels: cross-entropy of classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from shopstill.core.errors import ConfigError
from shopstill.losses._common import between, class_target, row_weight, weighted_mean, widened
from shopstill.types import LossSpec

SPEC = LossSpec(takes="logits", against="target", source="Szegedy et al. 2016, arXiv:1512.00567, section 7")


def cross_entropy(
    student: Tensor, target: Tensor, *, label_smoothing: float = 0.0, weight_B: Tensor | None = None
) -> Tensor:
    """Cross-entropy of the student's classes with the true class.

    L = mean_b −Σ_k y_bk · log softmax(s_b)_k, with y_bk = (1 − ε)·[k = target_b] + ε/K.

    Args:
        student: [B, K] logits.
        target: [B] whole numbers from 0 to K − 1; −1 leaves the row out.
        label_smoothing: ε, from 0 to 1.
        weight_B: [B] weights of at least 0; the mean is weighted.

    Raises:
        ConfigError: shapes do not match, a class does not exist, or ε is out of bounds.

    Source: Szegedy et al., Rethinking the Inception Architecture, 2016, section 7 (arXiv:1512.00567).

    >>> import torch
    >>> round(cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3])).item(), 4)  # log 4
    1.3863
    """
    between(0, 1, label_smoothing=label_smoothing)
    if student.dim() != 2:
        raise ConfigError(f"student has shape {list(student.shape)}, target {list(target.shape)}; give [B, K] and [B]")
    target = class_target(target, student)
    weight = row_weight(weight_B, student) * (target >= 0)
    value = F.cross_entropy(
        widened(student), target, ignore_index=-1, reduction="none", label_smoothing=label_smoothing
    )
    return weighted_mean(value, weight)
