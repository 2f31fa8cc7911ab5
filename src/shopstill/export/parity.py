"""The parity gate: a bundle scores as the model that was judged, or it is not shipped.

Shapes: ``N`` pairs, ``G`` queries, ``K`` outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from shopstill.core.errors import ArtifactError
from shopstill.data.pairs import PairTexts
from shopstill.export.plain import plain_scores
from shopstill.models.build import TextModel
from shopstill.models.compact._part import LinearPart
from shopstill.models.compact.int8_conv import Int8Conv
from shopstill.models.lean import dense
from shopstill.serve.bundle.load import Bundle, load_texts
from shopstill.train.predict import predict

TOLERANCE = 1e-4
"""How far a score computed in float32 may be off: orders of sums differ between libraries."""

INT8, COMPANY = 0.25, 0.5
"""The same in int8, where a last bit of float32 may tip a number over to the next step of its grid, and each layer
reads what the one before has tipped; and where the grid itself hangs on the batch. Orders then agree to ``TAU``."""

TAU = 0.9
"""Kendall's tau of the orders of real queries, at least, where scores may be off by more than ``TOLERANCE``."""

_ALONE, _THREADS, _DEPTH, _SHOWN = 24, 4, 10, 80

HOSTILE = (
    "",
    " \t\n ",
    "0",
    "a",
    "!?…—\"'()[]{}<>|\\/",
    "red steel mug 12 oz " * 800,
    "x" * 5000,
    "🛋️👩‍👩‍👧‍👦🇫🇮❤️‍🔥",
    "保温杯 500ml 不锈钢 thermos ☕ cup",
    "شاحن سريع charger كابل",
    "café naïve Ærøskøbing ﬁne ①②③",
    "\u200b\u200e\ufeff\u0000\u0007",
    "\ud800 half a pair",
    "<script>alert(1)</script> [CLS] [SEP] [PAD]",
)
"""Texts that are hard to read; each stands on both sides."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How near a bundle's scores are to the model's.

    Attributes:
        rows: real pairs compared; ``hostile``: pairs of texts that are hard to read.
        difference: the largest difference of a score from the model's.
        alone: the largest between a pair's score in company and alone.
        padding: the largest of the graphs run by onnxruntime alone, with needless padding, from the model's.
        threads: the largest between one thread and several.
        tau: Kendall's tau-b of the two orders of a query's products, mean over queries.
        ndcg: mean NDCG@10 of the model's order less that of the bundle's, as a positive number.
    """

    rows: int
    hostile: int
    difference: float
    alone: float
    padding: float
    threads: float
    tau: float
    ndcg: float


def allowed(network: nn.Module) -> float:
    """How far a bundle's scores may be from those of a network that computes as this one does.

    >>> allowed(nn.Linear(2, 1))
    0.0001
    """
    parts = [part for part in network.modules() if isinstance(part, LinearPart | Int8Conv)]
    if all(isinstance(part, LinearPart) and dense(part) for part in parts):
        return TOLERANCE
    return INT8 if all(part.batch_invariant for part in parts) else COMPANY


def check(
    model: TextModel, bundle: Path, rows: PairTexts, *, gain_N: np.ndarray | None = None, tolerance: float = TOLERANCE
) -> Parity:
    """Compare a bundle with the model it was made from.

    Args:
        model: the model that was judged.
        bundle: the bundle's folder.
        rows: N real pairs.
        gain_N: their grades, for NDCG; where there are none, the model's own scores are the truth.
        tolerance: how far any score may be off.

    Raises:
        ArtifactError: a score is off by more, or not finite; the pair and both values are named. Or orders differ.
    """
    served = load_texts(bundle)
    both = with_hostile(rows)
    judged = judged_scores(model, both)
    texts = list(zip(*both.texts(np.arange(len(both))), strict=True))
    found = served.score(texts)
    difference = hold("the bundle", found, judged, texts, tolerance)
    alone = _alone(served, texts, found, tolerance if tolerance <= TOLERANCE else math.inf)
    threaded = load_texts(bundle, threads=_THREADS).score(texts)
    threads = hold(f"{_THREADS} threads", threaded, found, texts, tolerance)
    limit = tolerance if served.manifest.batch_invariant else math.inf
    padding = hold("graphs alone, padded", plain_scores(served, both), judged, texts, limit)
    _without_features(served, both)
    tau, ndcg = _orders(rows, judged[: len(rows)], found[: len(rows)], gain_N)
    if tolerance > TOLERANCE and tau < TAU:
        raise ArtifactError(
            f"parity: the bundle orders products otherwise: Kendall's tau {tau:.3f}, at least {TAU} is asked"
        )
    return Parity(
        rows=len(rows),
        hostile=len(both) - len(rows),
        difference=difference,
        alone=alone,
        padding=padding,
        threads=threads,
        tau=tau,
        ndcg=ndcg,
    )


