"""Which event of which history is learnt from, chooses the epoch, or is tested on.

What never happens: an event that valid or test ask for is no target, and no input, of training; an example's input ends
before its target. What a part may see is stated with each way to part.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shopstill.core.errors import ConfigError, DataError
from shopstill.data.histories.table import Histories, Int32, Int64

log = logging.getLogger(__name__)

_DAY = 86_400_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """N questions: after the first ``upto_N`` events of a shopper, which item comes next?

    Attributes:
        shopper_N: the shopper.
        upto_N: how many of the shopper's events are the input; at least 1.
        target_N: the item that came next, by number.
    """

    shopper_N: Int32
    upto_N: Int32
    target_N: Int32

    def __len__(self) -> int:
        """How many questions there are."""
        return len(self.shopper_N)

    def take(self, rows: NDArray[np.bool_] | Int64) -> Part:
        """Some of the questions."""
        return Part(shopper_N=self.shopper_N[rows], upto_N=self.upto_N[rows], target_N=self.target_N[rows])


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """Histories, parted.

    Attributes:
        train: all prefixes that may be learnt from.
        valid: what chooses the epoch.
        test: what nothing looks at before the end.
        trained_U: how many of each shopper's first events training may see, for models that read whole histories.
        seen_I: [I + 1] whether an item is among those events; False for 0, the padding. A model knows nothing of the
            others but what it draws from attributes.
        unseen: questions of valid and test whose target training never sees: left out by ``by_time``, asked by
            ``leave_one_out``.
        alone: questions of valid and test that are left out since their shopper has no earlier event.
    """

    train: Part
    valid: Part
    test: Part
    trained_U: Int64
    seen_I: NDArray[np.bool_]
    unseen: int
    alone: int

    def drawn(self, most: int, seed: int) -> Parts:
        """The same, with ``most`` questions of valid and of test at most, drawn where there are more."""
        draw = np.random.default_rng(seed)
        valid, test = (_drawn(part, most, draw) for part in (self.valid, self.test))
        if (len(valid), len(test)) != (len(self.valid), len(self.test)):
            log.info("questions: %s of valid and %s of test are drawn", f"{len(valid):,}", f"{len(test):,}")
        return replace(self, valid=valid, test=test)


def leave_one_out(histories: Histories) -> Parts:
    """The last event of each shopper is tested on, the one before chooses, the rest is learnt from.

    Shoppers of fewer than 3 events are learnt from alone. The input of a test question holds the event of the valid
    question. This is the protocol of Kang and McAuley, "Self-attentive sequential recommendation", ICDM 2018, and of
    most published figures. It parts events of a shopper and not moments: what others did later is learnt from.
    ``by_time`` does not do so.
    """
    length_U = histories.lengths()
    trained_U = np.where(length_U >= 3, length_U - 2, length_U)
    valid_U = np.where(length_U >= 3, length_U - 1, length_U)
    seen_I = _seen(histories, trained_U)
    valid, test = _between(histories, trained_U, valid_U), _between(histories, valid_U, length_U)
    return Parts(
        train=_between(histories, np.ones_like(trained_U), trained_U),
        valid=valid,
        test=test,
        trained_U=trained_U,
        seen_I=seen_I,
        unseen=sum(int((~seen_I[part.target_N]).sum()) for part in (valid, test)),
        alone=0,
    )


def by_time(histories: Histories, valid: float = 0.1, test: float = 0.1) -> Parts:
    """Two moments part all histories: before the first is learnt from, behind the second tested on.

    Every event of a shopper behind a moment is a question, with all that the shopper did before as its input, be it
    behind the moment too: so a model that does not learn on is asked by a shop in which time goes on. Events of one
    moment stay on one side. Questions whose target training never sees, or whose shopper has no earlier event, are
    left out and counted.

    Args:
        histories: with true times.
        valid: share of events, the newest but for ``test``, that choose the epoch; about.
        test: share of events, the newest, that are tested on; about.

    Raises:
        ConfigError: the shares leave nothing to train on.
        DataError: times are places in histories, or so alike that a part is empty.
    """
    if not (valid >= 0 and test > 0 and valid + test < 1):
        raise ConfigError(f"parted: time: valid {valid} and test {test}; needed: valid ≥ 0, test > 0, valid + test < 1")
    time_E, length_U = histories.time_E, histories.lengths()
    if len(time_E) and time_E.max() < _DAY:
        raise DataError(
            "parted: time: every event is of 1970-01-01, so its time is a place in a history; use parted: last"
        )
    at = [min(int(share * len(time_E)), len(time_E) - 1) for share in (1 - valid - test, 1 - test)]
    cuts = np.partition(time_E, at)[at]
    trained_U, valid_U = (_before(histories, cut) for cut in cuts)
    seen_I = _seen(histories, trained_U)
    asked = [_between(histories, low, high) for low, high in ((trained_U, valid_U), (valid_U, length_U))]
    kept = [part.take(seen_I[part.target_N]) for part in asked]
    train = _between(histories, np.ones_like(trained_U), trained_U)
    if not len(train) or not len(kept[1]) or (valid > 0 and not len(kept[0])):
        sizes = f"train {len(train):,}, valid {len(kept[0]):,}, test {len(kept[1]):,} questions"
        raise DataError(f"parted: time: a part is empty ({sizes}); take other shares, or use parted: last")
    return Parts(
        train=train,
        valid=kept[0],
        test=kept[1],
        trained_U=trained_U,
        seen_I=seen_I,
        unseen=sum(map(len, asked)) - sum(map(len, kept)),
        alone=int(((trained_U == 0) & (length_U > 0)).sum()),
    )


def _between(histories: Histories, low_U: Int64, high_U: Int64) -> Part:
    """A question for each event from place ``low_U`` to before ``high_U``, but for first events of a shopper."""
    low_U = np.maximum(low_U, 1)
    count_U = np.maximum(high_U - low_U, 0)
    shopper_N = np.repeat(np.arange(len(histories), dtype=np.int32), count_U)
    first_U = np.cumsum(count_U) - count_U
    upto_N = np.arange(len(shopper_N)) + np.repeat(low_U - first_U, count_U)
    target_N = histories.item_E[upto_N + np.repeat(histories.start_U[:-1], count_U)]
    return Part(shopper_N=shopper_N, upto_N=upto_N.astype(np.int32), target_N=target_N)


def _before(histories: Histories, moment: np.int64) -> Int64:
    """[U] events of each shopper before a moment."""
    passed = np.concatenate([[0], np.cumsum(histories.time_E < moment, dtype=np.int64)])
    return passed[histories.start_U[1:]] - passed[histories.start_U[:-1]]


def _seen(histories: Histories, upto_U: Int64) -> NDArray[np.bool_]:
    """[I + 1] items among the first events of shoppers."""
    place_E = np.arange(len(histories.item_E)) - np.repeat(histories.start_U[:-1], histories.lengths())
    seen_I = np.zeros(histories.items + 1, dtype=bool)
    seen_I[histories.item_E[place_E < np.repeat(upto_U, histories.lengths())]] = True
    return seen_I


def _drawn(part: Part, most: int, draw: np.random.Generator) -> Part:
    if len(part) <= most:
        return part
    return part.take(np.sort(draw.choice(len(part), most, replace=False)))
