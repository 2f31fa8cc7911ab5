"""Splits by query: repeatable, stratified by how often a query occurs, and free of leaks between sides."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import ConfigError, DataError
from shopstill.data.deal import Group, deal
from shopstill.data.shop import Shop
from shopstill.data.text import fold, tokenise

log = logging.getLogger(__name__)

SIDES = ("train", "valid", "test")
STRATA = ("head", "torso", "tail", "unjudged")


@config
class SplitConfig:
    """How queries are parted.

    Attributes:
        valid: share of queries that choose the epoch.
        test: share of queries that nothing looks at before the end.
        seed: another seed, another split.
        publisher: keep the publisher's own sides where judgments, or folders of pictures, name them; ``valid`` is then
            taken from what it trains on if it has none, and ``test`` is not used.
        folds: part the queries into so many folds, and test on one; ``test`` is not used.
        fold: which of the folds is tested on, from 0.
    """

    valid: float = Field(default=0.1, ge=0, lt=1)
    test: float = Field(default=0.2, ge=0, lt=1)
    seed: int = 0
    publisher: bool = False
    folds: int | None = Field(default=None, ge=2)
    fold: int = Field(default=0, ge=0)


class LeakError(DataError):
    """The same query stands on two sides."""


def split_queries(shop: Shop, settings: SplitConfig) -> pa.Table:
    """Part a shop's queries into train, valid and test.

    Queries with the same words (without regard to case, order, endings and spelling of units) stay on one side. Within
    head, torso and tail (see ``strata``) the shares are the same. The split depends on the queries' texts and the seed
    alone, and not on the order of rows.

    Returns:
        ``query_id``, ``split``; one row a query, in the shop's order. With ``publisher``, training queries that say the
        same as one of the publisher's held-out queries are left out.

    Raises:
        ConfigError: the shares leave nothing to train on, or the publisher names no sides.
        DataError: there are too few queries, or the publisher's own sides cut through a query.
    """
    if settings.valid + settings.test >= 1:
        raise ConfigError(f"split: valid {settings.valid} + test {settings.test} leave nothing to train on; lower one")
    if settings.publisher and settings.folds:
        raise ConfigError("split: publisher keeps the publisher's sides, folds makes others; give one of the two")
    if settings.publisher:
        sides = _publishers(shop, settings)
    elif settings.folds:
        sides = _tested_on(shop, settings, settings.folds)
    else:
        shares = {"test": settings.test, "valid": settings.valid}
        sides = deal(_groups(shop), shares, "train", settings.seed, strata=STRATA)
    table = _table(shop, "split", sides, pa.string())
    check_leaks(shop, table)
    return table


def folds(shop: Shop, k: int, seed: int = 0) -> pa.Table:
    """Part a shop's queries into ``k`` folds for cross-validation, under the same rules as ``split_queries``.

    Returns:
        ``query_id``, ``fold`` from 0 to k - 1.

    Raises:
        ConfigError: ``k`` is below 2.
        DataError: there are fewer groups of queries than folds.
    """
    if k < 2:
        raise ConfigError(f"folds: k is {k}; at least 2 is needed")
    dealt = _dealt_folds(_groups(shop), k, seed)
    table = _table(shop, "fold", {key: int(fold) for key, fold in dealt.items()}, pa.int32())
    check_leaks(shop, table)
    return table


def _dealt_folds(groups: Sequence[Group], k: int, seed: int) -> dict[str, str]:
    return deal(groups, {str(number): 1 / k for number in range(k - 1)}, str(k - 1), seed, strata=STRATA)


def _tested_on(shop: Shop, settings: SplitConfig, k: int) -> dict[str, str]:
    """Sides with one fold as the test side; ``valid`` is still a share of all queries."""
    if settings.fold >= k:
        raise ConfigError(f"split.fold: {settings.fold} is not one of {k} folds; they are numbered from 0 to {k - 1}")
    groups = _groups(shop)
    dealt = _dealt_folds(groups, k, settings.seed)
    tested = {query_id for query_id, fold in dealt.items() if fold == str(settings.fold)}
    rest = [group for group in groups if group.ids[0] not in tested]
    share = settings.valid * len(dealt) / (len(dealt) - len(tested))
    dealt = deal(rest, {"valid": share}, "train", settings.seed, strata=STRATA)
    return {**dict.fromkeys(tested, "test"), **dealt}


def check_leaks(shop: Shop, parted: pa.Table) -> None:
    """Stop where one query stands on two sides.

    Args:
        shop: the shop whose queries were parted.
        parted: ``query_id`` and ``split`` or ``fold``.

    Raises:
        LeakError: a query id occurs on two sides, or two queries of the same words do; both are named.
    """
    name = next(column for column in ("split", "fold") if column in parted.column_names)
    texts = _texts(shop)
    seen: dict[str, tuple[str, object]] = {}
    for query_id, side in zip(parted["query_id"].to_pylist(), parted[name].to_pylist(), strict=True):
        first = seen.setdefault(same_query(texts.get(query_id, query_id)), (query_id, side))
        if first[1] != side:
            raise LeakError(
                f"leak: query {texts.get(first[0])!r} ({first[0]}) is in {name} {first[1]!r} and the same query "
                f"{texts.get(query_id)!r} ({query_id}) is in {side!r}; put both on one side"
            )


def same_query(text: str) -> str:
    """A key that queries of the same words share, whatever their order, case, endings or spelling of units.

    It would rather join two that differ than part two that are one: joining only keeps them on one side.

    >>> same_query("Patio Chairs 10-ft.") == same_query("10 ft chair patio")
    True
    """
    return " ".join(sorted(set(tokenise(text)))) or fold(text)


def strata(shop: Shop) -> pa.Table:
    """Head, torso or tail of each query.

    Queries are ordered by frequency where the shop knows it, else by the number of judged products; the head are those
    that carry the first third of the sum, the tail the last. A query of no frequency, or of no judgment, is
    ``unjudged``.

    Returns:
        ``query_id``, ``stratum``; in the shop's order.
    """
    ids, weights = _weights(shop)
    order = np.argsort(-weights, kind="stable")
    carried = np.cumsum(weights[order]) - weights[order] / 2
    third = np.minimum(carried * 3 // max(weights.sum(), 1), 2).astype(int)
    # Equal weights share the stratum of their first, so that the row order decides nothing.
    first = np.searchsorted(-weights[order], -weights[order], side="left")
    named = np.empty(len(ids), dtype=object)
    named[order] = np.array(STRATA, dtype=object)[np.where(weights[order] > 0, third[first], 3)]
    return pa.table({"query_id": pa.array(ids, pa.string()), "stratum": pa.array(named.tolist(), pa.string())})


def _weights(shop: Shop) -> tuple[list[str], np.ndarray]:
    queries = shop.read("queries", ["query_id", "frequency"])
    ids = queries["query_id"].to_pylist()
    if queries["frequency"].null_count < len(ids):
        return ids, np.array(queries["frequency"].fill_null(0), dtype=np.float64)
    judged: Counter[str] = Counter()
    for batch in shop.scan("judgments", ["query_id"]):
        for count in batch.column(0).value_counts().to_pylist():
            judged[count["values"]] += count["counts"]
    return ids, np.array([judged[query_id] for query_id in ids], dtype=np.float64)


def _texts(shop: Shop) -> dict[str, str]:
    queries = shop.read("queries", ["query_id", "text"])
    return dict(zip(queries["query_id"].to_pylist(), queries["text"].to_pylist(), strict=True))


def _groups(shop: Shop) -> list[Group]:
    """Queries by their words; a group stands in the highest stratum of its queries."""
    stratum = dict(zip(*strata(shop).to_pydict().values(), strict=True))
    found: dict[str, list[str]] = {}
    for query_id, text in _texts(shop).items():
        found.setdefault(same_query(text), []).append(query_id)
    if not found:
        raise DataError("the shop has no queries to part; read a table of queries")
    return [
        Group(key, tuple(sorted(ids)), min((stratum[i] for i in ids), key=STRATA.index)) for key, ids in found.items()
    ]


def _publishers(shop: Shop, settings: SplitConfig) -> dict[str, str]:
    given = _given_sides(shop)
    groups = _groups(shop)
    training: list[Group] = []
    sides: dict[str, str] = {}
    left_out = 0
    for group in groups:
        held = {i: given[i] for i in group.ids if given.get(i) in ("valid", "test")}
        # The side held out longest wins, since what it says must not be learnt.
        side = "test" if "test" in held.values() else "valid" if held else "train"
        kept = tuple(i for i in group.ids if given.get(i) == side)
        left_out += len(group.ids) - len(kept) if side != "train" else 0
        sides.update(dict.fromkeys(kept, side))
        if kept and side == "train":
            training.append(Group(group.key, kept, group.stratum))
    if left_out:
        log.warning("%d queries say the same as one of the publisher's held-out queries and are left out", left_out)
    if settings.valid and "valid" not in sides.values():
        sides |= deal(training, {"valid": settings.valid}, "train", settings.seed, strata=STRATA)
    return sides


def _given_sides(shop: Shop) -> dict[str, str]:
    given: dict[str, str] = {}
    for batch in shop.scan("judgments", ["query_id", "split"]):
        pairs = pa.table(batch).group_by(["query_id", "split"]).aggregate([])
        for query_id, side in zip(pairs["query_id"].to_pylist(), pairs["split"].to_pylist(), strict=True):
            if side is not None and given.setdefault(query_id, side) != side:
                raise LeakError(
                    f"leak: the publisher puts query {query_id!r} into {given[query_id]!r} and {side!r}; "
                    "set publisher: false to split by query"
                )
    if not given:
        raise ConfigError("split.publisher: the judgments name no sides; set publisher: false")
    return given


def _table(shop: Shop, name: str, sides: Mapping[str, object], kind: pa.DataType) -> pa.Table:
    ids = [i for i in shop.read("queries", ["query_id"])["query_id"].to_pylist() if i in sides]
    return pa.table({"query_id": pa.array(ids, pa.string()), name: pa.array([sides[i] for i in ids], kind)})
