"""The parity gate of histories: a bundle recommends what the model that was judged does, or it is not shipped.

Shapes: ``N`` histories, ``B`` of them at once, ``V`` items, ``K`` items that are recommended.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from shopstill.core.errors import ArtifactError
from shopstill.export.parity import TOLERANCE, hold_rows
from shopstill.models.sequence import SequenceNetwork, highest
from shopstill.models.sequence.feed import ragged
from shopstill.serve.bundle.history import EMPTY, HistoryBundle
from shopstill.serve.bundle.load import load_history
from shopstill.serve.bundle.scan import Found, Wanted
from shopstill.serve.bundle.sessions import Sessions

DEPTH = 10
"""Items that are compared of each history."""

RECALL = 0.99
"""Of the model's best items, those that the scan in int8 must find, so that they are scored exactly."""

_ALONE, _THREADS, _MORE, _SHOWN = 24, 4, 3, 5
_CELLS, _AT_ONCE = 1 << 24, 256


@dataclass(frozen=True, kw_only=True)
class HistoryParity:
    """How near a bundle is to its model.

    Attributes:
        rows: histories compared; ``hostile``: those made to be hard to read.
        difference: the largest difference of a recommended item's score from the model's.
        alone: the largest between a history's scores in company and alone.
        padding: the largest of a query with needless padding.
        threads: the largest between one thread and several.
        recall: of the model's best ten, how many are recommended, or as good ones in their place.
        cold: items that nobody took up, which were also compared among themselves.
    """

    rows: int
    hostile: int
    difference: float
    alone: float
    padding: float
    threads: float
    recall: float
    cold: int = 0


def check(
    network: SequenceNetwork, bundle: Path, histories: Sequence[np.ndarray], *, tolerance: float, cold: int = 0
) -> HistoryParity:
    """Compare a bundle with the network it was made from.

    Args:
        network: the network that was judged.
        bundle: the bundle's folder.
        histories: numbers of items, from the oldest; what is to be answered.
        tolerance: how far any score may be off.
        cold: how many of the last items nobody took up.

    Raises:
        ArtifactError: a score is off by more, or not finite; the history and both values are named. Or the scan loses
            too many of the best items.
    """
    served = load_history(bundle)
    hard = hostile(network)
    both = [*(history for history in histories if len(history)), *hard]

    def named(row: int) -> str:
        shown = ", ".join(map(str, both[row][-_SHOWN:]))
        return f"a history of {len(both[row])} items, the last of them {shown}"

    found = served.best(both, Wanted(limit=DEPTH, seen=True))
    score_NK = np.stack([scores for _, scores in found])
    own_NK, recall = judged(network, both, found, tolerance)
    difference = hold_rows("the bundle", score_NK, own_NK, tolerance, named)
    _hold_recall(recall, "")
    if cold:
        difference = max(difference, _cold(network, served, both, cold, tolerance))
    several = load_history(bundle, threads=_THREADS).best(both, Wanted(limit=DEPTH, seen=True))
    threads = hold_rows(f"{_THREADS} threads", np.stack([s for _, s in several]), score_NK, tolerance, named)
    company = tolerance if tolerance <= TOLERANCE else math.inf
    return HistoryParity(
        rows=len(both) - len(hard),
        hostile=len(hard),
        difference=difference,
        alone=_alone(served, both, score_NK, company),
        padding=_padding(served, both, company),
        threads=threads,
        recall=recall,
        cold=cold,
    )


def hostile(network: SequenceNetwork) -> list[np.ndarray]:
    """Histories that are hard to read: of one item, of the same again and again, as long as can be, longer; and an
    empty one, where the network answers it."""
    items, most = network.sizes.items, network.config.max_items
    every = np.arange(1, items + 1)
    runs = [[1], [items], [1] * (3 * most), [items, 1] * most]
    made = [np.array(run, np.int64) for run in runs]
    made += [np.resize(every, length) for length in (most - 1, most, most + 1, 4 * most)]
    return made + ([np.zeros(0, np.int64)] if network.config.kind in EMPTY else [])


