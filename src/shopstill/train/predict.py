"""Scores of many rows with one model: sorted by cost, so that hardly anything is padding."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from shopstill.core.errors import ConfigError, nearest
from shopstill.core.progress import progress
from shopstill.train.batches import Feed, sorted_chunks
from shopstill.types import Signals


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Logits [N] or [N, K], and named features [N, D]."""

    logits: np.ndarray
    features: Mapping[str, np.ndarray]


def predict(model: nn.Module, feed: Feed, *, rows: int = 256, what: str = "", taps: tuple[str, ...] = ()) -> Outputs:
    """Logits (and named features) of every row of a feed, in the feed's order.

    Args:
        model: returns ``Signals``.
        feed: N rows.
        rows: rows a piece.
        what: shown as progress when not empty.
        taps: features wanted beside the logits.
    """
    model.eval()
    device = next(model.parameters()).device
    order, logits = [], []
    features: dict[str, list[np.ndarray]] = {tap: [] for tap in taps}
    with torch.inference_mode(), progress(what, len(feed)) if what else nullcontext() as bar:
        for piece in sorted_chunks(feed.cost_N, rows):
            signals = model(**{k: v.to(device) for k, v in feed.inputs(piece).items()})
            order.append(piece)
            logits.append(signals.logits.float().cpu().numpy())
            for tap in taps:
                features[tap].append(_feature(signals, tap))
            if bar:
                bar.advance(len(piece))
    back = np.argsort(np.concatenate(order)) if order else np.zeros(0, np.int64)
    return Outputs(
        logits=np.concatenate(logits)[back] if logits else np.zeros(0, np.float32),
        features={tap: np.concatenate(parts)[back] for tap, parts in features.items() if parts},
    )


def _feature(signals: Signals, tap: str) -> np.ndarray:
    if tap not in signals.features:
        raise ConfigError(f"tap {tap!r}: the model has no such feature; {nearest(tap, signals.features)}")
    return np.asarray(signals.features[tap].float().cpu().numpy())
