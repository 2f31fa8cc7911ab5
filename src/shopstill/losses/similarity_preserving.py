"""Relations: which rows are alike."""

from __future__ import annotations

from torch import Tensor

from shopstill.losses._common import aligned, at_least, present, products, spread, unit, weighted_mean
from shopstill.types import LossSpec

SPEC = LossSpec(takes="features", against="teacher", source="Tung and Mori 2019, arXiv:1907.09682, equations 1 to 4")


def similarity_preserving(
    student: Tensor, teacher: Tensor, *, max_rows: int | None = 512, weight_B: Tensor | None = None
) -> Tensor:
    """Mean squared distance between the student's and the teacher's similarities among rows.

    L = 1/B² · ‖G̃_s − G̃_t‖²_F, with G = X·Xᵀ and each row of G̃ that row of G divided by its length. The widths of the
    two sides may differ.

    Args:
        student: [B, D] features.
        teacher: [B, D'] features.
        max_rows: use at most so many rows, evenly spread over the batch, since cost grows with their square; at least
            2, None for all.
        weight_B: [B] weights of at least 0; cell (i, j) weighs √(w_i·w_j), and a row of weight 0 is no neighbour.

    Raises:
        ConfigError: the numbers of rows differ, or ``max_rows`` is below 2.

    Source: Tung and Mori, Similarity-Preserving Knowledge Distillation, ICCV 2019 (arXiv:1907.09682).

    >>> import torch
    >>> teacher = torch.eye(2)
    >>> similarity_preserving(2 * teacher, teacher).item()
    0.0
    """
    at_least(2, max_rows=max_rows)
    student, teacher = aligned(student, teacher, "BD", same_width=False)
    weight, student, teacher = spread(max_rows, *present(weight_B, student, teacher))
    gap_BB = unit(products(student, student)) - unit(products(teacher, teacher))
    root = weight.sqrt()
    return weighted_mean(gap_BB.square(), root[:, None] * root[None, :])
