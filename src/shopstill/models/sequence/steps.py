"""A training set of histories for ``fit``: a row is a shopper, and each of its places is a row of the batch.

Shapes: ``E`` events, ``N`` shoppers, ``B`` shoppers of a batch, ``P`` places to be predicted, ``C`` candidates, ``L``
labelled places, ``V`` items.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from shopstill.core.config import config
from shopstill.data.histories import Histories
from shopstill.models.sequence.config import BERT4Rec
from shopstill.models.sequence.feed import HistoryFeed, Window, ragged
from shopstill.models.sequence.items import ABSENT
from shopstill.models.sequence.network import SequenceNetwork
from shopstill.types import Batch, Signals

_MANY = 16
"""A catalogue of so many times as many items as are drawn is large."""


class Rows(Protocol):
    """Values of L labelled places, of which some can be read: an array, or something that lies on disk."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


@config
class Negatives:
    """Items that are drawn anew for each batch, to compare with instead of the whole catalogue.

    ``popular`` draws an item as often as the power ``power`` of its events in the training histories says, with
    repetition; ``uniform`` draws different items. Logits are corrected by minus the log of how often each is drawn,
    which makes the sum under the softmax an unbiased estimate of that over the catalogue.
    """

    count: int = Field(default=512, ge=1)
    drawn: Literal["uniform", "popular"] = "uniform"
    power: float = Field(default=0.75, gt=0, le=1)


@dataclass(frozen=True, kw_only=True)
class PlaceLabels:
    """What a teacher says of places: its best items, some drawn from the others, and the true item.

    Attributes:
        row_E: [E] the row in which the prediction of each event is labelled; -1 where it is not.
        item_LC: [L, C] the teacher's best items, best first, then the drawn ones; 0 is none.
        logit_LC: [L, C] the teacher's logits of these.
        truth_L: [L] the teacher's logit of the item that came.
        best: how many of the C are the best ones; the rest is drawn uniformly, with repetition, from all items but
            those, and stands for all of them.
        features: name → [L, D] features of the teacher, such as ``hidden``.
    """

    row_E: np.ndarray
    item_LC: Rows
    logit_LC: Rows
    truth_L: Rows
    best: int
    features: Mapping[str, Rows] = field(default_factory=dict)


class Steps:
    """Histories to learn from; only ``group_N`` and ``batch`` are what ``fit`` needs.

    With ``labels`` a place's candidates are the true item (column 0, the target), then the teacher's; those that are
    drawn count for all that are not, on both sides. With ``negatives`` they are the true item, then what is drawn.
    With neither they are all items, and the target is the column of the true one.

    Args:
        network: what is to learn: it says how histories are read.
        histories: of all shoppers.
        upto_U: how many of each shopper's first events may be learnt from; fewer than 2 teach nothing.
        negatives: what is compared with, unless all items are.
        labels: what the teacher says.
    """

    def __init__(
        self,
        network: SequenceNetwork,
        histories: Histories,
        upto_U: np.ndarray,
        *,
        negatives: Negatives | None = None,
        labels: PlaceLabels | None = None,
    ) -> None:
        assert negatives is None or labels is None, "what a teacher says of items that are drawn anew is not known"
        self.group_N = np.flatnonzero(upto_U >= 2)
        self._histories, self._upto_N = histories, upto_U[self.group_N]
        self._network, self._labels = network, labels
        self._teacher: SequenceNetwork | None = None
        self._draws = None if negatives is None else _Draws(negatives, network.sizes.items, histories, upto_U)
        if not network.masks:
            self._feed = HistoryFeed.of(network, histories, self.group_N, self._upto_N - 1, every=True)

    def batch(self, rows: np.ndarray) -> Batch:
        """All places of some shoppers, or for a network that reads masks those that torch's seed says."""
        window = self._window(rows)
        truth_P = self._histories.item_E[window.event_P].astype(np.int64)
        group = torch.from_numpy(self.group_N[rows][window.row_P])
        if self._labels is not None:
            return self._labelled(self._labels, window, truth_P, group)
        if self._draws is not None:
            candidate_C, shift_C = self._draws.draw()
            given = {"candidate_PC": candidate_C, "shift_PC": shift_C, "own_PC": torch.from_numpy(truth_P)[:, None]}
            return Batch(inputs=window.inputs | given, target=torch.zeros(len(truth_P)).long(), group=group)
        return Batch(inputs=window.inputs, target=torch.from_numpy(truth_P - 1), group=group)

    def told_by(self, teacher: SequenceNetwork) -> Steps:
        """The same places and candidates with what another network says of them, asked as they come; no features."""
        assert self._labels is not None, "the first teacher says what is compared"
        made = copy.copy(self)
        made._labels, made._teacher = replace(self._labels, features={}), teacher.eval()
        return made

    def _window(self, rows: np.ndarray) -> Window:
        config = self._network.config
        if not isinstance(config, BERT4Rec):
            return self._feed.window(rows)
        if self._labels is None:
            return _masked(
                self._histories, self.group_N[rows], self._upto_N[rows], config, self._network.sizes.items + 1
            )
        # What a teacher says holds for what came before, so nothing may stand after the mask.
        upto_B = 1 + (torch.rand(len(rows)).numpy() * (self._upto_N[rows] - 1)).astype(np.int64)
        return HistoryFeed.of(self._network, self._histories, self.group_N[rows], upto_B).window(np.arange(len(rows)))

    def _labelled(self, labels: PlaceLabels, window: Window, truth_P: np.ndarray, group: Tensor) -> Batch:
        row_P = labels.row_E[window.event_P]
        known = row_P >= 0
        assert known.any(), "no place of the batch is labelled"
        row_P, truth_P = row_P[known], truth_P[known]
        order = np.argsort(row_P, kind="stable")
        back = np.argsort(order)

        def read(values: Rows) -> Tensor:
            return torch.from_numpy(np.asarray(values[row_P[order]])[back])

        features = {name: read(values).float() for name, values in labels.features.items()}
        truth_P1 = torch.from_numpy(truth_P)[:, None]
        item_PC = torch.cat([truth_P1, read(labels.item_LC).long()], 1)
        item_PC[:, 1:][item_PC[:, 1:] == truth_P1] = 0
        if self._teacher is None:
            logit_PC = torch.cat([read(labels.truth_L)[:, None].float(), read(labels.logit_LC).float()], 1)
        else:
            logit_PC = self._said(self._teacher, window.event_P[known], item_PC)
        shift_C = _shift(labels.best, item_PC.shape[1] - 1, self._network.sizes.items)
        logits_PC = (logit_PC + shift_C).masked_fill(item_PC == 0, ABSENT)
        kept = replace(window, row_P=window.row_P[known], place_P=window.place_P[known], event_P=window.event_P[known])
        return Batch(
            inputs=kept.inputs | {"candidate_PC": item_PC, "shift_PC": shift_C},
            target=torch.zeros(len(truth_P)).long(),
            group=group[torch.from_numpy(known)],
            teacher=Signals(logits=logits_PC, features=features),
        )

    @torch.no_grad()
    def _said(self, teacher: SequenceNetwork, event_P: np.ndarray, item_PC: Tensor) -> Tensor:
        """[P, C] what a network says of candidates, each place from as much of its history as the network reads."""
        shopper_P = np.searchsorted(self._histories.start_U, event_P, side="right") - 1
        feed = HistoryFeed.of(teacher, self._histories, shopper_P, event_P - self._histories.start_U[shopper_P])
        logits: Tensor = teacher(**feed.inputs(np.arange(len(feed))), candidate_PC=item_PC).logits
        return logits