def with_hostile(rows: PairTexts) -> PairTexts:
    """The rows; then each hostile text as a query of another one and of a real product, and as a query's product."""
    used_Q, query_N = np.unique(rows.query_N, return_inverse=True)
    used_P, product_N = np.unique(rows.product_N, return_inverse=True)
    queries = [*(rows.queries[at] for at in used_Q.tolist()), *HOSTILE]
    products = [*(rows.products[at] for at in used_P.tolist()), *HOSTILE]
    place = np.arange(len(HOSTILE))
    query, product, first = len(used_Q) + place, len(used_P) + place, np.zeros_like(place)
    return PairTexts(
        queries=queries,
        products=products,
        query_N=np.concatenate([query_N, query, query, first]),
        product_N=np.concatenate([product_N, product[::-1], first, product]),
    )


def judged_scores(model: TextModel, rows: PairTexts) -> np.ndarray:
    """The model's own scores."""
    lexical = None
    if model.lexical is not None:
        lexical = model.lexical.others(rows.products).pairs(rows.queries, rows.query_N, rows.product_N)
    whole = PairTexts(
        queries=rows.queries,
        products=rows.products,
        query_N=rows.query_N,
        product_N=rows.product_N,
        lexical_NF=lexical,
    )
    return predict(model.network, model.network.feed(model.tokenizer, whole)).logits


def hold(what: str, found: np.ndarray, expected: np.ndarray, texts: list[tuple[str, str]], tolerance: float) -> float:
    """The largest difference of two columns of scores of pairs."""

    def named(row: int) -> str:
        query, product = (_short(text) for text in texts[row])
        return f"query {query} with product {product}"

    return hold_rows(what, found, expected, tolerance, named)


def hold_rows(
    what: str, found: np.ndarray, expected: np.ndarray, tolerance: float, named: Callable[[int], str]
) -> float:
    """The largest difference of two columns of scores, or of rows of several.

    Raises:
        ArtifactError: one is larger than allowed, or not finite; its row is named.
    """
    if found.shape != expected.shape:
        raise ArtifactError(f"parity: {what}: scores of shape {found.shape} where the model gives {expected.shape}")
    off_N = np.abs(found - expected).reshape(len(found), -1).max(axis=1, initial=0)
    off_N = np.where(np.isfinite(off_N), off_N, np.inf)
    worst = int(off_N.argmax()) if len(off_N) else 0
    if len(off_N) and (off_N[worst] > tolerance or not np.isfinite(off_N[worst])):
        raise ArtifactError(
            f"parity: {what}: row {worst}, {named(worst)}: scores {found[worst]}, where "
            f"{expected[worst]} is expected; off by {off_N[worst]:.3g}, and {tolerance:g} is allowed. "
            "Export in float32, or state a larger tolerance and the scheme that needs it"
        )
    return float(off_N[worst]) if len(off_N) else 0.0


def _alone(served: Bundle, texts: list[tuple[str, str]], found: np.ndarray, tolerance: float) -> float:
    """Pairs scored one at a time; those that are hard to read come last, and are among them."""
    step = max(1, len(texts) // _ALONE)
    chosen = sorted({*range(0, len(texts), step), *range(max(0, len(texts) - _ALONE), len(texts))})
    alone = [served.score([texts[row]]) for row in chosen]
    several = [texts[row] for row in chosen]
    return hold("a pair alone, and in company", np.concatenate(alone), found[chosen], several, tolerance)


def _without_features(served: Bundle, rows: PairTexts) -> None:
    """Lexical features that are not known, and candidates that are none, leave scores finite."""
    ahead = served.ahead(rows.products[-3:])
    missing = np.full((3, len(served.manifest.features)), np.nan, np.float32) if served.manifest.features else None
    scores = ahead.score(rows.queries[-1], [0, 1, 2], missing)
    if not np.isfinite(scores).all():
        raise ArtifactError(f"parity: lexical features that are not known (NaN) give the scores {scores}")
    assert len(ahead.score(rows.queries[-1], [])) == 0


def _orders(rows: PairTexts, judged: np.ndarray, found: np.ndarray, gain_N: np.ndarray | None) -> tuple[float, float]:
    """Kendall's tau and the difference in NDCG, means over queries."""
    from scipy.stats import kendalltau

    if judged.ndim > 1:
        judged, found = judged[:, -1], found[:, -1]
    order = np.argsort(rows.query_N, kind="stable")
    taus, losses = [], []
    for group in np.split(order, np.flatnonzero(np.diff(rows.query_N[order])) + 1):
        one, other = judged[group], found[group]
        if len(group) and np.ptp(one) > 0:
            taus.append(float(kendalltau(one, other).statistic))
            gain = one - one.min() if gain_N is None else gain_N[group]
            losses.append(_ndcg(gain, one) - _ndcg(gain, other))
    return (float(np.mean(taus)), abs(float(np.mean(losses)))) if taus else (1.0, 0.0)


def _ndcg(gain: np.ndarray, score: np.ndarray) -> float:
    discount = 1 / np.log2(np.arange(2, 2 + min(_DEPTH, len(gain))))
    best = float(np.sort(gain)[::-1][:_DEPTH] @ discount)
    return float(gain[np.argsort(-score, kind="stable")][:_DEPTH] @ discount) / best if best > 0 else 1.0


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
