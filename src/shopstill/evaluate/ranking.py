"""Ranking metrics of every unit at once, as expected values over all orders of tied rows.

Shape legend: ``N`` judged rows (a query with a product), ``U`` units (queries), ``G`` runs of equal scores in a unit.

Equal scores have no order, and the order of rows in a file must not decide a metric. Every metric here is therefore
the **expected value over all orders of the tied rows**, in closed form (McSherry & Najork, "Computing information
retrieval performance measures efficiently in the presence of tied scores", ECIR 2008). Two things follow: the result
does not depend on row order, and a constant score gives exactly the value that a random ranking has on average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from shopstill.evaluate.judged import Bools, Floats, Ints, Judged, sums


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranked:
    """Rows in order of unit, then score from high to low, with runs of equal scores."""

    truth: Judged
    order_N: Ints
    place_N: Ints
    run_N: Ints
    size_G: Ints

    @cached_property
    def unit_N(self) -> Ints:
        return self.truth.unit_N[self.order_N]

    @cached_property
    def first_G(self) -> Ints:
        """The row each run starts at."""
        return np.cumsum(self.size_G) - self.size_G

    def within(self, cutoff: int | None) -> Bools:
        return self.place_N < (cutoff if cutoff is not None else len(self.place_N))

    def total(self, value_N: Floats) -> Floats:
        """[U] sums of a value that lies in ranked order."""
        return sums(self.unit_N, value_N, self.truth.units)

    def run_sum(self, value_N: ArrayLike) -> Floats:
        """[G] sums over each run of a value that lies in the truth's order."""
        ranked = np.asarray(value_N, dtype=np.float64)[self.order_N]
        return sums(self.run_N, ranked, len(self.size_G))

    def expected(self, value_N: ArrayLike) -> Floats:
        """[N] the mean of a value in each row's run: what a random order of the ties is expected to hold there."""
        return (self.run_sum(value_N) / self.size_G)[self.run_N]

    def midrank(self) -> Floats:
        """[N] mean place of each row among its unit's rows, in the truth's order, centred to a mean of 0."""
        middle_G = self.place_N[self.first_G] + (self.size_G - 1) / 2
        out = np.empty(len(self.order_N))
        out[self.order_N] = middle_G[self.run_N] - (self.truth.size_U[self.unit_N] - 1) / 2
        return out


def rank(truth: Judged, score_N: Floats) -> Ranked:
    """Order rows by unit, then by score from high to low, and find the runs of equal scores."""
    order_N = np.lexsort((-score_N, truth.unit_N))
    unit_N, sorted_N = truth.unit_N[order_N], score_N[order_N]
    first_N = np.r_[True, unit_N[1:] != unit_N[:-1]]
    starts = np.flatnonzero(first_N)
    place_N = np.arange(len(order_N)) - np.repeat(starts, np.diff(np.r_[starts, len(order_N)]))
    run_N = np.cumsum(first_N | np.r_[True, sorted_N[1:] != sorted_N[:-1]]) - 1
    return Ranked(truth=truth, order_N=order_N, place_N=place_N, run_N=run_N, size_G=np.bincount(run_N))


def _ndcg(ranked: Ranked, cutoff: int | None) -> Floats:
    return _discounted(ranked, ranked.truth.gain_N, cutoff)


def _ndcg_exp(ranked: Ranked, cutoff: int | None) -> Floats:
    return _discounted(ranked, np.exp2(ranked.truth.gain_N) - 1, cutoff)


def _discounted(ranked: Ranked, gain_N: Floats, cutoff: int | None) -> Floats:
    discount_N = ranked.within(cutoff) / np.log2(ranked.place_N + 2.0)
    # Places in ranked order depend on unit sizes alone, so the ideal order shares the discounts.
    ideal_N = gain_N[np.lexsort((-gain_N, ranked.truth.unit_N))]
    return ranked.total(ranked.expected(gain_N) * discount_N) / ranked.total(ideal_N * discount_N)


def _recall(ranked: Ranked, cutoff: int | None) -> Floats:
    found_U = ranked.total(ranked.expected(ranked.truth.relevant_N) * ranked.within(cutoff))
    return found_U / ranked.truth.sums(ranked.truth.relevant_N)


def _precision(ranked: Ranked, cutoff: int | None) -> Floats:
    assert cutoff is not None
    found_U = ranked.total(ranked.expected(ranked.truth.relevant_N) * ranked.within(cutoff))
    return np.where(ranked.truth.sums(ranked.truth.relevant_N) > 0, found_U / cutoff, np.nan)


def _mrr(ranked: Ranked, cutoff: int | None) -> Floats:
    """Σ_j P(first relevant row of its run is the j-th) / (place + j), P = C(n−j, r−1) / C(n, r)."""
    relevant_G = ranked.run_sum(ranked.truth.relevant_N)
    hits = np.flatnonzero(relevant_G)
    unit, index = np.unique(ranked.unit_N[ranked.first_G[hits]], return_index=True)
    run = hits[index]
    r, n = relevant_G[run], ranked.size_G[run].astype(np.float64)
    tries = (n - r + 1).astype(np.int64)
    which = np.repeat(np.arange(len(run)), tries)
    j = np.arange(len(which)) - np.repeat(np.cumsum(tries) - tries, tries) + 1.0
    chance = np.exp(_log_choose((n[which] - j), r[which] - 1) - _log_choose(n, r)[which])
    rank = ranked.place_N[ranked.first_G[run]][which] + j
    value = chance / rank * (rank <= (cutoff if cutoff is not None else np.inf))
    out = np.full(ranked.truth.units, np.nan)
    out[unit] = sums(which, value, len(run))
    return out


