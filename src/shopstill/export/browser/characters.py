"""What a tokenizer makes of every single character, asked of the tokenizer itself.

A browser knows another version of Unicode than the tokenizer does, and its own idea of accents and punctuation. With
these tables its tokens are the tokenizer's own, whatever the browser.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from shopstill.core.errors import DataError

_TAKEN = {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer", "model": "WordPiece"}
_PLAIN = ("single_word", "lstrip", "rstrip", "normalized")
_CHARACTERS = 0x110000
_SURROGATES = range(0xD800, 0xE000)
_HANGUL = range(0xAC00, 0xD7A4)

Ranges = list[int]
"""First and last of each run of numbers, one after the other."""


def characters(path: Path) -> dict[str, Any]:
    """Tables of a ``tokenizer.json``.

    Returns:
        ``removed`` and ``spaced``: ranges of characters that go, or that a space is put around; ``hangul``: whether
        syllables fall apart into letters; ``mapped``: what else becomes something other than itself; ``alone``: ranges
        of what, so normalised, is a word of its own; ``between``: ranges of what parts words.

    Raises:
        DataError: the tokenizer is of a kind that the browser does not read.
    """
    text = Path(path).read_text(encoding="utf-8")
    _hold(Path(path), json.loads(text))
    parts = json.loads(text)
    rules = {name: parts[name] for name in ("normalizer", "pre_tokenizer")}
    return _tables(json.dumps(rules, sort_keys=True))


@functools.lru_cache(maxsize=4)
def _tables(rules: str) -> dict[str, Any]:
    asked = Tokenizer.from_str(json.dumps({**_EMPTY, **json.loads(rules)}))
    assert asked.normalizer is not None
    normalise = asked.normalizer.normalize_str
    removed, spaced, mapped, kept = [], [], {}, set()
    hangul = normalise("각") != "각"
    for number in _numbers():
        character = chr(number)
        found = normalise(character)
        if found == character:
            kept.add(number)
        elif not found:
            removed.append(number)
        elif found == f" {character} ":
            spaced.append(number)
        elif not (number in _HANGUL and found == unicodedata.normalize("NFD", character)):
            mapped[character] = found
    kept |= {ord(part) for found in mapped.values() for part in found}
    alone, between = _parted(asked, sorted(kept))
    return {
        "removed": _ranges(removed),
        "spaced": _ranges(spaced),
        "hangul": hangul,
        "mapped": mapped,
        "alone": _ranges(alone),
        "between": _ranges(between),
    }


_EMPTY: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "post_processor": None,
    "decoder": None,
    "model": {"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "a", "continuing_subword_prefix": "##"}
    | {"max_input_chars_per_word": 100},
}


def _parted(asked: Any, numbers: Iterable[int]) -> tuple[list[int], list[int]]:
    """Characters that are words of their own, and those that part words."""
    alone, between = [], []
    for number in numbers:
        words = len(asked.pre_tokenizer.pre_tokenize_str(f"a{chr(number)}a"))
        if words == 3:
            alone.append(number)
        elif words == 2:
            between.append(number)
    return alone, between


def _numbers() -> Iterator[int]:
    return (number for number in range(_CHARACTERS) if number not in _SURROGATES)


def _ranges(numbers: list[int]) -> Ranges:
    """
    >>> _ranges([1, 2, 3, 7])
    [1, 3, 7, 7]
    """
    found: Ranges = []
    for number in numbers:
        if found and number == found[-1] + 1:
            found[-1] = number
        else:
            found += [number, number]
    return found


def _hold(path: Path, stated: dict[str, Any]) -> None:
    for part, kind in _TAKEN.items():
        found = (stated.get(part) or {}).get("type")
        if found != kind:
            raise DataError(
                f"{path}: its {part} is a {found}, and the browser reads a {kind}; "
                f"export a student that starts from a BERT-like model"
            )
    for token in stated.get("added_tokens", ()):
        if any(token.get(flag) for flag in _PLAIN):
            raise DataError(
                f"{path}: the added token {token['content']!r} sets one of {', '.join(_PLAIN)}, which the browser does "
                f"not read; export a student with another tokenizer"
            )
