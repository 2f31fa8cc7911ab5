"""Words of a text as they stand there, and which of them a query matched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from functools import lru_cache
from typing import NamedTuple

from shopstill.data.text import HAN, MARKS, THAI, fold, tokenise

_PLAIN = re.compile(r"[A-Za-z0-9]+(?:[./'-][A-Za-z0-9]+)*")
# What is no white space, no sign, no underscore and not Chinese: said in one class, it is read in less time. Signs of
# vowels, tones and voice are no \w for Python's re, yet they stand inside words.
_PIECE = rf"(?:[^\W_{HAN}]++|[{MARKS}{THAI}\u3099\u309a]++)++"
_WORD = re.compile(rf"([{HAN}]+)|{_PIECE}(?:[./'’-]{_PIECE})*")


class Word(NamedTuple):
    """A word and where it stands, [start, stop)."""

    text: str
    start: int
    stop: int


def words(text: str) -> list[Word]:
    """The words of a text in order; Chinese is cut by jieba, without overlaps.

    >>> [word.text for word in words("Stainless-steel kettle 1.5L 不锈钢水壶")]
    ['Stainless-steel', 'kettle', '1.5L', '不锈钢', '水壶']
    """
    return [Word(word, start, start + len(word)) for word, start in _read(text)]


def marks(text: str, asked: Set[str], prefix: str = "") -> list[tuple[int, int]]:
    """Where words of a text stand that share a token with a query, or begin with a prefix.

    >>> marks("Red Mugs, set of 2", set(tokenise("mug")))
    [(4, 8)]
    """
    return [
        (start, start + len(word))
        for word, start in _read(text)
        if not asked.isdisjoint(_tokens(word)) or (prefix and compared(word).startswith(prefix))
    ]


def compared(word: str) -> str:
    """A word as it is compared with another, however its accents are written.

    >>> compared("Cafe\u0301") == compared("CAFÉ")
    True
    """
    return word.casefold() if word.isascii() else _folded(word)


def _read(text: str) -> Iterator[tuple[str, int]]:
    """The words of a text and where they begin. Nothing of it is kept: a server shows another title each time, and
    what it kept of all of them would be looked through by the collector of cycles, again and again."""
    if text.isascii():
        for match in _PLAIN.finditer(text):
            yield match[0], match.start()
        return
    for match in _WORD.finditer(text):
        start = match.start()
        for part in _cut(match[1]) if match[1] else (match[0],):
            yield part, start
            start += len(part)


@lru_cache(1 << 15)
def _tokens(word: str) -> tuple[str, ...]:
    return tuple(tokenise(word))


@lru_cache(1 << 15)
def _folded(word: str) -> str:
    return fold(word)


def _cut(run: str) -> list[str]:
    import rjieba

    return list(rjieba.cut(run, hmm=False))
