"""Models of histories over a made-up shop: every family, over tables of several kinds, each bundle written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from shopstill.data.histories import ItemAttributes
from shopstill.data.histories.table import offsets
from shopstill.export.bundle import About
from shopstill.export.history import write_history_bundle
from shopstill.models.sequence import BERT4Rec, GRU4Rec, ItemMean, SASRec, SequenceModel, create
from shopstill.models.sequence.config import CodedItems, HashedItems, LowRankItems

ITEMS, MOST = 900, 10
FAMILIES: dict[str, Any] = {
    "sasrec": SASRec(width=8, max_items=MOST, table=LowRankItems(rank=4)),
    "bert4rec": BERT4Rec(width=8, max_items=MOST, table=CodedItems(books=4, rows=16)),
    "gru4rec": GRU4Rec(width=8, hidden=12, max_items=MOST),
    "item_mean": ItemMean(width=8, max_items=MOST, table=HashedItems(books=2)),
}
DESCRIBED = "gru4rec"
"""The family whose items have attributes."""

DRAW = np.random.default_rng(0)
HISTORIES = [DRAW.integers(1, ITEMS + 1, length) for length in (3, 1, 14, 9, 10, 2, 30)]
Written = Callable[[str], tuple[SequenceModel, Path]]

_WRITTEN: dict[str, tuple[SequenceModel, Path]] = {}


def attributes(items: int = ITEMS) -> ItemAttributes:
    """Up to four of thirty attributes for each item; some have none."""
    draw = np.random.default_rng(1)
    count_I = draw.integers(0, 5, items + 1)
    count_I[0] = 0
    codes = [np.sort(draw.permutation(30)[:count] + 1) for count in count_I]
    return ItemAttributes(
        names=pa.array([f"attribute {number}" for number in range(1, 31)]),
        start_I=offsets(count_I),
        code_A=np.concatenate(codes).astype(np.int32),
        rare=0,
    )


def model(config: Any, *, items: int = ITEMS, described: bool = False) -> SequenceModel:
    """A network whose every weight, and every code, is at random and large enough to matter."""
    network = create(config, items, 0, attributes(items) if described else None)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw) * 0.3)
        for name, buffer in network.named_buffers():
            if name.endswith("codes_VM"):
                buffer.random_(0, config.table.rows, generator=draw)
    ids = pa.array([f"item {number}" for number in range(1, items + 1)])
    return SequenceModel(network=network.eval(), item_ids=ids)


def written(family: str, folder: Callable[[], Path]) -> tuple[SequenceModel, Path]:
    """A model and its bundle."""
    if family not in _WRITTEN:
        made = model(FAMILIES[family], described=family == DESCRIBED)
        titles = [f"Title {number}" for number in range(1, ITEMS + 1)]
        bundle = write_history_bundle(
            made, folder() / "bundle", about=About(name=family), histories=HISTORIES, titles=titles
        )
        _WRITTEN[family] = (made, bundle)
    return _WRITTEN[family]


def scores(made: SequenceModel, history: np.ndarray) -> np.ndarray:
    """The network's scores [V] of all items after a history."""
    network = made.network
    read = history[-(network.config.max_items - network.masks) :]
    with torch.inference_mode():
        state = network.last(torch.from_numpy(read)[None], torch.tensor([len(read)]))
        found: np.ndarray = network.scores(state)[0].numpy()
    return found
