"""What each of the library's losses promises, and the options that it is tried with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Claim = Literal["minimum", "shift", "scale"]
"""What a loss may promise.

- ``minimum``: it is least, and flat, where the student equals the other side.
- ``shift``: it stays when a constant is added to the scores of a group, to the logits or relations of a row, or one
  vector to the features of all rows.
- ``scale``: it stays when either side is multiplied by a number above 0.
"""

CLAIMS: Mapping[str, frozenset[Claim]] = {
    "adaptive_soft": frozenset({"minimum", "shift"}),
    "attention_relation": frozenset({"minimum", "shift"}),
    "attention_transfer": frozenset({"minimum", "scale"}),
    "bce": frozenset(),
    "cosine": frozenset({"minimum", "scale"}),
    "cross_entropy": frozenset({"shift"}),
    "decoupled": frozenset({"minimum", "shift"}),
    "hint": frozenset({"minimum"}),
    "info_nce": frozenset({"scale"}),
    "lambda_rank": frozenset({"shift"}),
    "listwise_kl": frozenset({"minimum", "shift"}),
    "listwise_softmax": frozenset({"shift"}),
    "margin_mse": frozenset({"minimum", "shift"}),
    "mse": frozenset({"minimum"}),
    "pairwise_logistic": frozenset({"shift"}),
    "ranking_distillation": frozenset(),
    "relaxed_ranking": frozenset({"shift"}),
    "rkd_angle": frozenset({"minimum", "shift", "scale"}),
    "rkd_distance": frozenset({"minimum", "shift", "scale"}),
    "score_mse": frozenset({"minimum"}),
    "similarity_preserving": frozenset({"minimum", "scale"}),
    "soft": frozenset({"minimum", "shift"}),
    "soft_bce": frozenset({"minimum"}),
}

OPTIONS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "adaptive_soft": ({}, {"by": "confidence", "temperature": 3.0}, {"by": "entropy", "sharpness": 2.0}),
    "attention_transfer": ({}, {"squared": False}),
    "cross_entropy": ({}, {"label_smoothing": 0.2, "class_weight": [0.5, 1.0, 2.0, 0.25]}),
    "decoupled": ({}, {"alpha": 0.5, "beta": 2.0, "temperature": 1.5}),
    "info_nce": ({}, {"temperature": 0.7}),
    "lambda_rank": ({}, {"k": 2, "gain": "linear"}, {"k": None, "sigma": 2.0}),
    "listwise_kl": ({}, {"temperature": 3.0}),
    "listwise_softmax": ({}, {"temperature": 3.0}),
    "pairwise_logistic": ({}, {"sigma": 2.0}),
    "ranking_distillation": ({}, {"top": 2, "decay": 0.5}, {"top": 3, "tail": 1}),
    "relaxed_ranking": ({}, {"top": 2}, {"top": 2, "tail": 1}),
    "soft": ({}, {"temperature": 3.0}),
    "soft_bce": ({}, {"temperature": 3.0}),
}
