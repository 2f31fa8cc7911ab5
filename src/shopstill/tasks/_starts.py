"""Vectors of items that a table of codes may start near.

Shapes: ``V`` items, ``D`` width.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import svds
from torch import Tensor

from shopstill.data.histories import Histories, Parts
from shopstill.models.sequence import HistoryFeed, SequenceModel, weighed
from shopstill.tasks._places import trained

_STATES, _AT_ONCE = 5000, 512
_APART = 5
_SPREAD = 0.02


@torch.inference_mode()
def of_teacher(teacher: SequenceModel, histories: Histories, parts: Parts) -> Tensor:
    """The teacher's vectors [V, E], as far as its states of training histories tell them apart."""
    network = teacher.network.eval()
    shopper = np.flatnonzero(parts.trained_U >= 1)
    shopper = shopper[:: max(1, len(shopper) // _STATES)]
    feed = HistoryFeed.of(network, histories, shopper, parts.trained_U[shopper])
    some = torch.ones(1, dtype=torch.long)
    states = [
        network(**feed.inputs(np.arange(at, min(at + _AT_ONCE, len(feed)))), candidate_PC=some).features["hidden"]
        for at in range(0, len(feed), _AT_ONCE)
    ]
    return weighed(network.items.whole(), torch.cat(states))


def of_shoppers(histories: Histories, parts: Parts, width: int) -> Tensor:
    """Vectors [V, D] of items that stand near each other in training histories: what a model learns without a teacher.

    The leading singular vectors of positive pointwise mutual information, pairs up to five places apart counted by one
    over their distance (Levy and Goldberg, "Neural word embedding as implicit matrix factorization", NeurIPS 2014).
    """
    event = np.flatnonzero(trained(histories, parts))
    shopper_E = np.repeat(np.arange(len(histories)), histories.lengths())[event]
    item_E = histories.item_E[event].astype(np.int64) - 1
    row, column, near = [], [], []
    for apart in range(1, _APART + 1):
        same = shopper_E[apart:] == shopper_E[:-apart]
        one, other = item_E[:-apart][same], item_E[apart:][same]
        row += [one, other]
        column += [other, one]
        near += [np.full(2 * len(one), 1 / apart)]
    items = histories.items
    together = coo_matrix((np.concatenate(near), (np.concatenate(row), np.concatenate(column))), (items, items)).tocsr()
    total_V = np.asarray(together.sum(1)).ravel() + 1e-9
    pair = together.tocoo()
    pair.data = np.maximum(np.log(pair.data * total_V.sum() / (total_V[pair.row] * total_V[pair.col])), 0)
    kept = min(width, items - 1)
    left, size, _ = svds(pair.tocsr(), k=kept, random_state=0)
    found = torch.from_numpy(np.ascontiguousarray(left * np.sqrt(size))).float()
    return found * (_SPREAD / found.std().clamp(min=1e-12))
