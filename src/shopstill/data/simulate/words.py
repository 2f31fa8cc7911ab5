"""Words of the simulated shop: how they are written in titles, what shoppers type, which names look alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SMALL = frozenset({"for", "of", "with", "and", "in", "on", "to", "by", "de", "a", "the"})


def headline(text: str, acronyms: frozenset[str]) -> str:
    """Capital initials as titles have them.

    >>> headline("led bulb for 2 lamps", frozenset({"led"}))
    'LED Bulb for 2 Lamps'
    """
    return " ".join(_headword(word, acronyms) for word in text.split(" "))


def written(fact: Mapping[str, Any], language: str, acronyms: frozenset[str]) -> list[str]:
    """The spellings of a type or value in titles."""
    return [headline(text, acronyms) if language == "en" else text for text in fact[language]]


def asked(fact: Mapping[str, Any], language: str, *, plurals: bool = True) -> list[str]:
    """The spellings of a concept in queries; one that is listed twice is typed twice as often.

    Words that only shoppers use come twice, those of titles once; an English name has one plural for three singulars.
    """
    only = fact.get(f"ask_{language}", [])
    texts = [*only, *only, *fact.get(language, [])]
    if language != "en" or not plurals:
        return texts
    return [form for text in texts for form in ([text] * 3 + [plural(text)])]


def plural(text: str) -> str:
    """The English plural of a name; a name that is a phrase or a plural stays.

    >>> [plural(t) for t in ("couch", "egg pan", "knife", "trainers", "pan for eggs", "dolly")]
    ['couches', 'egg pans', 'knives', 'trainers', 'pan for eggs', 'dollies']
    """
    words = text.split(" ")
    if _SMALL & set(words) or (text.endswith("s") and not text.endswith("ss")):
        return text
    if text.endswith("fe"):
        return text[:-2] + "ves"
    if text.endswith("y") and text[-2] not in "aeiou":
        return text[:-1] + "ies"
    return text + ("es" if text.endswith(("ss", "sh", "ch", "x")) else "s")


def misspell(text: str, bits: int, typos: Mapping[str, str] | None) -> str:
    """One slip of the hand: a confused character where ``typos`` are given, else two letters swapped, or one lost.

    >>> misspell("red couch", 5, None)
    'red cuoch'
    """
    if typos is not None:
        for wrong in (c for c in text if c in typos):
            return text.replace(wrong, typos[wrong], 1)
        return text
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) >= 5 and word.isalpha()]
    if not long:
        return text
    place = long[bits % len(long)]
    word = words[place]
    at = 1 + (bits >> 8) % (len(word) - 3)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    words[place] = swapped if bits & 1 else word[:at] + word[at + 1 :]
    return " ".join(words)


def lookalikes(names: Sequence[Sequence[str]], related: NDArray[np.bool_], language: str) -> NDArray[np.bool_]:
    """[T, T] whether names of two types share a word (in Chinese, a pair of characters) though they are not related."""
    bags = [frozenset(piece for name in spellings for piece in _pieces(name, language)) for spellings in names]
    shared = np.array([[bool(a & b) for b in bags] for a in bags])
    return shared & ~related[: len(bags)] & ~np.eye(len(bags), dtype=bool)


def _pieces(name: str, language: str) -> list[str]:
    if language == "en":
        return [word for word in name.split(" ") if word not in _SMALL]
    return [name[i : i + 2] for i in range(len(name) - 1)]


def _headword(word: str, acronyms: frozenset[str]) -> str:
    if word in acronyms:
        return word.upper()
    return word if word in _SMALL or word[:1].isdigit() else word[:1].upper() + word[1:]
