"""What is done in another way where there are many items, with the same result."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shopstill.models.sequence import highest
from shopstill.models.sequence.steps import _different


@pytest.mark.parametrize(("items", "count"), [(40_000, 50), (70_001, 3), (32_768, 0), (33_000, 9_000), (20, 5)])
def test_the_highest_of_many_are_those_of_a_sort(items: int, count: int) -> None:
    logits = torch.randn(3, items, generator=torch.Generator().manual_seed(items))
    logits[0, : items - 2] = -torch.inf
    assert torch.equal(highest(logits, count)[1:], logits.topk(count).indices[1:])
    assert torch.equal(logits.gather(1, highest(logits, count)), logits.topk(count).values), "of −∞ any will do"


def test_the_highest_at_the_very_end_are_found() -> None:
    logits = torch.zeros(1, 50_000)
    logits[0, -3:] = torch.tensor([3.0, 2.0, 1.0])
    assert highest(logits, 3).tolist() == [[49_997, 49_998, 49_999]]


def test_different_items_are_drawn_from_many_as_from_few() -> None:
    torch.manual_seed(0)
    drawn = torch.cat([_different(1000, 50) for _ in range(2000)])
    assert all(len(piece.unique()) == 50 for piece in drawn.split(50))
    share = np.bincount(drawn.numpy(), minlength=1000) / len(drawn)
    assert share.min() * 1000 > 0.5
    assert share.max() * 1000 < 1.6
    assert sorted(_different(20, 20).tolist()) == list(range(20))
