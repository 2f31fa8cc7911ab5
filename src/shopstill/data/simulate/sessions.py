"""Visits to the shop: what is looked for, what is shown, what is clicked and bought.

A click needs that the shopper looks (the examination falls with the position) and likes (relevance and taste): the
examination model of Craswell et al., "An experimental comparison of click position-bias models", WSDM 2008.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopstill.data.simulate.catalogue import Truth
from shopstill.data.simulate.draws import Ints, choose
from shopstill.data.simulate.judge import grades
from shopstill.data.simulate.queries import Intents, stack
from shopstill.data.simulate.shoppers import Shoppers, taste
from shopstill.data.simulate.world import LANGUAGES

LIST = 10
EXAMINATION = np.array([1000, 780, 620, 510, 430, 370, 320, 280, 250, 220])
"""Chance in a thousand that a shopper looks at a position."""

_LIKED = np.array(
    [10, 12, 16, 22, 32, 48, 70, 100, 140, 190, 250, 310, 375, 440, 505, 565, 620, 670, 715, 755, 790, 820, 845]
)
"""Chance in a thousand of a click on what is seen, by points of relevance (0 to 9) and taste (-4 to 12)."""
_CARTED, _BOUGHT = np.minimum(_LIKED + 100, 800), np.minimum(_LIKED + 250, 850)
_REPEAT_POINTS = 8
_FOLLOW, _RETRY, _REPEAT, _AT_HOME, _TYPED = 600, 300, 100, 750, 850
"""Of thousand visits: after a purchase to what goes with it; else on with the last search; else to buy the same again;
else to a favourite department. And how many begin with a query."""
_OWN, _NEXT, _OTHER, _TRIES = 9, 2, 2, 3
_TURNS = 2**20
_EPOCH, _HOUR = 1_704_067_200_000, 3_600_000  # 2024-01-01 and an hour, in milliseconds


@dataclass(frozen=True, kw_only=True)
class Visits:
    """The visits that n shoppers make at the same turn of their lives.

    Attributes:
        shopper: [n] numbers of the shoppers.
        turn: how many visits they made before.
        query: [n] number of the query, -1 where they browse.
        start: [n] milliseconds since 1970.
        products: [n, LIST] what was shown, by position; -1 where the list is shorter.
        depth: [n, LIST] how far it went: 0 shown, 1 clicked, 2 in the cart, 3 bought.
    """

    shopper: Ints
    turn: int
    query: Ints
    start: Ints
    products: Ints
    depth: Ints


@dataclass(kw_only=True)
class _Lives:
    """What n shoppers remember from visit to visit; -1 for nothing."""

    bought: Ints
    pending: Ints
    searched: Ints
    clock: Ints


class Store:
    """The shop as shoppers meet it: its search, its lists.

    Args:
        truth: what is hidden.
        intents: the wishes behind the shop's Q queries.
    """

    def __init__(self, truth: Truth, intents: Intents) -> None:
        self._truth = truth
        kinds = len(truth.world.types)
        self._intents = stack([intents, _browsing(truth)])
        self._browse = len(intents)
        group = truth.catalogue.language[intents.seed].astype(np.int64) * kinds + truth.catalogue.type[intents.seed]
        self._order = np.argsort(group, kind="stable")
        self._typed = np.concatenate([[0], np.cumsum(intents.frequency[self._order])])
        self._edges = np.searchsorted(group[self._order], np.arange(len(LANGUAGES) * kinds + 1))
        stocked = (truth.catalogue.count > 0).reshape(len(LANGUAGES), 1, kinds)
        at = truth.world.department == np.arange(len(truth.world.departments))[:, None]
        self._stocked = (stocked & at).reshape(-1, kinds)

    def visits(self, shoppers: Shoppers) -> Iterator[Visits]:
        """All visits of some shoppers, turn by turn."""
        nothing = np.full(len(shoppers.index), -1)
        first = _EPOCH + _HOUR * self._truth.draws.below("visit/first", shoppers.index, 24 * 30)
        lives = _Lives(bought=nothing, pending=nothing.copy(), searched=nothing.copy(), clock=first)
        for turn in range(int(shoppers.sessions.max(initial=0))):
            yield self._turn(shoppers, lives, turn)

    def _turn(self, shoppers: Shoppers, lives: _Lives, turn: int) -> Visits:
        rows = np.flatnonzero(shoppers.sessions > turn)
        people = shoppers.take(rows)
        place = people.index * _TURNS + turn
        kind, again = self._looks_for(people, lives, rows, place)
        query = self._query(people, kind, place)
        intents = self._intents.take(np.where(query < 0, self._browse + kind, query))
        products, grade = self._shows(people, kind, intents, place, np.where(again, lives.bought[rows], -1))
        points = 3 * grade + taste(self._truth, people, products)
        points += _REPEAT_POINTS * (again[:, None] & (products == lives.bought[rows, None]))
        depth = self._acts(np.clip(points, 0, len(_LIKED) - 1), place) * (products >= 0)
        start = lives.clock[rows]
        self._remember(lives, rows, kind, products, depth)
        lives.clock[rows] += _HOUR * (1 + self._truth.draws.below("visit/gap", place, 24 * 10))
        return Visits(shopper=people.index, turn=turn, query=query, start=start, products=products, depth=depth)

    def _looks_for(self, people: Shoppers, lives: _Lives, rows: Ints, place: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """The type that each looks for, and whether it is to buy the last product again."""
        draws, catalogue = self._truth.draws, self._truth.catalogue
        anything = catalogue.sample(people.language, np.full(len(rows), -1), draws.bits("visit/any", place))
        home = people.departments[np.arange(len(rows)), draws.below("visit/department", place, 2)]
        row = people.language * len(self._truth.world.departments) + home
        kind = choose(self._stocked, row, draws.bits("visit/type", place))
        kind = np.where(draws.chance("visit/home", place, _AT_HOME) & (kind >= 0), kind, catalogue.type[anything])
        again = (lives.bought[rows] >= 0) & draws.chance("visit/again", place, _REPEAT)
        kind = np.where(again, catalogue.type[lives.bought[rows]], kind)
        retry = (lives.searched[rows] >= 0) & draws.chance("visit/retry", place, _RETRY) & ~again
        kind = np.where(retry, lives.searched[rows], kind)
        pending = lives.pending[rows]
        follow = (pending >= 0) & draws.chance("visit/follow", place, _FOLLOW)
        likelier = draws.below("visit/which", place, 3) // 2
        return np.where(follow, self._truth.world.next[pending, likelier], kind), again & ~follow

    def _query(self, people: Shoppers, kind: Ints, place: Ints) -> Ints:
        """A query for the type, by its frequency; -1 where there is none or the shopper browses."""
        draws = self._truth.draws
        group = people.language * len(self._truth.world.types) + kind
        low, high = self._typed[self._edges[group]], self._typed[self._edges[group + 1]]
        at = np.searchsorted(self._typed, low + draws.below("visit/query", place, high - low), side="right") - 1
        typed = (high > low) & draws.chance("visit/typed", place, _TYPED)
        return np.where(typed, self._order[np.minimum(at, self._browse - 1)], -1)

    def _shows(self, people: Shoppers, kind: Ints, intents: Intents, place: Ints, first: Ints) -> tuple[Ints, Ints]:
        """[n, LIST] products by position and their grades: a fair but imperfect ranking."""
        draws, catalogue, slots = self._truth.draws, self._truth.catalogue, _OWN + _NEXT + _OTHER
        kinds = np.concatenate(
            [np.repeat(kind[:, None], _OWN, 1), self._truth.world.next[kind], np.full((len(kind), _OTHER), -1)], axis=1
        )
        grid = (place[:, None] * slots + np.arange(slots))[..., None] * _TRIES + np.arange(_TRIES)
        tries = catalogue.sample(people.language[:, None, None], kinds[..., None], draws.bits("list", grid))
        best = (60 * grades(self._truth, intents, tries).astype(np.int64) + catalogue.popularity[tries]).argmax(-1)
        products = np.take_along_axis(tries, best[..., None], -1)[..., 0]
        products[:, 0] = np.where(first >= 0, first, products[:, 0])
        grade = grades(self._truth, intents, products).astype(np.int64)
        score = (
            40 * grade + np.minimum(catalogue.popularity[products], 40) + draws.below("list/score", grid[..., 0], 60)
        )
        score[:, 0] += np.where(first >= 0, 1_000, 0)
        score[_repeated(products)] = -1
        order = np.argsort(-score, axis=1, kind="stable")[:, :LIST]
        shown = np.take_along_axis(score, order, 1) >= 0
        return np.where(shown, np.take_along_axis(products, order, 1), -1), np.take_along_axis(grade, order, 1)

    def _acts(self, points: Ints, place: Ints) -> Ints:
        draws, grid = self._truth.draws, place[:, None] * LIST + np.arange(LIST)
        click = draws.chance("act/look", grid, EXAMINATION) & draws.chance("act/click", grid, _LIKED[points])
        cart = click & draws.chance("act/cart", grid, _CARTED[points])
        return click.astype(np.int64) + cart + (cart & draws.chance("act/buy", grid, _BOUGHT[points]))

    def _remember(self, lives: _Lives, rows: Ints, kind: Ints, products: Ints, depth: Ints) -> None:
        buys = (depth == 3).any(1)
        product = products[np.arange(len(rows)), (depth == 3).argmax(1)]
        lives.bought[rows] = np.where(buys, product, lives.bought[rows])
        lives.pending[rows] = np.where(buys, self._truth.catalogue.type[product], -1)
        lives.searched[rows] = np.where(buys, -1, kind)


def _browsing(truth: Truth) -> Intents:
    """A wish for each type and nothing more."""
    kinds = len(truth.world.types)
    return Intents(
        seed=np.zeros(kinds, np.int64),
        concept=np.arange(kinds, dtype=np.int16),
        wanted=np.full((kinds, len(truth.world.attributes)), -1, np.int8),
        brand=np.full(kinds, -1, np.int16),
        frequency=np.ones(kinds, np.int64),
    )


def _repeated(products: Ints) -> NDArray[np.bool_]:
    """[n, s] whether a product stands further left in its row."""
    order = np.argsort(products, axis=1, kind="stable")
    ranked = np.take_along_axis(products, order, 1)
    same = np.zeros(products.shape, bool)
    same[:, 1:] = ranked[:, 1:] == ranked[:, :-1]
    repeated = np.empty_like(same)
    np.put_along_axis(repeated, order, same, 1)
    return repeated
