"""A teacher's labels of histories, held in memory: what the store gives in a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from shopstill.data.histories import Histories
from shopstill.models.sequence import HistoryFeed, Labelling, PlaceLabels, SequenceNetwork, chosen
from shopstill.models.sequence.feed import Window


def label(
    teachers: Sequence[SequenceNetwork],
    histories: Histories,
    upto_U: np.ndarray,
    wanted: Labelling,
    *,
    seed: int,
    seen: bool = False,
    hidden: bool = False,
) -> PlaceLabels:
    """Labels of every place that may be learnt from, held in memory."""
    items = teachers[0].sizes.items
    best = min(wanted.best, items)
    draw = torch.Generator().manual_seed(seed)
    shopper_N = np.flatnonzero(upto_U >= 2)
    most = max(teacher.config.max_items for teacher in teachers)
    feed = HistoryFeed(histories, shopper_N, upto_U[shopper_N] - 1, most, every=True)
    found: list[tuple[np.ndarray, ...]] = []
    window = feed.window(np.arange(len(feed)))
    logits, states_PD = _said(teachers, histories, shopper_N, window)
    truth_P = torch.from_numpy(histories.item_E[window.event_P].astype(np.int64))
    if not seen:
        _hide_seen(logits, window)
    kept = chosen(logits, truth_P, best, wanted.drawn if best < items else 0, draw)
    found.append((window.event_P, *kept, *([states_PD.numpy()] if hidden else [])))
    event, item, logit, own, *states = (np.concatenate(parts) for parts in zip(*found, strict=True))
    row_E = np.full(len(histories.item_E), -1, np.int64)
    row_E[event] = np.arange(len(event))
    features = {"hidden": states[0]} if states else {}
    return PlaceLabels(row_E=row_E, item_LC=item, logit_LC=logit, truth_L=own, best=best, features=features)


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
