"""Attention of pictures: where a network looks."""

from __future__ import annotations

import torch
from torch import Tensor

from shopstill.losses._common import aligned, row_weight, unit, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(
    takes="features", against="teacher", source="Zagoruyko and Komodakis 2017, arXiv:1612.03928, equation 2"
)


def attention_transfer(
    student: Tensor, teacher: Tensor, *, squared: bool = True, weight_B: Tensor | None = None
) -> Tensor:
    """Distance of the student's attention map from the teacher's, both brought to length 1.

    L = mean_b ‖Q_b/‖Q_b‖ − R_b/‖R_b‖‖², or its root with ``squared`` false, as equation 2 has it; the authors' code
    squares. Q and R are maps of energy, the sum or mean over channels of squared activations at each place.

    Args:
        student: [B, P] energies of P places.
        teacher: [B, P] energies of the same places; bring both to one grid first.
        squared: the squared distance, whose gradient fades as the maps come near.
        weight_B: [B] weights of at least 0; the mean over rows is weighted.

    Raises:
        ConfigError: shapes do not match.

    Source: Zagoruyko and Komodakis, Paying More Attention to Attention, ICLR 2017 (arXiv:1612.03928).

    >>> attention_transfer(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]])).item()
    2.0
    """
    student, teacher = aligned(student, teacher, "BD")
    gap_BP = unit(student) - unit(teacher)
    value_B = gap_BP.square().sum(-1) if squared else torch.linalg.vector_norm(gap_BP, dim=-1)
    return weighted_mean(value_B, row_weight(weight_B, student))
