"""The log of what shoppers did, and what was bought after what."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopstill.data.simulate.catalogue import Truth
from shopstill.data.simulate.draws import Ints
from shopstill.data.simulate.products import numbered, product_ids
from shopstill.data.simulate.queries import Intents, query_ids
from shopstill.data.simulate.sessions import Store, Visits
from shopstill.data.simulate.settings import Simulate
from shopstill.data.simulate.shoppers import draw_shoppers

KINDS = ("impression", "click", "cart", "purchase")
_ROWS_PER_TEN_VISITS, _ACTIONS_PER_TEN_VISITS = 116, 16
_ROWS_PER_PIECE = 250_000
_DELAY = np.array([0, 2_000, 25_000, 120_000])
_READING = 4_000
"""Milliseconds from the start of a visit to each kind of event, and what each position adds to a click."""


def event_pieces(truth: Truth, intents: Intents, config: Simulate) -> Iterator[tuple[pa.Table, Ints]]:
    """Rows of the events table, ordered by shopper and then by time, with what was bought after what.

    Args:
        truth: what is hidden.
        intents: the wishes behind the shop's queries.
        config: how many shoppers there are, at most; how many rows are wanted, about; and whether impressions are.

    Yields:
        Rows, and [n, 2] pairs of products that a shopper bought one after the other.
    """
    sessions = 10 * config.events // (_ROWS_PER_TEN_VISITS if config.impressions else _ACTIONS_PER_TEN_VISITS)
    people = draw_shoppers(truth, min(config.shoppers, sessions), sessions)
    store = Store(truth, intents)
    step = max(_ROWS_PER_PIECE * len(people.index) // max(config.events, 1), 1)
    for begin in range(0, len(people.index), step):
        piece = people.take(people.index[begin : begin + step])
        columns = np.concatenate([_actions(visits, config.impressions) for visits in store.visits(piece)])
        columns = columns[np.lexsort(columns.T[[5, 4, 6, 0]])]
        yield _rows(columns), _bought_after(columns)


def _actions(visits: Visits, impressions: bool) -> Ints:
    """[n, 7] whole numbers: shopper, turn, query, product, kind, position, time."""
    parts = []
    for kind in range(0 if impressions else 1, len(KINDS)):
        row, place = np.nonzero((visits.products >= 0) & (visits.depth >= kind))
        turn, kinds = np.full(len(row), visits.turn), np.full(len(row), kind)
        time = visits.start[row] + _DELAY[kind] + (place * _READING if kind else 0)
        parts.append(
            np.column_stack(
                [visits.shopper[row], turn, visits.query[row], visits.products[row, place], kinds, place + 1, time]
            )
        )
    return np.concatenate(parts)


def _rows(columns: Ints) -> pa.Table:
    shopper, turn, query, product, kind, position, time = columns.T
    people = numbered("u", shopper, 7)
    return pa.table(
        {
            "shopper_id": people,
            "session_id": _sessions(people, turn),
            "query_id": _known(query),
            "product_id": product_ids(product),
            "kind": pa.array(KINDS).take(pa.array(kind)),
            "position": pa.array(position.astype(np.int32)),
            "time": pa.array(time, pa.timestamp("ms")),
        }
    )


def _sessions(people: pa.Array, turn: Ints) -> pa.Array:
    return pc.binary_join_element_wise(people, numbered("s", turn, 4), "-")


def _known(query: Ints) -> pa.Array:
    return pc.if_else(pa.array(query >= 0), query_ids(np.maximum(query, 0)), pa.scalar(None, pa.string()))


def _bought_after(columns: Ints) -> Ints:
    bought = columns[columns[:, 4] == KINDS.index("purchase")]
    same = (bought[1:, 0] == bought[:-1, 0]) & (bought[1:, 3] != bought[:-1, 3])
    return np.column_stack([bought[:-1, 3][same], bought[1:, 3][same]])