@torch.inference_mode()
def judged(
    network: SequenceNetwork, histories: Sequence[np.ndarray], found: Sequence[Found], tolerance: float, first: int = 0
) -> tuple[np.ndarray, float]:
    """The network's own scores [N, K] of what was found, and how many of its best K are among these; of items from
    column ``first`` on."""
    most = network.config.max_items - (1 if network.masks else 0)
    step = min(_AT_ONCE, max(1, _CELLS // network.sizes.items))
    own, held = [], []
    for at in range(0, len(histories), step):
        read = [history[-most:] for history in histories[at : at + step]]
        length_B = np.array([len(history) for history in read])
        item_BT = ragged(np.concatenate(read), np.cumsum(length_B) - length_B, length_B)
        score_BV = network.scores(network.last(torch.from_numpy(item_BT), torch.from_numpy(length_B)))
        score_BV[:, :first] = -torch.inf
        item_BK = torch.from_numpy(np.stack([items for items, _ in found[at : at + step]]))
        own_BK = score_BV.gather(1, item_BK - 1)
        least_B1 = score_BV.gather(1, highest(score_BV, item_BK.shape[1])[:, -1:])
        own.append(own_BK.numpy())
        held.append((own_BK >= least_B1 - tolerance).numpy())
    return np.concatenate(own), float(np.concatenate(held).mean())


def _cold(
    network: SequenceNetwork, served: HistoryBundle, histories: list[np.ndarray], cold: int, tolerance: float
) -> float:
    """The largest difference of cold items' scores, where they alone are recommended: others stand before them."""
    items = network.sizes.items
    wanted = Wanted(limit=DEPTH, seen=True, allowed=np.arange(items - cold + 1, items + 1))
    found = served.best(histories, wanted)
    own_NK, recall = judged(network, histories, found, tolerance, items - cold)
    _hold_recall(recall, "cold ")
    score_NK = np.stack([scores for _, scores in found])
    return hold_rows("cold items", score_NK, own_NK, tolerance, "history {}".format)


def _hold_recall(recall: float, what: str) -> None:
    if recall < RECALL:
        raise ArtifactError(
            f"parity: of the model's best {DEPTH} {what}items the bundle recommends {recall:.1%}, at least "
            f"{RECALL:.0%} are asked; its items differ too little for int8: train it longer, or use a wider table"
        )


def _alone(served: HistoryBundle, histories: list[np.ndarray], score_NK: np.ndarray, tolerance: float) -> float:
    """Histories answered one at a time; those that are hard to read come last, and are among them."""
    step = max(1, len(histories) // _ALONE)
    chosen = sorted({*range(0, len(histories), step), *range(max(0, len(histories) - _ALONE), len(histories))})
    alone = [served.best([histories[row]], Wanted(limit=DEPTH, seen=True))[0][1] for row in chosen]

    def named(row: int) -> str:
        return f"history {chosen[row]}"

    return hold_rows("a history alone, and in company", np.stack(alone), score_NK[chosen], tolerance, named)


def _padding(served: HistoryBundle, histories: list[np.ndarray], tolerance: float) -> float:
    """Queries of short histories with places to spare, run as another runtime would."""
    most = served.max_items
    read = [history[-most:] for history in histories[-_ALONE:]]
    length_B = np.array([len(history) for history in read], np.int64)
    side = min(most, int(length_B.max()) + _MORE)
    item_BT = np.zeros((len(read), side), np.int64)
    for row, history in zip(item_BT, read, strict=True):
        row[: len(history)] = history
    sessions = Sessions(served.folder, served.manifest.graphs)
    found = sessions.run("history", {"item_BT": item_BT, "length_B": length_B})[0]

    def named(row: int) -> str:
        return f"a history of {length_B[row]} items in {side} places"

    return hold_rows("a history, padded", found, served.queries(read), tolerance, named)
