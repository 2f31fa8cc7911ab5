"""Weights of classes, so that rare ones are not drowned by common ones.

Shapes: ``K`` classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from shopstill.core.errors import ConfigError
from shopstill.losses._common import between, precision


def inverse_frequency(counts: Sequence[int]) -> list[float]:
    """``v_k ∝ 1 / n_k``, scaled so that the rows weigh 1 on average; a class without rows weighs as one with one.

    >>> inverse_frequency([3, 1])
    [0.6666666666666666, 2.0]
    """
    return _scaled([1 / max(1, count) for count in counts], counts)


def effective_number(counts: Sequence[int], beta: float = 0.999) -> list[float]:
    """``v_k ∝ (1 − β) / (1 − β^n_k)``: rows of a large class add less and less (Cui et al. 2019, arXiv:1901.05555).

    Scaled so that the rows weigh 1 on average. β from 0, where all classes weigh alike, towards 1, where they weigh by
    their inverse frequency.

    Raises:
        ConfigError: β is not from 0 to less than 1.

    >>> effective_number([3, 1], beta=0.0)
    [1.0, 1.0]
    """
    between(0, 1 - 1e-9, beta=beta)
    return _scaled([(1 - beta) / (1 - beta ** max(1, count)) for count in counts], counts)


def class_weights(weight: Sequence[float], logits_BK: Tensor) -> Tensor:
    """Weights of classes as a loss uses them.

    Raises:
        ConfigError: there is not one a class, or one is no number of at least 0.
    """
    if not isinstance(weight, Sequence) or len(weight) != logits_BK.shape[1]:
        raise ConfigError(f"class_weight is {weight!r}, student {list(logits_BK.shape)}; give one weight a class")
    for value in weight:
        between(0, torch.inf, class_weight=value)
    return torch.tensor(weight, dtype=precision(logits_BK), device=logits_BK.device)


def _scaled(weight: list[float], counts: Sequence[int]) -> list[float]:
    rows = sum(counts)
    total = sum(w * n for w, n in zip(weight, counts, strict=True))
    return [w * rows / total for w in weight] if total else [1.0] * len(counts)
