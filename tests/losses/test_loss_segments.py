from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shopstill.core.errors import ConfigError
from shopstill.losses import _segments as segments

sizes = st.lists(st.integers(1, 6), max_size=6)


def make(sizes_G: list[int]) -> tuple[torch.Tensor, segments.Groups, list[range]]:
    """Scores with ties, their groups, and the rows of each group."""
    count = sum(sizes_G)
    score = torch.randint(-3, 4, (count,), generator=torch.Generator().manual_seed(count)).double()
    number = torch.arange(len(sizes_G)).flip(0).repeat_interleave(torch.tensor(sizes_G, dtype=torch.int64))
    starts = [sum(sizes_G[:g]) for g in range(len(sizes_G))]
    rows = segments.grouped_rows(score, score, number, None)
    return score, rows.groups, [range(a, a + n) for a, n in zip(starts, sizes_G, strict=True)]


@given(sizes)
@settings(max_examples=50, deadline=None)
def test_softmax_sums_and_ranks_agree_with_a_loop_over_groups(sizes_G: list[int]) -> None:
    score, groups, blocks = make(sizes_G)
    by_loop = [score[list(block)] for block in blocks]
    softmax, place = segments.group_log_softmax(score, groups), segments.ranks(score, groups)
    total, highest = segments.group_sum(score, groups.index_B, groups), segments.group_max(score, groups)
    for block, alone, of_sum, of_max in zip(blocks, by_loop, total, highest, strict=True):
        torch.testing.assert_close(softmax[list(block)], alone.log_softmax(0))
        assert of_sum == alone.sum()
        assert of_max == alone.max()
        order = sorted(range(len(alone)), key=lambda row, alone=alone: -alone[row])
        assert [place[list(block)].tolist().index(p) for p in range(len(alone))] == order


@given(sizes)
@settings(max_examples=50, deadline=None)
def test_pairs_are_all_pairs_within_groups_once(sizes_G: list[int]) -> None:
    score, groups, blocks = make(sizes_G)
    first, second = segments.pairs(groups)
    expected = [(i, j) for block in blocks for i in block for j in block if i < j]
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == expected
    better, worse = segments.ordered_pairs(score, groups)
    assert bool((score[better] > score[worse]).all())
    assert len(better) == sum(1 for i, j in expected if score[i] != score[j])


def test_a_group_in_two_places_is_refused_by_its_number() -> None:
    score = torch.zeros(4)
    with pytest.raises(ConfigError, match="group 7 are not adjacent"):
        segments.grouped_rows(score, score, torch.tensor([7, 3, 7, 9]), None)


def test_group_numbers_must_be_whole() -> None:
    score = torch.zeros(2)
    with pytest.raises(ConfigError, match=r"type torch\.float32"):
        segments.grouped_rows(score, score, torch.zeros(2), None)
