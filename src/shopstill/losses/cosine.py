"""Features: the direction of the teacher's embeddings."""

from __future__ import annotations

from torch import Tensor

from shopstill.losses._common import aligned, row_weight, unit, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="features", against="teacher", source="Sanh et al. 2019, DistilBERT, arXiv:1910.01108, section 3")


def cosine(student: Tensor, teacher: Tensor, *, weight_B: Tensor | None = None) -> Tensor:
    """One minus the cosine between the student's features and the teacher's.

    L = mean_b (1 − ⟨s_b, t_b⟩ / (‖s_b‖·‖t_b‖)). A zero vector has no direction: its cosine is 0, its gradient too.

    Args:
        student: [B, D] features.
        teacher: [B, D] features.
        weight_B: [B] weights of at least 0; the mean is weighted.

    Raises:
        ConfigError: shapes do not match.

    Source: Sanh et al., DistilBERT, 2019, section 3 (arXiv:1910.01108).

    >>> import torch
    >>> cosine(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]])).item()
    1.0
    """
    student, teacher = aligned(student, teacher, "BD")
    return weighted_mean(1 - (unit(student) * unit(teacher)).sum(-1), row_weight(weight_B, student))
