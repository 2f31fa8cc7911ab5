"""Parts: what is asked, and that nothing asked is learnt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from shopstill.core.errors import ConfigError, DataError
from shopstill.data.histories import Histories, Part, Parts, by_time, leave_one_out


def asked(part: Part) -> list[tuple[int, int, int]]:
    return list(zip(part.shopper_N.tolist(), part.upto_N.tolist(), part.target_N.tolist(), strict=True))


def holds(histories: Histories, parts: Parts) -> None:
    """Every target is the event behind its input; training sees no event that valid or test ask for."""
    for part in (parts.train, parts.valid, parts.test):
        event = histories.start_U[part.shopper_N] + part.upto_N
        assert (part.upto_N >= 1).all()
        assert (event < histories.start_U[part.shopper_N + 1]).all()
        assert np.array_equal(histories.item_E[event], part.target_N)
    assert (parts.train.upto_N < parts.trained_U[parts.train.shopper_N]).all()
    for part in (parts.valid, parts.test):
        assert (part.upto_N >= parts.trained_U[part.shopper_N]).all()


def test_leave_one_out(some: Callable[..., Histories]) -> None:
    histories = some([(1, 0), (2, 1), (3, 2), (4, 3)], [(1, 0), (5, 1)], [(2, 0)], [(4, 0), (5, 1), (1, 2)])
    parts = leave_one_out(histories)
    holds(histories, parts)
    assert asked(parts.train) == [(0, 1, 2), (1, 1, 5)]
    assert asked(parts.valid) == [(0, 2, 3), (3, 1, 5)]
    assert asked(parts.test) == [(0, 3, 4), (3, 2, 1)]
    assert parts.trained_U.tolist() == [2, 2, 1, 1]
    assert parts.seen_I.tolist() == [False, True, True, False, True, True]
    assert (parts.unseen, parts.alone) == (1, 0)


def test_by_time(some: Callable[..., Histories]) -> None:
    histories = some(
        [(1, 0), (2, 1), (1, 2), (2, 3), (3, 6)],  # 3 is new behind the cut
        [(2, 4), (1, 7), (2, 9)],
        [(1, 8), (2, 9)],  # has nothing before its first
    )
    parts = by_time(histories, valid=0.2, test=0.2)
    holds(histories, parts)
    # Of the ten times 0 1 2 3 4 6 7 8 9 9 the cuts are the 7th and the 9th: 7 and 9.
    assert asked(parts.train) == [(0, 1, 2), (0, 2, 1), (0, 3, 2), (0, 4, 3)]
    assert asked(parts.valid) == [(1, 1, 1)]
    assert asked(parts.test) == [(1, 2, 2), (2, 1, 2)]
    assert (parts.unseen, parts.alone) == (0, 1)
    earlier = by_time(histories, valid=0.4, test=0.2)
    holds(histories, earlier)
    assert (0, 4, 3) not in asked(earlier.valid)
    assert earlier.unseen == 1
    assert earlier.seen_I.tolist() == [False, True, True, False]


def test_by_time_no_side_shares_a_moment(some: Callable[..., Histories]) -> None:
    rng = np.random.default_rng(1)
    own = [
        sorted(zip(rng.integers(1, 9, 20).tolist(), rng.integers(0, 50, 20).tolist(), strict=True), key=lambda e: e[1])
        for _ in range(30)
    ]
    histories = some(*own)
    parts = by_time(histories, valid=0.15, test=0.15)
    holds(histories, parts)
    times = [
        histories.time_E[histories.start_U[p.shopper_N] + p.upto_N] for p in (parts.train, parts.valid, parts.test)
    ]
    assert times[0].max() < times[1].min() <= times[1].max() < times[2].min()
    assert 0.1 < len(parts.test) / len(histories.item_E) < 0.2


def test_by_time_refuses_what_has_no_times(some: Callable[..., Histories]) -> None:
    histories = some([(1, 0), (2, 1), (1, 2)])
    for valid, test in ((0.5, 0.5), (-0.1, 0.1), (0.1, 0.0)):
        with pytest.raises(ConfigError, match="parted: time: valid"):
            by_time(histories, valid, test)
    with pytest.raises(DataError, match="a part is empty"):
        by_time(some([(1, 5), (2, 5), (1, 5)]))
    places = Histories(
        item_ids=histories.item_ids,
        shopper_ids=histories.shopper_ids,
        item_E=histories.item_E,
        start_U=histories.start_U,
        time_E=np.arange(3),
    )
    with pytest.raises(DataError, match="use parted: last"):
        by_time(places)
