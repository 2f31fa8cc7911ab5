"""What each of the library's losses must come to: values and gradients worked by hand, and a second implementation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import e, log, log2, sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shopstill.core.errors import ConfigError
from shopstill.testing import _loss_references as references
from shopstill.testing._loss_claims import CLAIMS, OPTIONS
from shopstill.testing._loss_rows import Rows, draw
from shopstill.types import LossSpec


@dataclass(frozen=True, kw_only=True)
class Case:
    """Rows for which the loss is known.

    Attributes:
        rows: the tensors, in float64.
        expected: the loss.
        gradient: its gradient with respect to the student, where that is known too.
        options: keyword arguments of the loss.
    """

    rows: Rows
    expected: float
    gradient: Tensor | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def cases(name: str, spec: LossSpec) -> list[Case]:
    """The cases of one of the library's losses: by hand, then random ones against a second implementation.

    Raises:
        ConfigError: the library has no loss of that name.
    """
    if name not in CLAIMS:
        raise ConfigError(f"no cases are known for a loss named {name!r}; give check_loss at least one Case")
    plain = draw(spec, seed=1)
    weighted = replace(plain, weight_B=torch.arange(1, len(plain.student) + 1).remainder(5).double() + 0.5)
    compared = [
        Case(rows=rows, expected=_reference(name, rows, options), options=options)
        for rows in (plain, weighted)
        for options in OPTIONS.get(name, ({},))
    ]
    return [*_by_hand().get(name, []), *compared]


def _reference(name: str, rows: Rows, options: Mapping[str, Any]) -> float:
    def array(tensor: Tensor | None, default: float) -> references.Array:
        return np.full(len(rows.student), default) if tensor is None else tensor.double().numpy()

    plain = references.Plain(
        student=array(rows.student, 0),
        other=array(rows.other, 0),
        group=array(rows.group_B, 0),
        target=array(rows.target_B, 0),
        weight=array(rows.weight_B, 1),
    )
    return float(getattr(references, name)(plain, **options))


def _case(
    student: Any, other: Any, expected: float, *, gradient: Any = None, group: Any = None, **options: Any
) -> Case:
    def real(values: Any) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    whole = isinstance(other, list) and all(isinstance(value, int) for value in other)
    rows = Rows(
        student=real(student),
        other=torch.tensor(other) if whole else real(other),
        group_B=None if group is None else torch.tensor(group),
        target_B=torch.tensor(options.pop("target")) if "target" in options else None,
    )
    return Case(rows=rows, expected=expected, gradient=None if gradient is None else real(gradient), options=options)


# By hand: the teacher's odds are 3 to 1, p = (3/4, 1/4), and the student's even, unless a comment says otherwise.
_NAN = float("nan")
_KL = 0.75 * log(1.5) + 0.25 * log(0.5)
_SWAP = 1 - 1 / log2(3)


def _by_hand() -> dict[str, list[Case]]:
    return {**_hard(), **_soft(), **_teacher_order(), **_best_first(), **_graded_order(), **_features(), **_relations()}


def _hard() -> dict[str, list[Case]]:
    return {
        "cross_entropy": [
            _case([[0, 0], [log(3), 0]], [0, -1], log(2), gradient=[[-0.5, 0.5], [0, 0]]),
            # A mixed row is pulled to its shares; one that nobody judged is left out.
            _case([[0, 0], [9, 0]], [[0.75, 0.25], [_NAN, _NAN]], log(2), gradient=[[-0.25, 0.25], [0, 0]]),
            # Costs log 2 and log 4, weights 3 and 1.
            _case([[0, 0], [log(3), 0]], [0, 1], 5 / 4 * log(2), class_weight=[3.0, 1.0]),
        ],
        "mse": [_case([1, 5], [3.0, _NAN], 4, gradient=[-4, 0])],
        "bce": [_case([0, log(3), 9], [1.0, 0.0, _NAN], (log(2) + log(4)) / 2, gradient=[-0.25, 0.375, 0])],
    }


def _soft() -> dict[str, list[Case]]:
    return {
        "soft": [
            _case(
                [[0, 0], [1, 1]],
                [[2 * log(3), 0], [5.0, 5]],
                4 * _KL / 2,
                gradient=[[-0.25, 0.25], [0, 0]],
                temperature=2,
            ),
        ],
        # The teacher's odds are 3 to 1 for the wrong class: a third of the row counts. Where nobody judged, all of it.
        "adaptive_soft": [
            _case(
                [[0, 0], [0, 0]],
                [[log(3), 0], [log(3), 0.0]],
                (1 / 3 + 1) * _KL / 2,
                gradient=[[-0.125 / 3, 0.125 / 3], [-0.125, 0.125]],
                target=[1, -1],
            ),
            _case([[0, 0]], [[log(3), 0.0]], _KL / 2, gradient=[[-0.125, 0.125]], target=[1], by="confidence"),
        ],
        "soft_bce": [_case([0, 1], [2 * log(3), 1], 4 * _KL / 2, gradient=[-0.25, 0], temperature=2)],
        "score_mse": [_case([1, 2], [1.0, -1], 4.5, gradient=[0, 3])],
        # The target's share ½ for both, so only the other two classes differ: p̂ = (¾, ¼), q̂ = (½, ½).
        "decoupled": [
            _case(
                [[log(2), 0, 0]],
                [[log(4), log(3), 0.0]],
                5 * _KL,
                target=[0],
                alpha=7,
                beta=5,
                temperature=1,
            )
        ],
    }


def _teacher_order() -> dict[str, list[Case]]:
    return {
        # Group 5: margin 2 against 50. Group 1: d = 1, 0, 0, of whose three pairs two are off by 1. Group 8: no pair.
        "margin_mse": [
            _case(
                [3, 1, 1, 0, 0, 4],
                [90.0, 40, 0, 0, 0, 7],
                (48**2 + 2 / 3) / 2,
                gradient=[-48, 48, 2 / 3, -1 / 3, -1 / 3, 0],
                group=[5, 5, 1, 1, 1, 8],
            )
        ],
        "listwise_kl": [
            _case(
                [0, 0, 9, 9, 1],
                [2 * log(3), 0, 5.0, 5, 2],
                4 * _KL / 2,
                gradient=[-0.25, 0.25, 0, 0, 0],
                group=[5, 5, 1, 1, 8],
                temperature=2,
            )
        ],
    }


def _best_first() -> dict[str, list[Case]]:
    share = e / (e + 1)
    return {
        # Columns 2 and 0 are the teacher's best; the student's odds for each are 1 to 3 and even.
        "ranking_distillation": [
            _case(
                [[0, 9, -log(3), 9]],
                [[2.0, 1, 3, 7]],
                share * log(4) + (1 - share) * log(2),
                gradient=[[-(1 - share) / 2, 0, -0.75 * share, 0]],
                top=2,
                decay=1.0,
                tail=1,
            )
        ],
        # Column 2 is 1 of 4 parts, then column 0 is 1 of 3: the last two stand below in any order.
        "relaxed_ranking": [
            _case(
                [[0, 0, 0, 0]],
                [[2.0, 1, 3, 7]],
                (log(4) + log(3)) / 2,
                gradient=[[(1 / 4 + 1 / 3 - 1) / 2, (1 / 4 + 1 / 3) / 2, (1 / 4 - 1) / 2, (1 / 4 + 1 / 3) / 2]],
                top=2,
                tail=1,
            )
        ],
    }


def _graded_order() -> dict[str, list[Case]]:
    return {
        # Only rows 0 and 1 can be compared: the rest are unjudged, tied, or alone.
        "pairwise_logistic": [
            _case(
                [0, log(3), 9, 4, 5, 6],
                [1.0, 0, _NAN, 2, 2, 1],
                log(4),
                gradient=[-0.75, 0.75, 0, 0, 0, 0],
                group=[5, 5, 5, 1, 1, 8],
            )
        ],
        # Grades 3 and 1 of the first group share the cost of odds 3 to 1 to 1; of the second no row is relevant.
        "listwise_softmax": [
            _case(
                [log(3), 0, 0, 9, 8, 7, 6],
                [3.0, 1, 0, _NAN, 0, 0, 5],
                0.75 * log(5 / 3) + 0.25 * log(5),
                gradient=[0.6 - 0.75, 0.2 - 0.25, 0.2, 0, 0, 0, 0],
                group=[5, 5, 5, 5, 1, 1, 8],
            )
        ],
        "lambda_rank": [
            _case(
                [0, log(3), 9, 4, 5, 6],
                [1.0, 0, _NAN, 2, 2, 1],
                _SWAP * log(4),
                gradient=[-0.75 * _SWAP, 0.75 * _SWAP, 0, 0, 0, 0],
                group=[5, 5, 5, 1, 1, 8],
            ),
            # Gains 3 and 1 stand at places 1 and 3, the latter beyond k; the middle row, 0, is worth no more there.
            _case(
                [2, 1, 0],
                [2.0, 0, 1],
                (2 * log(1 + e**-2) + 3 * (1 - 1 / log2(3)) * log(1 + e**-1) + log(1 + e) / log2(3))
                / (3 + 1 / log2(3)),
                group=[0, 0, 0],
                k=2,
            ),
        ],
    }


def _features() -> dict[str, list[Case]]:
    return {
        "hint": [_case([[1, 2], [0, 0]], [[1.0, 4], [0, 0]], 1, gradient=[[0, -1], [0, 0]])],
        "cosine": [_case([[2, 0], [3, 3]], [[0.0, 5], [1, 1]], 0.5, gradient=[[0, -0.25], [0, 0]])],
        # Rows 0 and 2 repeat each other, so that neither is a negative of the other.
        "info_nce": [
            _case(
                [[1, 0], [0, 2], [1, 0]],
                [[3.0, 0], [0, 1], [2, 0]],
                (2 * log(1 + 1 / e) + log(1 + 2 / e)) / 3,
                temperature=1,
            ),
        ],
        "attention_transfer": [
            _case([[2, 0], [1, 1]], [[0.0, 5], [3, 3]], 1, gradient=[[0, -0.5], [0, 0]]),
            _case([[2, 0], [1, 1]], [[0.0, 5], [3, 3]], sqrt(2) / 2, squared=False),
        ],
        "attention_relation": [
            _case([[[[0, 0], [7, 7]]]], [[[[log(3), 0], [1.0, 1]]]], _KL / 2, gradient=[[[[-0.125, 0.125], [0, 0]]]]),
            _case(
                [[[[0, 0, 9], [1, 1, 1], [1, 1, 1]]]],
                [[[[log(3), 0, -torch.inf], [1.0, 1, -torch.inf], [-torch.inf] * 3]]],
                _KL / 2,
            ),
        ],
    }


def _relations() -> dict[str, list[Case]]:
    return {
        # Distances 1, 1, 2 and 2, 1, 1, each with the mean 4/3: gaps -3/4, 0, 3/4.
        "rkd_distance": [_case([[0], [1], [2]], [[0.0], [-2], [-1]], 2 * 9 / 32 / 3)],
        # Cosines of a straight line, at its ends 1 and in its middle -1, against a right angle and 45 degrees twice.
        "rkd_angle": [
            _case([[0], [-1], [1]], [[0.0, 0], [1, 0], [0, 1]], ((1 / 2) + 2 * (1 - sqrt(0.5)) ** 2 / 2) / 3),
        ],
        # Rows of similarities (1, 1)/√2 against (1, 0) and (0, 1).
        "similarity_preserving": [_case([[1], [1]], [[1.0, 0], [0, 1]], ((1 - sqrt(0.5)) ** 2 + 0.5) / 2)],
    }
