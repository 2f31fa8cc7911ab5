"""Places of histories: what a teacher says of those that are learnt from, and where true items are ranked.

Shapes: ``N`` questions, ``B`` of them at once, ``V`` items, ``L`` labelled places, ``C`` items that are kept of each,
``E`` events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from shopstill.core.fingerprint import fingerprint
from shopstill.core.progress import progress
from shopstill.data.histories import Histories, Part, Parts
from shopstill.models.sequence import HistoryFeed, Labelling, PlaceLabels, SequenceNetwork, chosen, highest
from shopstill.teach.keys import Keys, digests
from shopstill.teach.label import Labelled, ask
from shopstill.teach.store import Labels as StoredLabels
from shopstill.teach.store import LabelStore
from shopstill.types import Signals

Score = Callable[[Part], Tensor]
"""Questions → scores [B, V] of all items."""

_CELLS = 1 << 24
"""Scores that are held at once."""

_ITEMS = "items"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A teacher of histories, and where its answers are kept.

    Attributes:
        networks: one, whose logits are kept, or several, whose log-probabilities are averaged.
        teacher: its fingerprint.
        store: the folder of all label stores.
        wanted: of how many items its logits are kept.
        seen: whether items of a history are ranked as well.
        taps: features that are kept beside them, of its first network.
    """

    networks: Sequence[SequenceNetwork]
    teacher: str
    store: Path
    wanted: Labelling
    seen: bool = False
    taps: tuple[str, ...] = ()

    @property
    def most(self) -> int:
        """The latest items of a history that any network reads."""
        return max(network.config.max_items for network in self.networks)

    @property
    def kept(self) -> tuple[int, int]:
        """How many of the best items, and how many drawn ones, an answer holds."""
        items = self.networks[0].sizes.items
        best = min(self.wanted.best, items)
        return best, self.wanted.drawn if best < items else 0


def label(asked: Asked, histories: Histories, train: Part) -> Labelled:
    """Ask the teacher about every place that the store does not know yet."""
    key_N2 = keys(histories, train, asked.most)

    def answer(rows: np.ndarray) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        pieces = [_answer(asked, histories, train.take(piece), key_N2[piece]) for piece in _pieces(rows, asked)]
        logits, features = zip(*pieces, strict=True)
        return np.concatenate(logits), {name: np.concatenate([f[name] for f in features]) for name in features[0]}

    def named(row: int) -> str:
        return f"shopper {histories.shopper_ids[int(train.shopper_N[row])]} after {train.upto_N[row]} events"

    return ask(key_N2, answer, _store(asked, histories), named=named)


def stored(asked: Asked, histories: Histories, train: Part) -> PlaceLabels:
    """What the store holds of places; all of them must have been labelled.

    Raises:
        ArtifactError: some have not.
    """
    store = _store(asked, histories)
    held = _Held(store, store.locate(keys(histories, train, asked.most)))
    row_E = np.full(len(histories.item_E), -1, np.int64)
    row_E[histories.start_U[train.shopper_N] + train.upto_N] = np.arange(len(train))
    return PlaceLabels(
        row_E=row_E,
        item_LC=_Rows(held, partial(_feature, _ITEMS)),
        logit_LC=_Rows(held, lambda labels: labels.logits[:, 1:]),
        truth_L=_Rows(held, lambda labels: labels.logits[:, 0]),
        best=asked.kept[0],
        features={tap: _Rows(held, partial(_feature, tap)) for tap in asked.taps},
    )


def keys(histories: Histories, part: Part, most: int) -> Keys:
    """Of questions, by the latest ``most`` items of their histories, and the true item, whose logit is kept too."""
    event_N = histories.start_U[part.shopper_N] + part.upto_N
    first_N = np.maximum(histories.start_U[part.shopper_N], event_N - most)
    item_E = histories.item_E.astype("<i4")
    return digests(item_E[first : event + 1].tobytes() for first, event in zip(first_N, event_N, strict=True))