def _shift(best: int, labelled: int, items: int) -> Tensor:
    """[1 + C] log of how many items each candidate stands for: the true one and the best for themselves."""
    shift_C = torch.zeros(1 + labelled)
    if labelled > best:
        shift_C[1 + best :] = math.log(max(1, items - best) / (labelled - best))
    return shift_C


def _masked(histories: Histories, shopper_B: np.ndarray, upto_B: np.ndarray, config: BERT4Rec, mask: int) -> Window:
    """Histories with some of their items masked, at least one in each."""
    stop_B = histories.start_U[shopper_B] + upto_B
    length_B = np.minimum(upto_B, config.max_items)
    first_B = stop_B - length_B
    item_BT = ragged(histories.item_E, first_B, length_B)
    there_BT = item_BT > 0
    last_BT = np.arange(item_BT.shape[1]) == length_B[:, None] - 1
    drawn_BT = there_BT & (torch.rand(item_BT.shape).numpy() < config.mask_share)
    alone_B = (torch.rand(len(item_BT)).numpy() < config.last_share) | ~drawn_BT.any(1)
    masked_BT = np.where(alone_B[:, None], last_BT, drawn_BT)
    row_P, place_P = np.nonzero(masked_BT)
    item_BT[masked_BT] = mask
    return Window(item_BT=item_BT, row_P=row_P, place_P=place_P, event_P=first_B[row_P] + place_P)


class _Draws:
    """Items drawn from the catalogue, and how to correct for how often each is."""

    def __init__(self, wanted: Negatives, items: int, histories: Histories, upto_U: np.ndarray) -> None:
        self._count, self._items = wanted.count, items
        self._below_V: Tensor | None = None
        if wanted.drawn == "popular":
            share_V = _counts(items, histories, upto_U) ** wanted.power
            share_V /= share_V.sum()
            self._below_V = torch.from_numpy(np.cumsum(share_V))
            self._shift_V = torch.from_numpy(-np.log(share_V * wanted.count)).float()

    def draw(self) -> tuple[Tensor, Tensor]:
        """Items [C] and minus the log of how often each is among as many, on average."""
        if self._below_V is None:
            count = min(self._count, self._items)
            item_C = _different(self._items, count) + 1
            return item_C, torch.full((count,), float(np.log(self._items / count)))
        drawn = torch.searchsorted(self._below_V, torch.rand(self._count, dtype=torch.float64))
        drawn = drawn.clamp(max=self._items - 1)
        return drawn + 1, self._shift_V[drawn]


def _different(items: int, count: int) -> Tensor:
    """So many different columns, each as likely as any other."""
    if items < _MANY * count:
        return torch.randperm(items)[:count]
    # Those that are drawn twice are few, and are drawn again: no permutation of a million for some hundred of them.
    drawn = torch.randint(items, (count,)).unique()
    while len(drawn) < count:
        drawn = torch.cat([drawn, torch.randint(items, (count - len(drawn),))]).unique()
    return drawn


def _counts(items: int, histories: Histories, upto_U: np.ndarray) -> np.ndarray:
    """[V] events of each item that may be learnt from; one is given to those without."""
    length_U = np.diff(histories.start_U)
    place_E = np.arange(len(histories.item_E)) - np.repeat(histories.start_U[:-1], length_U)
    learnt = histories.item_E[place_E < np.repeat(upto_U, length_U)]
    return np.maximum(np.bincount(learnt, minlength=items + 1)[1:], 1).astype(np.float64)
