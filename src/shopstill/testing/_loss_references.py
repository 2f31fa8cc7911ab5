"""The same losses a second time: plain loops over numpy in float64, as the papers write them, to compare with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Plain:
    """The rows of a loss as arrays; without groups all rows are one, without weights all weigh 1."""

    student: Array
    other: Array
    group: Array
    target: Array
    weight: Array

    def groups(self) -> Iterator[Plain]:
        for number in dict.fromkeys(self.group):
            at = self.group == number
            yield Plain(
                student=self.student[at],
                other=self.other[at],
                group=self.group[at],
                target=self.target[at],
                weight=self.weight[at],
            )


def _softmax(logits: Array) -> Array:
    powers: Array = np.exp(logits - logits.max())
    return powers / powers.sum()


def _sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


def _kl(p: Array, q: Array) -> float:
    return float(sum(a * np.log(a / b) for a, b in zip(p, q, strict=True)))


def _huber(gap: float) -> float:
    return gap**2 / 2 if abs(gap) <= 1 else abs(gap) - 0.5


def _cosine(a: Array, b: Array) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _mean(values: list[float], weights: list[float] | Array) -> float:
    return float(np.average(values, weights=weights))


def _by_row(r: Plain, value: Callable[[Array, Array], float]) -> float:
    return _mean([value(s, o) for s, o in zip(r.student, r.other, strict=True)], r.weight)


def _by_group(r: Plain, value: Callable[[Plain], float]) -> float:
    groups = list(r.groups())
    return _mean([value(g) for g in groups], [g.weight.mean() for g in groups])


def _pairs(r: Plain) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(len(r.weight)), 2))


def _graded_pairs(r: Plain) -> list[tuple[int, int]]:
    return [(i, j) for i, j in itertools.permutations(range(len(r.weight)), 2) if r.other[i] > r.other[j]]


def cross_entropy(r: Plain, *, label_smoothing: float = 0.0, class_weight: list[float] | None = None) -> float:
    def value(s: Array, c: Array) -> float:
        q = np.log(_softmax(s))
        return float(-(1 - label_smoothing) * q[int(c)] - label_smoothing * q.mean())

    values = [value(s, c) for s, c in zip(r.student, r.other, strict=True)]
    of_class = [1.0 if class_weight is None else class_weight[int(c)] for c in r.other]
    return _mean(values, r.weight * of_class)


def mse(r: Plain) -> float:
    return _by_row(r, lambda s, y: float((s - y) ** 2))


def bce(r: Plain) -> float:
    return _by_row(r, lambda s, y: float(-y * np.log(_sigmoid(s)) - (1 - y) * np.log(_sigmoid(-s))))  # type: ignore[arg-type]


def soft(r: Plain, *, temperature: float = 1.0) -> float:
    return temperature**2 * _by_row(r, lambda s, t: _kl(_softmax(t / temperature), _softmax(s / temperature)))


def adaptive_soft(r: Plain, *, by: str = "disagreement", sharpness: float = 1.0, temperature: float = 1.0) -> float:
    def trust(t: Array, c: int) -> float:
        p = _softmax(t)
        if by == "disagreement":
            return float(p[c] / p.max())
        if by == "entropy":
            return float(1 + (p * np.log(p)).sum() / np.log(len(p)))
        return float((len(p) * p.max() - 1) / (len(p) - 1))

    values = [
        trust(t, int(c)) ** sharpness * _kl(_softmax(t / temperature), _softmax(s / temperature))
        for s, t, c in zip(r.student, r.other, r.target, strict=True)
    ]
    return temperature**2 * _mean(values, r.weight)


def soft_bce(r: Plain, *, temperature: float = 1.0) -> float:
    def value(s: Array, t: Array) -> float:
        return _kl(*(np.array([_sigmoid(x / temperature), _sigmoid(-x / temperature)]) for x in (t, s)))  # type: ignore[arg-type]

    return temperature**2 * _by_row(r, value)


score_mse = mse


def margin_mse(r: Plain) -> float:
    def value(g: Plain) -> float:
        gaps = [((g.student[i] - g.student[j]) - (g.other[i] - g.other[j])) ** 2 for i, j in _pairs(g)]
        return _mean(gaps, [np.sqrt(g.weight[i] * g.weight[j]) for i, j in _pairs(g)])

    return _by_group(r, value)


def listwise_kl(r: Plain, *, temperature: float = 1.0) -> float:
    def value(g: Plain) -> float:
        p, q = (g.weight * np.exp(x / temperature) for x in (g.other, g.student))
        return _kl(p / p.sum(), q / q.sum())

    return temperature**2 * _by_group(r, value)


def listwise_softmax(r: Plain, *, temperature: float = 1.0) -> float:
    def value(g: Plain) -> float:
        share, q = g.weight * g.other, g.weight * np.exp(g.student / temperature)
        return float(-(share / share.sum()) @ np.log(q / q.sum()))

    return _by_group(r, value)


def pairwise_logistic(r: Plain, *, sigma: float = 1.0) -> float:
    def value(g: Plain) -> float:
        values = [-np.log(_sigmoid(sigma * (g.student[i] - g.student[j]))) for i, j in _graded_pairs(g)]
        return _mean(values, [np.sqrt(g.weight[i] * g.weight[j]) for i, j in _graded_pairs(g)])

    return _by_group(r, value)


def lambda_rank(r: Plain, *, k: int | None = 10, gain: str = "exponential", sigma: float = 1.0) -> float:
    def dcg(gains: Array) -> float:
        return float(sum(g / np.log2(place + 2) for place, g in enumerate(gains[:k])))

    def value(g: Plain) -> float:
        gains = g.other if gain == "linear" else 2**g.other - 1
        order = np.argsort(-g.student, kind="stable")
        best, total = dcg(np.sort(gains)[::-1]), 0.0
        for i, j in _graded_pairs(g):
            swapped = np.array([{i: j, j: i}.get(row, row) for row in order])
            change = abs(dcg(gains[order]) - dcg(gains[swapped])) / best
            weight = np.sqrt(g.weight[i] * g.weight[j]) / g.weight.mean()
            total -= weight * change * np.log(_sigmoid(sigma * (g.student[i] - g.student[j])))
        return total

    return _by_group(r, value)


def ranking_distillation(r: Plain, *, top: int = 10, decay: float = 10.0, tail: int = 0) -> float:
    def value(s: Array, t: Array) -> float:
        best = sorted(range(len(s) - tail), key=lambda i: -t[i])[:top]
        weights = [np.exp(-place / decay) for place in range(1, len(best) + 1)]
        return _mean([-np.log(_sigmoid(s[i])) for i in best], weights)

    return _by_row(r, value)


def relaxed_ranking(r: Plain, *, top: int = 10, tail: int = 0) -> float:
    def value(s: Array, t: Array) -> float:
        best = sorted(range(len(s) - tail), key=lambda i: -t[i])[:top]
        left, total = list(range(len(s))), 0.0
        for i in best:
            total -= s[i] - np.log(sum(np.exp(s[j]) for j in left))
            left.remove(i)
        return total / len(best)

    return _by_row(r, value)


def hint(r: Plain) -> float:
    return _by_row(r, lambda s, t: float(((s - t) ** 2).mean()))


def cosine(r: Plain) -> float:
    return _by_row(r, lambda s, t: 1 - _cosine(s, t))


def rkd_distance(r: Plain) -> float:
    weights = [np.sqrt(r.weight[i] * r.weight[j]) for i, j in _pairs(r)]

    def relative(x: Array) -> Array:
        distances = [float(np.linalg.norm(x[i] - x[j])) for i, j in _pairs(r)]
        return np.array(distances) / _mean(distances, weights)

    return _mean([_huber(gap) for gap in relative(r.student) - relative(r.other)], weights)


def rkd_angle(r: Plain) -> float:
    def angle(x: Array, i: int, j: int, k: int) -> float:
        return _cosine(x[i] - x[j], x[k] - x[j])

    triples = list(itertools.permutations(range(len(r.weight)), 3))
    gaps = [_huber(angle(r.student, *three) - angle(r.other, *three)) for three in triples]
    return _mean(gaps, [np.cbrt(r.weight[list(three)].prod()) for three in triples])


def similarity_preserving(r: Plain) -> float:
    def alike(x: Array) -> Array:
        rows = [np.array([a @ b for b in x]) for a in x]
        return np.array([row / np.linalg.norm(row) for row in rows])

    squares = (alike(r.student) - alike(r.other)) ** 2
    return _mean(list(squares.ravel()), np.sqrt(np.outer(r.weight, r.weight)).ravel())


def attention_relation(r: Plain) -> float:
    def value(s: Array, t: Array) -> float:
        places = itertools.product(range(s.shape[0]), range(s.shape[1]))
        return float(np.mean([_kl(_softmax(t[h, i]), _softmax(s[h, i])) for h, i in places]))

    return _by_row(r, value)


def attention_transfer(r: Plain, *, squared: bool = True) -> float:
    def value(s: Array, t: Array) -> float:
        gap = np.linalg.norm(s / np.linalg.norm(s) - t / np.linalg.norm(t))
        return float(gap**2 if squared else gap)

    return _by_row(r, value)


def info_nce(r: Plain, *, temperature: float = 0.05) -> float:
    values = []
    for own, s in enumerate(r.student):
        values.append(-np.log(_softmax(np.array([_cosine(s, t) for t in r.other]) / temperature)[own]))
    return _mean(values, r.weight)


def decoupled(r: Plain, *, alpha: float = 1.0, beta: float = 8.0, temperature: float = 4.0) -> float:
    def value(s: Array, t: Array, c: int) -> float:
        p, q = _softmax(t / temperature), _softmax(s / temperature)
        target = _kl(np.array([p[c], 1 - p[c]]), np.array([q[c], 1 - q[c]]))
        return alpha * target + beta * _kl(
            _softmax(np.delete(t, c) / temperature), _softmax(np.delete(s, c) / temperature)
        )

    values = [value(s, t, int(c)) for s, t, c in zip(r.student, r.other, r.target, strict=True)]
    return temperature**2 * _mean(values, r.weight)
