"""Deal groups out to sides: repeatable, in equal shares within each stratum, and no group is ever parted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shopstill.core.errors import DataError


@dataclass(frozen=True)
class Group:
    """Queries, or products, that are one for a leak: never parted.

    Attributes:
        key: what draws its place; another seed, another place.
        ids: of its members.
        stratum: within which the shares hold.
    """

    key: str
    ids: tuple[str, ...]
    stratum: str


def deal(
    groups: Sequence[Group],
    shares: Mapping[str, float],
    rest: str,
    seed: int,
    *,
    strata: Sequence[str],
    each: bool = False,
    of: str = "queries",
) -> dict[str, str]:
    """Side of each id: within each stratum the groups, in an order drawn by the seed, fill each share in turn.

    Args:
        groups: what is never parted.
        shares: side → its share of all ids.
        rest: the side of what is left.
        seed: another seed, another deal.
        strata: the strata, in the order in which they are dealt.
        each: every stratum rounds for itself, so that a small one has its part on each side; else what rounding leaves
            in one is made up in the next, so that the whole is as near to the shares as can be.
        of: what the ids are, for the error.

    Raises:
        DataError: a side would be empty.
    """
    sides: dict[str, str] = {}
    passed, given = 0, Counter[str]()
    for stratum in strata:
        within = sorted((g for g in groups if g.stratum == stratum), key=lambda g: _draw(g.key, seed))
        passed, before = (0, Counter[str]()) if each else (passed, given)
        passed += sum(len(g.ids) for g in within)
        wanted = {side: round(share * passed) - before[side] for side, share in shares.items()}
        for group in within:
            side = next((s for s, left in wanted.items() if left >= (len(group.ids) + 1) // 2), rest)
            if side != rest:
                wanted[side] -= len(group.ids)
            given[side] += len(group.ids)
            sides.update(dict.fromkeys(group.ids, side))
    asked = [*(side for side, share in shares.items() if share > 0), rest]
    if not all(given[side] for side in asked):
        raise DataError(_too_few(groups, {side: given[side] for side in asked}, rest, of))
    return sides


def _too_few(groups: Sequence[Group], given: Mapping[str, int], rest: str, of: str) -> str:
    """Why sides would be empty, and what mends it: a share that is too small takes no group, however many there are."""
    members, empty = sum(len(group.ids) for group in groups), [side for side, count in given.items() if not count]
    same = ""
    if members > len(groups):
        largest = max(groups, key=lambda group: len(group.ids)).ids
        same = f" ({members:,} {of}; the same ones stay together, as do {largest[0]!r} and {len(largest) - 1:,} others)"
    remedy = f"more {of} that differ are needed"
    if len(groups) >= len(given):
        shares = "lower the shares of the others" if rest in empty else "give each a larger share"
        remedy = f"{shares}, or more {of} that differ"
    return f"{len(groups):,} different {of}{same} are too few: {', '.join(empty)} would be empty; {remedy}"


def _draw(key: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\n{key}".encode(), digest_size=8).digest()
