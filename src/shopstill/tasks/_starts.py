"""Vectors of items that a table of codes may start near.

Shapes: ``V`` items, ``D`` width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds
from torch import Tensor

from shopstill.data.histories import Histories, Parts
from shopstill.models.sequence import HistoryFeed, SequenceNetwork, weighed
from shopstill.tasks._places import trained

_STATES, _AT_ONCE = 5000, 512
_APART = 5
_SPREAD = 0.02
_EVENTS = 1_500_000
"""Events that neighbours are counted of; more move the vectors little, and are memory."""

_MANY = 1 << 17
"""Items from which on vectors are found at random."""

_SPARE, _ROUNDS = 8, 3


@torch.inference_mode()
def of_teacher(networks: Sequence[SequenceNetwork], histories: Histories, parts: Parts) -> Tensor:
    """The teacher's vectors [V, E], as far as its states of training histories tell them apart.

    Those of several members stand side by side, and so do their states: the mean of the members' log-probabilities
    tells two items apart as these long vectors do.
    """
    shopper = np.flatnonzero(parts.trained_U >= 1)
    shopper = shopper[:: max(1, len(shopper) // _STATES)]
    found = [(network.items.whole(), _states(network, histories, shopper, parts)) for network in networks]
    return weighed(torch.cat([items for items, _ in found], 1), torch.cat([states for _, states in found], 1))


def _states(network: SequenceNetwork, histories: Histories, shopper: np.ndarray, parts: Parts) -> Tensor:
    feed = HistoryFeed.of(network.eval(), histories, shopper, parts.trained_U[shopper])
    some = torch.ones(1, dtype=torch.long)
    asked = (feed.inputs(np.arange(at, min(at + _AT_ONCE, len(feed)))) for at in range(0, len(feed), _AT_ONCE))
    return torch.cat([network(**inputs, candidate_PC=some).features["hidden"] for inputs in asked])


def of_shoppers(histories: Histories, parts: Parts, width: int) -> Tensor:
    """Vectors [V, D] of items that stand near each other in training histories: what a model learns without a teacher.

    The leading singular vectors of positive pointwise mutual information, pairs up to five places apart counted by one
    over their distance (Levy and Goldberg, "Neural word embedding as implicit matrix factorization", NeurIPS 2014).
    """
    items = histories.items
    near = _together(*_some(histories, parts), items)
    total_V = np.asarray(near.sum(1)).ravel() + 1e-9
    count_V = np.diff(near.indptr)
    near.data *= total_V.sum() / total_V[near.indices]
    near.data /= np.repeat(total_V, count_V)
    near.data = np.maximum(np.log(near.data), 0)
    found = _leading(near, width) if items > _MANY else _exact(near, min(width, items - 1))
    return found * (_SPREAD / found.std().clamp(min=1e-12))


def _some(histories: Histories, parts: Parts) -> tuple[np.ndarray, np.ndarray]:
    """Shopper and item, from 0, of each event that may be learnt from; of many shoppers some are drawn."""
    learnt_E = trained(histories, parts)
    shopper_E = np.repeat(np.arange(len(histories), dtype=np.int32), histories.lengths())
    share = _EVENTS / max(1, int(learnt_E.sum()))
    if share < 1:
        learnt_E &= (np.random.default_rng(0).random(len(histories)) < share)[shopper_E]
    return shopper_E[learnt_E], histories.item_E[learnt_E] - 1


def _together(shopper_E: np.ndarray, item_E: np.ndarray, items: int) -> csr_matrix:
    """[V, V] how often items stand near each other, distance by distance, so that one is in memory at a time."""
    found = csr_matrix((items, items))
    for apart in range(1, _APART + 1):
        same = shopper_E[apart:] == shopper_E[:-apart]
        one, other = item_E[:-apart][same], item_E[apart:][same]
        near = csr_matrix((np.full(len(one), 1 / apart), (one, other)), (items, items))
        found = found + near + near.T
    return found


def _exact(near: csr_matrix, kept: int) -> Tensor:
    left, size, _ = svds(near, k=kept, random_state=0)
    return torch.from_numpy(np.ascontiguousarray(left * np.sqrt(size))).float()


def _leading(near: csr_matrix, width: int) -> Tensor:
    """The same, nearly, by products with a few vectors drawn at random (Halko, Martinsson and Tropp 2011,
    arXiv:0909.4061): what Lanczos' method holds of a million items is gigabytes."""
    near = near.astype(np.float32)
    base = np.random.default_rng(0).standard_normal((near.shape[0], width + _SPARE), np.float32)
    for _ in range(_ROUNDS):
        base = np.linalg.qr(near @ base)[0]
    # Symmetric: on the base it is a small matrix, whose eigenvectors are turned back.
    size, axis = np.linalg.eigh(base.T @ (near @ base))
    first = np.argsort(-np.abs(size))[:width]
    return torch.from_numpy(base @ (axis[:, first] * np.sqrt(np.abs(size[first]))))
