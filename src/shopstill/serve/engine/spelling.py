"""A better spelling for words that no product has: the nearest word that products do have."""

from __future__ import annotations

from functools import lru_cache

from rapidfuzz.distance import OSA

from shopstill.data.text import fold, tokenise
from shopstill.serve.engine.marks import words
from shopstill.serve.index.catalogue import Catalogue

SHORTEST, LONG = 4, 8
"""Letters of a word that may be one edit off, and of one that may be two."""

_LOOKED_AT, _TIMES = 32, 64
_KEPT = 1 << 14


def corrected(catalogue: Catalogue, text: str, *, prefix: bool = False) -> str | None:
    """The text with each unknown word replaced by the nearest known one; None where nothing changes.

    A word of 4 letters may be one edit off, one of 8 two; what is nearest wins, then what more products have.

    Args:
        catalogue: whose words count.
        text: what was typed.
        prefix: whether the last word may be unfinished, so that it need only begin a known one.
    """
    out, at = [], 0
    found = words(text)
    for place, word in enumerate(found):
        last = prefix and place == len(found) - 1
        better = _better(catalogue, word.text, unfinished=last)
        out += [text[at : word.start], better or word.text]
        at = word.stop
    made = "".join([*out, text[at:]])
    return None if made == text else made


def _better(catalogue: Catalogue, word: str, *, unfinished: bool) -> str | None:
    known = catalogue.words.spelled
    if (word, unfinished) not in known:
        if len(known) >= _KEPT:
            known.clear()
        known[word, unfinished] = _found(catalogue, word, unfinished=unfinished)
    return known.get((word, unfinished))


def _found(catalogue: Catalogue, word: str, *, unfinished: bool) -> str | None:
    form = fold(word)
    if len(form) < SHORTEST or not form.isalpha() or not form.isascii() or catalogue.words.stems(form):
        return None
    if unfinished and catalogue.words.beginning(form, 1):
        return None
    # What is one edit off comes first: looked for with the rest, it may not be among the products that are looked at.
    for edits in range(1, 3 if len(form) >= LONG else 2):
        close = _close(catalogue, form, edits)
        if close:
            return min((-catalogue.words.known(one), one) for one in close)[1]
    return None


def _close(catalogue: Catalogue, form: str, edits: int) -> set[str]:
    """The words of products that are a few edits off.

    The index gives products and not words: some that have one, and then some that have none of those found so far. Of
    words that are as near, at least ``_TIMES`` are found.
    """
    close: set[str] = set()
    for _ in range(_TIMES):
        found = set(close)
        for row in catalogue.words.near(form, edits, _LOOKED_AT, close):
            product = catalogue.product(int(row))
            found.update(one for one in _forms(f"{product.title} {product.brand or ''}") if _apart(form, one) <= edits)
        if found == close:
            break
        close = found
    return close


@lru_cache(1 << 14)
def _forms(text: str) -> list[str]:
    return tokenise(text, stemmed=False)


def _apart(one: str, other: str) -> int:
    """Edits between two words, a swap of neighbours counting as one."""
    return int(OSA.distance(one, other, score_cutoff=2))
