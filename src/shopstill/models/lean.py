"""The towers' scoring in numpy: at a hundred candidates, a framework's overhead would cost more than the work.

Shapes: ``P`` products, ``N`` candidates, ``S`` tokens of several products end to end, ``U`` tokens of the query, ``D``
width, ``H`` hidden units, ``F`` features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from shopstill.models.towers import ABSENT, LEVELS, SPREAD, InteractionHead, Side, TokenTower, TwoTowers


@dataclass(frozen=True, kw_only=True)
class LeanSide:
    """An encoded text: unit token vectors [U, D], weights [U], pooled unit vector [D]."""

    tokens: np.ndarray
    weight: np.ndarray
    pooled: np.ndarray


class LeanQuery:
    """The query tower: its token table in numpy, or its encoder in PyTorch."""

    def __init__(self, tower: TokenTower) -> None:
        self._tower = tower
        self._static = isinstance(tower.body, nn.Embedding)
        if isinstance(tower.body, nn.Embedding):
            self._table = _numpy(tower.project(tower.body.weight))
            self._importance = _numpy(tower.importance.weight)[:, 0]

    def __call__(self, ids: np.ndarray) -> LeanSide:
        """Encode one query's ids, int64 [U]."""
        if not self._static:
            side = self._tower.one(torch.from_numpy(ids))
            return LeanSide(**{name: _numpy(part[0]) for name, part in side._asdict().items()})
        vectors = self._table[ids]
        weight = np.exp(self._importance[ids])
        weight /= weight.sum()
        pooled = weight @ vectors
        return LeanSide(
            tokens=vectors / np.maximum(np.sqrt(np.einsum("ud,ud->u", vectors, vectors)), 1e-12)[:, None],
            weight=weight,
            pooled=pooled / max(float(np.sqrt(pooled @ pooled)), 1e-12),
        )


class LeanProducts:
    """Encoded products to take candidates from; their tokens lie end to end, so that padding costs nothing."""

    def __init__(self, side: Side) -> None:
        self.pooled_PD = _numpy(side.pooled)
        there_PT = _numpy(side.weight) != 0
        # A product without a token keeps one that is far from everything.
        there_PT[~there_PT.any(axis=1), 0] = True
        self._tokens_SD = _numpy(side.tokens)[there_PT]
        self._absent_S = np.where(_numpy(side.weight)[there_PT] == 0, np.float32(ABSENT), np.float32(0))
        self._length_P = there_PT.sum(axis=1)
        self._start_P = np.cumsum(self._length_P) - self._length_P

    def cosines(self, query: LeanSide, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cosines [U, S] of the query's tokens with those of the candidates, and where each candidate begins [N]."""
        length_N = self._length_P[candidates]
        first_N = np.cumsum(length_N) - length_N
        rows_S = np.arange(first_N[-1] + length_N[-1]) + np.repeat(self._start_P[candidates] - first_N, length_N)
        cosine = query.tokens @ self._tokens_SD.take(rows_S, axis=0).T
        cosine += self._absent_S.take(rows_S)
        return cosine, first_N


class LeanDot:
    """The ``dot`` head."""

    def __init__(self, network: TwoTowers) -> None:
        self._scale, self._bias = float(network.scale), float(network.bias)

    def __call__(self, query: LeanSide, products: LeanProducts, candidates: np.ndarray, _: np.ndarray) -> np.ndarray:
        """Scores [N]."""
        return products.pooled_PD[candidates] @ query.pooled * self._scale + self._bias


class LeanInteraction:
    """The ``interaction`` head: its norm folded into the first layer, its soft counts from two exponentials.

    Around equally spaced levels ``l·s`` the counts' terms are ``exp(−(c − l·s)² / 2σ²) = k_l · g · h^l`` with
    ``g = exp(−c² / 2σ²)``, ``h = exp(c·s / σ²)`` and ``k_l = exp(−(l·s)² / 2σ²)``.
    """

    def __init__(self, head: InteractionHead) -> None:
        norm = head.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        self._matched_FH = _numpy((head.matched.weight * scale).T)
        self._shift_H = _numpy(head.matched.bias + head.matched.weight @ (norm.bias - norm.running_mean * scale))
        self._product_of_DH = _numpy(head.product_of.weight.T)
        self._query_DH = _numpy(head.query_alone.weight.T)
        self._product_DH = _numpy(head.product_alone.weight.T)
        self._middle_HH, self._middle_H = _numpy(head.middle.weight.T), _numpy(head.middle.bias)
        self._out_H, self._out = _numpy(head.out.weight[0]), float(head.out.bias)
        steps = np.arange(len(LEVELS))
        self._step = LEVELS[-2] - LEVELS[-1]
        self._factor_L = np.exp(-((steps * self._step) ** 2) / (2 * SPREAD**2)).astype(np.float32)

    def __call__(
        self, query: LeanSide, products: LeanProducts, candidates: np.ndarray, lexical_NF: np.ndarray
    ) -> np.ndarray:
        """Scores [N]."""
        read = np.concatenate([self.match(query, products, candidates), lexical_NF], axis=1)
        scaled = (query.pooled * len(query.pooled) ** 0.5)[:, None]
        hidden = read @ self._matched_FH
        hidden += products.pooled_PD[candidates] @ (scaled * self._product_of_DH + self._product_DH)
        hidden += query.pooled @ self._query_DH + self._shift_H
        hidden = np.maximum(hidden, 0, out=hidden) @ self._middle_HH + self._middle_H
        return np.maximum(hidden, 0, out=hidden) @ self._out_H + self._out

    def match(self, query: LeanSide, products: LeanProducts, candidates: np.ndarray) -> np.ndarray:
        """[N, 2 + levels], as ``InteractionHead.match`` gives them."""
        cosine, first = products.cosines(query, candidates)
        best = np.maximum.reduceat(cosine, first, axis=1)
        growth = np.exp(cosine * np.float32(self._step / SPREAD**2))
        terms = np.empty((len(LEVELS), *cosine.shape), np.float32)
        np.exp(np.square(cosine, out=cosine) * np.float32(-0.5 / SPREAD**2), out=terms[0])
        for level in range(1, len(LEVELS)):
            np.multiply(terms[level - 1], growth, out=terms[level])
        counts = np.add.reduceat(terms, first, axis=2) * self._factor_L[:, None, None]
        out = np.empty((len(candidates), 2 + len(LEVELS)), np.float32)
        out[:, 0] = query.weight @ best
        out[:, 1:-1] = (query.weight @ np.log1p(counts[::-1])).T
        out[:, -1] = best.min(axis=0)
        return out


def _numpy(values: Tensor) -> np.ndarray:
    return np.ascontiguousarray(values.detach().float().numpy())
