"""Histories of a small shop, and a network of every family over tables of every kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from shopstill.data.histories import Histories, ItemAttributes
from shopstill.data.histories.table import offsets
from shopstill.models.sequence import BERT4Rec, GRU4Rec, ItemMean, SASRec, SequenceNetwork, create
from shopstill.models.sequence.config import CodedItems, FullTable, HashedItems, LowRankItems

ITEMS = 23
LENGTHS = (5, 2, 9, 1, 14, 3)
FAMILIES: dict[str, Any] = {
    "sasrec": SASRec(width=8, max_items=10),
    "bert4rec": BERT4Rec(width=8, max_items=10),
    "gru4rec": GRU4Rec(width=8, hidden=12, max_items=10),
    "item_mean": ItemMean(width=8, max_items=10),
}
TABLES: dict[str, Any] = {
    "full": FullTable(),
    "low_rank": LowRankItems(rank=4),
    "hashed": HashedItems(books=2),
    "product": CodedItems(books=3, rows=7),
    "residual": CodedItems(books=2, rows=7, form="residual"),
}

Make = Callable[..., SequenceNetwork]


@pytest.fixture(scope="session")
def histories() -> Histories:
    draw = np.random.default_rng(0)
    return Histories(
        item_ids=pa.array([f"item {number}" for number in range(1, ITEMS + 1)]),
        shopper_ids=pa.array([f"shopper {number}" for number in range(len(LENGTHS))]),
        item_E=draw.integers(1, ITEMS + 1, sum(LENGTHS)).astype(np.int32),
        start_U=offsets(np.array(LENGTHS)),
        time_E=np.arange(sum(LENGTHS)),
    )


@pytest.fixture(scope="session")
def attributes() -> ItemAttributes:
    draw = np.random.default_rng(1)
    count_I = draw.integers(0, 4, ITEMS + 1)
    count_I[0] = 0
    codes = [np.sort(draw.permutation(6)[:count] + 1) for count in count_I]
    return ItemAttributes(
        names=pa.array([f"attribute {number}" for number in range(1, 7)]),
        start_I=offsets(count_I),
        code_A=np.concatenate(codes).astype(np.int32),
        rare=0,
    )


@pytest.fixture
def make(attributes: ItemAttributes) -> Make:
    """A network whose every weight, and every code, is at random and large enough to matter."""

    def made(config: Any, *, described: bool = False) -> SequenceNetwork:
        network = create(config, ITEMS, 0, attributes if described else None)
        draw = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=draw) * 0.3)
            for name, buffer in network.named_buffers():
                if name.endswith("codes_VM"):
                    buffer.random_(0, 7, generator=draw)
        return network.eval()

    return made