def _map(ranked: Ranked, cutoff: int | None) -> Floats:
    """Each row of a run of n with r relevant, after p relevant: r/n · (p + 1 + (j−1)(r−1)/(n−1)) / place."""
    relevant_G = ranked.run_sum(ranked.truth.relevant_N)
    before_G = np.cumsum(relevant_G) - relevant_G
    unit_start = ranked.place_N[ranked.first_G] == 0
    before_G = before_G - before_G[np.flatnonzero(unit_start)][np.cumsum(unit_start) - 1]
    run, n, r = ranked.run_N, ranked.size_G[ranked.run_N], relevant_G[ranked.run_N]
    j = np.arange(len(run)) - ranked.first_G[run]
    seen_N = before_G[run] + 1 + j * (r - 1) / np.maximum(n - 1, 1)
    value_N = r / n * seen_N / (ranked.place_N + 1) * ranked.within(cutoff)
    return ranked.total(value_N) / ranked.truth.sums(ranked.truth.relevant_N)


def _query_spearman(ranked: Ranked, _: int | None) -> Floats:
    """Correlation of mean ranks within the unit; a constant score ranks nothing and gets 0."""
    truth = ranked.truth
    score_N, grade_N = ranked.midrank(), rank(truth, truth.grade_N).midrank()
    score_U, grade_U = truth.sums(score_N**2), truth.sums(grade_N**2)
    value_U = np.where(score_U > 0, truth.sums(score_N * grade_N) / np.sqrt(score_U * grade_U), 0.0)
    return np.where(grade_U > 0, value_U, np.nan)


def spread(truth: Judged) -> Floats:
    """[U] how far the grades of a unit differ, in squared ranks; 0 where all are equal."""
    return truth.sums(rank(truth, truth.grade_N).midrank() ** 2)


def _log_choose(n: Floats, k: Floats) -> Floats:
    out: Floats = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return out


def _hit(ranked: Ranked, cutoff: int | None) -> Floats:
    """1 − P(nothing relevant is found): of a run of n with r relevant and m places within, C(n − r, m) / C(n, m)."""
    relevant_G = ranked.run_sum(ranked.truth.relevant_N)
    n, first = ranked.size_G.astype(np.float64), ranked.place_N[ranked.first_G]
    m: Floats = np.clip((cutoff if cutoff is not None else np.inf) - first.astype(np.float64), 0, n)
    possible = n - relevant_G >= m
    rest: Floats = np.where(possible, n - relevant_G, m)
    miss = np.where(possible, _log_choose(rest, m) - _log_choose(n, m), -np.inf)
    unit_G = ranked.unit_N[ranked.first_G]
    missed_U = np.exp(sums(unit_G, np.where(np.isinf(miss), -1e6, miss), ranked.truth.units))
    return np.where(ranked.truth.sums(ranked.truth.relevant_N) > 0, 1 - missed_U, np.nan)


def placed(base: str, above_N: Floats, tied_N: Floats, cutoff: int | None, among: int) -> Floats:
    """[N] a metric of one relevant row each, ranked among a whole catalogue: its expected value over ties.

    With g(p) what place p is worth, and ``a`` that score higher and ``t`` that score the same, it is the mean of g over
    the places a + 1 to a + t + 1. A cutoff makes g 0 behind it.

    >>> placed("ndcg", np.array([0.0, 1.0]), np.array([0.0, 0.0]), 10, 100).round(3).tolist()
    [1.0, 0.631]
    >>> placed("hr", np.array([0.0]), np.array([99.0]), 10, 100).tolist()  # all are tied
    [0.1]
    """
    place = np.arange(1, min(cutoff or among, among) + 1, dtype=np.float64)
    worth = np.concatenate([[0.0], np.cumsum(_WORTH[base](place) / (cutoff or among if base == "precision" else 1))])
    last = len(worth) - 1
    first_N, end_N = (np.minimum(at, last).astype(np.int64) for at in (above_N, above_N + tied_N + 1))
    return np.asarray((worth[end_N] - worth[first_N]) / (tied_N + 1))


_WORTH: dict[str, Callable[[Floats], Floats]] = {
    "ndcg": lambda place: 1 / np.log2(place + 1),
    "ndcg_exp": lambda place: 1 / np.log2(place + 1),
    "mrr": lambda place: 1 / place,
    "map": lambda place: 1 / place,
    "recall": np.ones_like,
    "hr": np.ones_like,
    "precision": np.ones_like,
}

FUNCTIONS: dict[str, Callable[[Ranked, int | None], Floats]] = {
    "ndcg": _ndcg,
    "ndcg_exp": _ndcg_exp,
    "mrr": _mrr,
    "map": _map,
    "recall": _recall,
    "hr": _hit,
    "precision": _precision,
    "query_spearman": _query_spearman,
}