def by_networks(networks: Sequence[SequenceNetwork], histories: Histories) -> Score:
    """A network's logits of all items; of several, the mean of their log-probabilities."""

    @torch.inference_mode()
    def score(part: Part) -> Tensor:
        found = [_last(network, histories, part).logits for network in networks]
        return found[0] if len(found) == 1 else torch.stack([each.log_softmax(-1) for each in found]).mean(0)

    return score


@torch.inference_mode()
def ranked(score: Score, histories: Histories, part: Part, *, seen: bool, shown: int = 0, what: str = "") -> np.ndarray:
    """Where a score ranks the true item of each question among the whole catalogue.

    Args:
        score: what items are ranked by.
        histories: of all shoppers.
        part: the questions.
        seen: whether items of the history stay in the ranking.
        shown: how many of the first items are told.
        what: shown as progress when not empty.

    Returns:
        [N, 2 + shown], or less in a catalogue of fewer items: items that score higher, others that score the same, and
        the first items. A true item that is out of the ranking itself stands behind all others.
    """
    out = np.empty((len(part), 2 + min(shown, histories.items)))
    size = max(1, _CELLS // histories.items)
    with progress(what, len(part)) if what else nullcontext() as bar:
        for at in range(0, len(part), size):
            piece = part.take(np.arange(at, min(at + size, len(part))))
            out[at : at + size] = _placed(score(piece), histories, piece, seen, shown)
            if bar:
                bar.advance(len(piece))
    return out


def baselines(histories: Histories, parts: Parts) -> dict[str, Score]:
    """What needs no training: the most popular items; those that the same shoppers took up (cosine); those that
    followed the latest item."""
    event = np.flatnonzero(trained(histories, parts))
    shopper_E = np.repeat(np.arange(len(histories)), histories.lengths())[event]
    item_E, shape = histories.item_E[event] - 1, (len(histories), histories.items)
    count_V = np.bincount(item_E, minlength=histories.items).astype(np.float32)
    took = _ones(shopper_E, item_E, shape)
    took.data[:] = 1.0
    weighed = took.multiply(1 / np.sqrt(np.maximum(np.asarray(took.sum(0)), 1))).tocsr().astype(np.float32)
    follows = shopper_E[1:] == shopper_E[:-1]
    came = _ones(item_E[:-1][follows], item_E[1:][follows], (histories.items, histories.items))

    def popularity(part: Part) -> Tensor:
        return torch.from_numpy(count_V).expand(len(part), -1).clone()

    def item_knn(part: Part) -> Tensor:
        row, item = _before(histories, part)
        return torch.from_numpy((_ones(row, item, (len(part), histories.items)) @ weighed.T @ weighed).toarray())

    def markov(part: Part) -> Tensor:
        latest_N = histories.item_E[histories.start_U[part.shopper_N] + part.upto_N - 1] - 1
        return torch.from_numpy(came[latest_N].toarray())

    return {"popularity": popularity, "item_knn": item_knn, "markov": markov}


def trained(histories: Histories, parts: Parts) -> np.ndarray:
    """[E] whether an event may be learnt from."""
    place_E = np.arange(len(histories.item_E)) - np.repeat(histories.start_U[:-1], histories.lengths())
    return place_E < np.repeat(parts.trained_U, histories.lengths())


def _placed(score_BV: Tensor, histories: Histories, part: Part, seen: bool, shown: int) -> np.ndarray:
    own_B1 = torch.from_numpy(part.target_N.astype(np.int64) - 1)[:, None]
    if not seen:
        score_BV[tuple(map(torch.from_numpy, _before(histories, part)))] = -torch.inf
    truth_B1 = score_BV.gather(1, own_B1)
    above_B, same_B = (score_BV > truth_B1).sum(1), (score_BV == truth_B1).sum(1) - 1
    out = truth_B1 == -torch.inf
    above_B = torch.where(out[:, 0], score_BV.shape[1] - 1, above_B)
    first_BS = highest(score_BV, min(shown, score_BV.shape[1])) + 1
    places = torch.stack([above_B, torch.where(out[:, 0], 0, same_B)], 1)
    return torch.cat([places, first_BS], 1).double().numpy()


def _before(histories: Histories, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Rows of questions and columns of the items of their histories."""
    upto_N = part.upto_N.astype(np.int64)
    row = np.repeat(np.arange(len(part)), upto_N)
    first = histories.start_U[part.shopper_N] - (np.cumsum(upto_N) - upto_N)
    return row, histories.item_E[np.arange(len(row)) + np.repeat(first, upto_N)].astype(np.int64) - 1


def _ones(row: np.ndarray, column: np.ndarray, shape: tuple[int, int]) -> Any:
    """How often each pair stands there."""
    return csr_matrix((np.ones(len(row), np.float32), (row, column)), shape)


def _last(network: SequenceNetwork, histories: Histories, part: Part) -> Signals:
    feed = HistoryFeed.of(network, histories, part.shopper_N, part.upto_N)
    found: Signals = network.eval()(**feed.inputs(np.arange(len(feed))))
    return found


def _pieces(rows: np.ndarray, asked: Asked) -> list[np.ndarray]:
    """Rows in pieces whose scores fit into memory."""
    size = max(1, _CELLS // asked.networks[0].sizes.items)
    return [rows[at : at + size] for at in range(0, len(rows), size)]


@torch.inference_mode()
def _answer(asked: Asked, histories: Histories, part: Part, keys: Keys) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Logits [B, 1 + C] of the true item and of those that are kept, and which these are."""
    score_BV = by_networks(asked.networks, histories)(part)
    if not asked.seen:
        score_BV[tuple(map(torch.from_numpy, _before(histories, part)))] = -torch.inf
    # What is drawn depends on what is asked, not on when.
    draw = torch.Generator().manual_seed(int(keys[0, 0] >> np.uint64(1)))
    item_BC, logit_BC, own_B = chosen(score_BV, torch.from_numpy(part.target_N.astype(np.int64)), *asked.kept, draw)
    signals = _last(asked.networks[0], histories, part) if asked.taps else None
    features = {tap: signals.features[tap].numpy().astype(np.float16) for tap in asked.taps} if signals else {}
    return np.concatenate([own_B[:, None], logit_BC], 1, dtype=np.float32), {_ITEMS: item_BC, **features}


def _store(asked: Asked, histories: Histories) -> LabelStore:
    """The store of this teacher over these items, read so far back, so many of which are kept."""
    best, drawn = asked.kept
    preparation = fingerprint([histories.item_ids.to_pylist(), asked.most, best, drawn, asked.seen])
    widths = dict.fromkeys(asked.taps, asked.networks[0].config.width)
    features = {_ITEMS: best + drawn, **widths}
    return LabelStore(
        asked.store, teacher=asked.teacher, preparation=preparation, outputs=1 + best + drawn, features=features
    )


def _feature(name: str, labels: StoredLabels) -> np.ndarray:
    return labels.features[name]


class _Held:
    """Labels of places in a store, read once for all that is asked of the same rows."""

    def __init__(self, store: LabelStore, row_L: np.ndarray) -> None:
        self._store, self._row_L = store, row_L
        self._rows, self._labels = np.zeros(0, np.int64), StoredLabels(logits=np.zeros((0, 0), np.float32))

    def read(self, rows: np.ndarray) -> StoredLabels:
        if not np.array_equal(rows, self._rows):
            self._rows, self._labels = rows, self._store.read(self._row_L[rows])
        return self._labels


@dataclass(frozen=True)
class _Rows:
    """One part of labels."""

    held: _Held
    part: Callable[[StoredLabels], np.ndarray]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.part(self.held.read(rows))
