"""Hard labels: cross-entropy of classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from shopstill.core.errors import ConfigError
from shopstill.losses._classes import class_weights
from shopstill.losses._common import between, class_target, row_weight, share_target, weighted_mean, widened
from shopstill.types import LossSpec

SPEC = LossSpec(takes="logits", against="target", source="Szegedy et al. 2016, arXiv:1512.00567, section 7")


def cross_entropy(
    student: Tensor,
    target: Tensor,
    *,
    label_smoothing: float = 0.0,
    class_weight: Sequence[float] | None = None,
    weight_B: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of the student's classes with the true class, or with shares of several.

    L = Σ_b w_b·v_b·CE_b / Σ_b w_b·v_b, CE_b = −Σ_k y_bk · log softmax(s_b)_k, with y_bk = (1 − ε)·t_bk + ε/K and
    v_b = Σ_k t_bk·v_k. A true class c is the shares t_bk = [k = c].

    Args:
        student: [B, K] logits.
        target: [B] whole numbers from 0 to K − 1, −1 leaves the row out; or [B, K] shares that sum to 1, as in rows
            that are mixed from two, NaN leaves the row out.
        label_smoothing: ε, from 0 to 1.
        class_weight: v, K weights of at least 0 against imbalance, such as those of ``losses._classes``; None for ones.
        weight_B: w, [B] weights of at least 0.

    Raises:
        ConfigError: shapes do not match, a class does not exist, shares are no shares, or an option is out of bounds.

    Source: Szegedy et al., Rethinking the Inception Architecture, 2016, section 7 (arXiv:1512.00567).

    >>> round(cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3])).item(), 4)  # log 4
    1.3863
    """
    between(0, 1, label_smoothing=label_smoothing)
    if student.dim() != 2:
        raise ConfigError(f"student has shape {list(student.shape)}, target {list(target.shape)}; give [B, K] and [B]")
    if target.dim() == 2:
        share_BK, judged_B = share_target(target, student)
    else:
        class_B = class_target(target, student)
        judged_B = class_B >= 0
        share_BK = F.one_hot(class_B.clamp(min=0), student.shape[1]).to(widened(student).dtype)
    weight = row_weight(weight_B, student) * judged_B
    if class_weight is not None:
        weight = weight * (share_BK * class_weights(class_weight, student)).sum(-1)
    log_q = F.log_softmax(widened(student), -1)
    value_B = -(1 - label_smoothing) * (share_BK * log_q).sum(-1)
    if label_smoothing:
        value_B = value_B - label_smoothing * log_q.mean(-1)
    return weighted_mean(torch.where(judged_B, value_B, torch.zeros_like(value_B)), weight)
