"""What an unfinished word may stand for: of the written words that begin so, those of most products."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

LEAST, MOST = 12, 200
"""How many words it stands for at least, and at most: more than anyone chooses among, and each costs some microseconds
to look up."""
POSTINGS = 100_000
"""How many products these words may have in all beyond the least: so many are scored in a millisecond or two."""


def taken(found: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """The words of most products, commonest first, as many as the bounds allow.

    Args:
        found: words, and how many products have each.

    >>> [word for word, _ in taken([("lamp", 3), ("ladder", 5), ("lace", 3)])]
    ['ladder', 'lace', 'lamp']
    """
    words = sorted(found, key=lambda one: (-one[1], one[0]))[:MOST]
    within = sum(total <= POSTINGS for total in accumulate(count for _, count in words))
    return words[: max(LEAST, within)]
