"""What exact matching knows of a token: its code, its letters as bits, and whether it is a number or a model."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import IntEnum
from zlib import crc32

from shopstill.data.text import tokenise
from shopstill.data.units import UNITS

GRAM_BITS = 1024

_NUMBER = re.compile(r"\d+(?:-\d+/\d+|[./]\d+)*")
_MEASURE = re.compile(rf"(\d+(?:-\d+/\d+|[./]\d+)*)({'|'.join(sorted(UNITS, key=len, reverse=True))})")
_UNSPACED = re.compile(r"[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# What stands behind these words or marks says what a product has or is for, not what it is.
_ASIDE = re.compile(
    r",(?!\d)|[(\[{;|]| - | (?:with|w|for|by|to|from|includes?|including)\b| in (?=[a-z])", re.IGNORECASE
)
_MODEL_SIZE, _MODEL_DIGITS = 3, 5
_CODE_LIMIT = 0xFFFFFFFE
# Bounds the n-grams of a token, so that their number fits a byte.
_LETTERS = 64
_TERMS_KEPT = 1 << 18


class Kind(IntEnum):
    """What a token is."""

    WORD = 0
    NUMBER = 1
    MEASURE = 2
    MODEL = 3


@dataclass(frozen=True, slots=True)
class Term:
    """A token.

    Attributes:
        code: 32-bit digest, from 1 to 2³² − 2, so that paddings of 0 and 2³² − 1 match nothing.
        kind: what it is.
        value: digest of the number, whichever way it is written; 0 for a word.
        unit: digest of the unit of a measure, else 0.
        grams: a bit for each of its character n-grams, 1024 in all.
        gram_count: bits set.
    """

    code: int
    kind: Kind
    value: int
    unit: int
    grams: bytes
    gram_count: int

    @property
    def figures(self) -> tuple[int, ...]:
        """What a number, measure or model number is found by: its value, and the unit of a measure; else nothing."""
        return (self.value, self.unit) if self.unit else (self.value,) if self.value else ()


def parts(text: str) -> tuple[list[str], list[str]]:
    """Tokens of what a text is about, and of what follows the first "with", "for", comma or bracket.

    >>> parts("Shower Faucet Trim Kit in Chrome (Valve Not Included)")[0]
    ['shower', 'faucet', 'trim', 'kit']
    """
    aside = _ASIDE.search(text, 1)
    if not aside:
        return tokenise(text), []
    return tokenise(text[: aside.start()]), tokenise(text[aside.start() :])


@functools.lru_cache(maxsize=_TERMS_KEPT)
def term(token: str) -> Term:
    """The term of a token, as ``tokenise`` gives it.

    >>> term("3/4in").value == term("0.75in").value, term("18v").kind.name, term("sc141").kind.name
    (True, 'MEASURE', 'MODEL')
    """
    kind, value, unit = Kind.WORD, 0, 0
    if _NUMBER.fullmatch(token):
        kind, value = Kind.NUMBER, code(_value(token))
    elif measure := _MEASURE.fullmatch(token):
        kind, value, unit = Kind.MEASURE, code(_value(measure[1]) + measure[2]), code(measure[2])
    elif _model(token):
        kind, value = Kind.MODEL, code(token)
    bits = sum(1 << bit for bit in {crc32(gram.encode()) % GRAM_BITS for gram in _grams(token)})
    return Term(code(token), kind, value, unit, bits.to_bytes(GRAM_BITS // 8, "little"), bits.bit_count())


@functools.lru_cache(maxsize=_TERMS_KEPT)
def joined(one: str, two: str) -> int:
    """The code of two tokens written as one word, as "dish washer" is found in "dishwasher".

    >>> joined("door", "knob") == code("doorknob")
    True
    """
    return code("".join(tokenise(one + two)[:1]))


def code(token: str) -> int:
    """The 32-bit digest of a token."""
    return min(max(crc32(token.encode("utf-8", "replace")), 1), _CODE_LIMIT)


def noun_place(terms: list[Term], size: int) -> int:
    """Position of the last word among the first ``size`` terms: the noun that says what it is; -1 where none is."""
    words = (place for place in range(size - 1, -1, -1) if terms[place].kind in (Kind.WORD, Kind.MODEL))
    return next(words, size - 1)


def _value(number: str) -> str:
    try:
        whole, _, rest = number.rpartition("-")
        above, _, below = rest.partition("/")
        return f"{float(whole or 0) + float(above) / float(below or 1):.6g}"
    except (ValueError, ZeroDivisionError):
        return number


def _model(token: str) -> bool:
    if token.isdigit():
        return len(token) >= _MODEL_DIGITS
    digits = sum(c.isdigit() for c in token)
    return 0 < digits < len(token) and len(token) >= _MODEL_SIZE


def _grams(token: str) -> list[str]:
    """Pairs and characters of unspaced scripts; elsewhere trigrams of the token with its ends marked."""
    token = token[:_LETTERS]
    if _UNSPACED.search(token):
        return [*token, *(token[i : i + 2] for i in range(len(token) - 1))]
    marked = f"^{token}$"
    return [marked[i : i + 3] for i in range(len(marked) - 2)]
