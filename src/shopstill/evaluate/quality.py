"""Metrics by name, and their values per unit.

Shape legend: ``N`` judged rows (a query with a product), ``U`` units (queries). Ties are averaged: see ``ranking``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from shopstill.core.errors import ConfigError, nearest
from shopstill.evaluate.judged import Floats, Judged, check_scores
from shopstill.evaluate.ranking import FUNCTIONS, placed, rank, spread


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric by name.

    Attributes:
        name: as written, such as ``"ndcg@10"``.
        base: the part before ``@``.
        cutoff: the part after ``@``; None for the whole list.
        level: ``unit`` where the metric is a mean of one value per unit, ``corpus`` where it is one value of all rows.
        higher: whether more is better.
        on: whether it reads ranking scores (any scale), predictions (on the scale of the grades, or classes), or both:
            scores that are the confidence in the predicted class.
    """

    name: str
    base: str
    cutoff: int | None
    level: Literal["unit", "corpus"]
    higher: bool = True
    on: Literal["scores", "predictions", "both"] = "scores"


_UNIT = ("ndcg", "ndcg_exp", "mrr", "map", "recall", "hr", "precision", "query_spearman")
_NEEDS_CUTOFF = ("recall", "hr", "precision")
_ON_PREDICTIONS = ("rmse", "mae", "accuracy", "macro_f1", "hierarchical_f1")
_ON_BOTH = ("ece",)
_ERRORS = ("rmse", "mae", "ece")
_CORPUS = ("spearman", "pearson", *_ON_PREDICTIONS, *_ON_BOTH)
METRICS = (*_UNIT, *_CORPUS)
"""Every metric's name: ``ndcg`` (linear in the gain), ``ndcg_exp`` (2^gain − 1), ``hr`` (whether anything relevant is
in the list), ``hierarchical_f1`` (the steps of categories' paths), ``ece`` (expected calibration error), and what the
others are called."""

OF_CLASSES = ("accuracy", "macro_f1", "hierarchical_f1", "ece")
"""Metrics of which always saying the commonest class is the least that counts."""


def parse_metric(name: str) -> Metric:
    """Read a metric's name.

    Raises:
        ConfigError: the name is unknown, or a cutoff is missing, zero, or out of place.

    >>> parse_metric("ndcg@10").cutoff
    10
    >>> parse_metric("rmse").higher
    False
    """
    found = re.fullmatch(r"([a-z][a-z0-9_]*)(?:@([0-9]+))?", name)
    if not found or found[1] not in METRICS:
        raise ConfigError(f"metric {name!r}: unknown; {nearest(name.partition('@')[0], METRICS)}")
    base, cutoff = found[1], int(found[2]) if found[2] else None
    if cutoff == 0 or (cutoff and (base in _CORPUS or base == "query_spearman")):
        raise ConfigError(
            f"metric {name!r}: {base} takes no cutoff {cutoff}; write {base if cutoff else base + '@10'!r}"
        )
    if cutoff is None and base in _NEEDS_CUTOFF:
        raise ConfigError(f"metric {name!r}: needs a cutoff; write '{base}@10'")
    return Metric(
        name=name,
        base=base,
        cutoff=cutoff,
        level="unit" if base in _UNIT else "corpus",
        higher=base not in _ERRORS,
        on="both" if base in _ON_BOTH else "predictions" if base in _ON_PREDICTIONS else "scores",
    )


def unit_values(
    metrics: Iterable[str], truth: Judged, score_N: ArrayLike, *, min_candidates: int = 1, model: str = "?"
) -> dict[str, Floats]:
    """Each unit-level metric's value per unit: {name: [U]}, NaN where the unit is left out.

    A unit is left out, for every model alike, when it has fewer than ``min_candidates`` rows or when no ranking of it
    could be told from another by this metric's definition: no gain above 0 (NDCG), no relevant row (MRR, MAP, recall,
    precision), all grades equal (Spearman within the query).

    Raises:
        ConfigError: a metric is unknown or has no value per unit.
        DataError: a score is NaN or missing.

    >>> from shopstill.evaluate.judged import judged
    >>> truth = judged([0, 0, 0], [0.0, 2.0, 1.0], [0, 2, 1], units=1)
    >>> unit_values(["ndcg@3", "mrr"], truth, [0.1, 0.9, 0.5])
    {'ndcg@3': array([1.]), 'mrr': array([1.])}
    """
    scores = check_scores(model, score_N, len(truth.unit_N), among=truth.among)
    ranked = None if truth.among else rank(truth, scores)
    out = {}
    for name in metrics:
        metric = parse_metric(name)
        if metric.level != "unit" or (ranked is None and metric.base == "query_spearman"):
            raise ConfigError(f"metric {name!r}: has no value per unit; {nearest(name, _UNIT)}")
        if ranked is None:
            out[name] = np.full(truth.units, np.nan)
            out[name][truth.unit_N] = placed(metric.base, scores[:, 0], scores[:, 1], metric.cutoff, truth.among)
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            value_U = FUNCTIONS[metric.base](ranked, metric.cutoff)
        out[name] = np.where(truth.size_U >= max(min_candidates, 1), value_U, np.nan)
    return out


def left_out(metric: Metric, truth: Judged, min_candidates: int) -> dict[str, int]:
    """How many units a unit-level metric leaves out, by reason; the reasons are tried in this order.

    >>> from shopstill.evaluate.judged import judged
    >>> truth = judged([0, 0, 1], [0.0, 0.0, 1.0], [0, 0, 1], units=2)
    >>> left_out(parse_metric("ndcg@10"), truth, min_candidates=2)
    {'fewer than 2 candidates': 1, 'no product with a gain': 1}
    """
    if truth.among:
        return {}
    few_U = truth.size_U < max(min_candidates, 1)
    if metric.base.startswith("ndcg"):
        reason, none_U = "no product with a gain", truth.sums(truth.gain_N) == 0
    elif metric.base == "query_spearman":
        reason, none_U = "all grades equal", spread(truth) == 0
    else:
        reason, none_U = "no relevant product", truth.sums(truth.relevant_N) == 0
    counts = {f"fewer than {min_candidates} candidates": int(few_U.sum()), reason: int((none_U & ~few_U).sum())}
    return {reason: count for reason, count in counts.items() if count}
