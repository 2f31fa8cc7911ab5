"""Batches in which every query stands against every product: what a tower that finds is trained on.

A batch is drawn of relevant pairs. All its queries are put beside all its products; pairs that have a label keep it,
and all others count as irrelevant (in-batch negatives: Karpukhin et al. 2020, arXiv:2004.04906, section 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from shopstill.core.errors import ConfigError
from shopstill.models.build import TextModel
from shopstill.models.pairs import ApartFeed
from shopstill.models.towers import TwoTowers
from shopstill.train.batches import Feed
from shopstill.types import Batch, Signals

_RELEVANT = 0.5
"""Targets from which on a product is to be found; a teacher's logits are held to the same probability."""

_IRRELEVANT = -100.0
"""The teacher's logit of a pair that it was not asked about."""


@dataclass(frozen=True, kw_only=True)
class Across:
    """A training set of relevant pairs, whose batches hold all pairs of their queries and products.

    Attributes:
        feed: all pairs that have a label.
        target_N: their truth from 0 to 1, NaN where nobody judged.
        teacher_N: the teacher's logits, or None.
    """

    feed: ApartFeed
    target_N: np.ndarray
    teacher_N: np.ndarray | None = None

    @cached_property
    def relevant_M(self) -> np.ndarray:
        """The pairs that batches are drawn of.

        Raises:
            ConfigError: there is none.
        """
        said_N = self.target_N >= _RELEVANT if self.teacher_N is None else self.teacher_N >= 0
        if not said_N.any():
            raise ConfigError("across: no pair is relevant, so that nothing is to be found; leave across out")
        return np.flatnonzero(said_N)

    @property
    def group_N(self) -> np.ndarray:
        """Each relevant pair is drawn by itself."""
        return np.arange(len(self.relevant_M))

    def saying(self, logit_N: np.ndarray) -> Across:
        """The same pairs with other logits of a teacher; another choice of them may be relevant to it."""
        return replace(self, teacher_N=logit_N)

    def batch(self, rows: np.ndarray) -> Batch:
        """All pairs of the queries and the products of some relevant pairs."""
        inputs, row_B = self.feed.across(self.relevant_M[rows])
        own_B = row_B >= 0
        target_B = np.where(own_B, self.target_N[row_B], 0).astype(np.float32)
        teacher = None
        if self.teacher_N is not None:
            logit_B = np.where(own_B, self.teacher_N[row_B], _IRRELEVANT).astype(np.float32)
            teacher = Signals(logits=torch.from_numpy(logit_B))
        return Batch(
            inputs=inputs,
            target=torch.from_numpy(target_B),
            group=inputs["query_B"],
            teacher=teacher,
            own=torch.from_numpy(own_B),
        )


def cheap(model: TextModel, feed: Feed) -> ApartFeed:
    """A model's feed, where a pair costs the model no more than a cosine.

    Raises:
        ConfigError: it does; the model is no pair of towers with the ``dot`` head.
    """
    if isinstance(feed, ApartFeed) and isinstance(model.network, TwoTowers) and model.network.config.head == "dot":
        return feed
    raise ConfigError(
        "across: compares all queries of a batch with all its products, which only a cosine is cheap enough for; "
        "use kind: towers with head: dot, or leave across out"
    )
