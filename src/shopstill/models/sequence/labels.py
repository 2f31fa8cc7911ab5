"""What a teacher says of the places of histories: its best items, and some drawn from the others.

Shapes: ``N`` shoppers, ``B`` of them at once, ``E`` events, ``P`` places, ``L`` labelled places, ``V`` items, ``K``
best items, ``S`` drawn ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.core.progress import progress
from shopstill.data.histories import Histories
from shopstill.models.sequence.feed import HistoryFeed, Window
from shopstill.models.sequence.items import ABSENT
from shopstill.models.sequence.network import SequenceNetwork
from shopstill.models.sequence.steps import PlaceLabels

_CELLS = 1 << 24
"""Logits that are held at once."""


@config
class Labelling:
    """Of which items a teacher's logits are kept, for each place: the best, and some drawn from the others.

    Items of the history are none of them, unless ``seen`` says that they are ranked as well: a teacher is sure of them
    before all others, and would say little else. With ``hidden`` its state is kept too, for losses of features; several
    teachers have none in common.
    """

    best: int = Field(default=50, ge=1)
    drawn: int = Field(default=50, ge=0)
    seen: bool = False
    hidden: bool = False


def label(
    teachers: Sequence[SequenceNetwork],
    histories: Histories,
    upto_U: np.ndarray,
    wanted: Labelling,
    *,
    seed: int,
    what: str = "",
) -> PlaceLabels:
    """Labels of every place that may be learnt from.

    Args:
        teachers: one, whose logits are kept, or several, the logarithms of whose probabilities are averaged.
        histories: of all shoppers.
        upto_U: how many of each shopper's first events may be learnt from.
        wanted: how many items.
        seed: of what is drawn.
        what: shown as progress when not empty.

    Raises:
        ConfigError: the states of several teachers are asked for.
    """
    if wanted.hidden and len(teachers) > 1:
        raise ConfigError(f"hidden: {len(teachers)} teachers have no state in common; leave it out, or take one")
    items = teachers[0].sizes.items
    best = min(wanted.best, items)
    draw = torch.Generator().manual_seed(seed)
    shopper_N = np.flatnonzero(upto_U >= 2)
    most = max(teacher.config.max_items for teacher in teachers)
    feed = HistoryFeed(histories, shopper_N, upto_U[shopper_N] - 1, most, every=True)
    found: list[tuple[np.ndarray, ...]] = []
    with progress(what, len(feed)) if what else nullcontext() as bar:
        for piece in _pieces(feed.cost_N, max(1, _CELLS // items)):
            window = feed.window(piece)
            logits, hidden = _said(teachers, histories, shopper_N[piece], window)
            truth_P = torch.from_numpy(histories.item_E[window.event_P].astype(np.int64))
            if not wanted.seen:
                _hide_seen(logits, window)
            kept = chosen(logits, truth_P, best, wanted.drawn if best < items else 0, draw)
            found.append((window.event_P, *kept, *([hidden.numpy()] if wanted.hidden else [])))
            if bar:
                bar.advance(len(piece))
    event, item, logit, own, *states = (np.concatenate(parts) for parts in zip(*found, strict=True))
    row_E = np.full(len(histories.item_E), -1, np.int64)
    row_E[event] = np.arange(len(event))
    features = {"hidden": states[0]} if states else {}
    return PlaceLabels(row_E=row_E, item_LC=item, logit_LC=logit, truth_L=own, best=best, features=features)


def _pieces(cost_N: np.ndarray, most: int) -> list[np.ndarray]:
    """Rows one after the other, cut where their costs together pass each multiple of ``most``."""
    return np.split(np.arange(len(cost_N)), np.flatnonzero(np.diff(cost_N.cumsum() // most)) + 1)


@torch.inference_mode()
def _said(
    teachers: Sequence[SequenceNetwork], histories: Histories, shopper_B: np.ndarray, window: Window
) -> tuple[Tensor, Tensor]:
    """Logits [P, V] of all items at the places of a window, and the last teacher's state there."""
    shopper_P = shopper_B[window.row_P]
    upto_P = window.event_P - histories.start_U[shopper_P]
    total = torch.zeros(())
    for teacher in teachers:
        if teacher.masks or teacher.config.max_items < window.item_BT.shape[1]:
            feed = HistoryFeed.of(teacher, histories, shopper_P, upto_P)
            signals = teacher.eval()(**feed.inputs(np.arange(len(feed))))
        else:
            signals = teacher.eval()(**window.inputs)
        several = len(teachers) > 1
        total = total + signals.logits.log_softmax(-1) / len(teachers) if several else signals.logits
    return total, signals.features["hidden"]


@torch.inference_mode()
def _hide_seen(logits_PV: Tensor, window: Window) -> None:
    """Take the items up to each place out of the ranking."""
    item_PT = torch.from_numpy(window.item_BT[window.row_P])
    seen_PT = torch.arange(item_PT.shape[1]) <= torch.from_numpy(window.place_P)[:, None]
    place_S, at_S = torch.nonzero(seen_PT, as_tuple=True)
    logits_PV[place_S, item_PT[place_S, at_S] - 1] = -torch.inf


def chosen(
    logits_PV: Tensor, truth_P: Tensor, best: int, drawn: int, draw: torch.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is kept of logits: those of the best items, of some of the others, and of the true one.

    Args:
        logits_PV: of all items; minus infinity for those that are out of the ranking, which are not kept.
        truth_P: the true items.
        best: K.
        drawn: S, uniformly and with repetition from all but the best.
        draw: the source of chance.

    Returns:
        items int32 [P, K + S], 0 where none is kept, their logits float16, and the true item's [P].
    """
    top_PK = logits_PV.topk(best).indices
    place_PS = torch.randint(max(1, logits_PV.shape[1] - best), (len(logits_PV), drawn), generator=draw)
    # The n-th item that is not among the best: n, and one more for each of the best that stands before it.
    sorted_PK = top_PK.sort(-1).values
    place_PS = place_PS + torch.searchsorted(sorted_PK - torch.arange(best), place_PS, right=True)
    column_PC = torch.cat([top_PK, place_PS], 1)
    kept = logits_PV.gather(1, column_PC)
    item_PC = torch.where(kept > -torch.inf, column_PC + 1, 0)
    own_P = logits_PV.gather(1, truth_P[:, None] - 1).squeeze(1)
    logit, own = (values.clamp(min=ABSENT).half().numpy() for values in (kept, own_P))
    return item_PC.int().numpy(), logit, own
