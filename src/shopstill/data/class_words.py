"""Take the words of a class's name out of a text, so that what is left must tell the class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from shopstill.data.text import tokenise

_UNSPACED = r"\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
_WORD = re.compile(rf"(?:(?![{_UNSPACED}])[^\W_])+")
_RUN = re.compile(f"[{_UNSPACED}]+")
_TIES = re.compile(r"[\s'’./-]*")
_SAY_NOTHING = frozenset({"and", "or", "of", "the", "for", "with", "in", "on", "to", "by", "a", "an"})
_JOINED = 3


class ClassWords:
    """The words of some classes' names, found in texts whatever their case, ending or joint.

    A word is found in any case and number, and as two or three words that spell it together (``t-shirt`` for
    ``Tshirts``); a name of several words also where they are written as one. Chinese and other text without spaces is
    searched for the name's words as ``tokenise`` cuts them, of two characters or more.

    >>> ClassWords(["Tshirts"]).removed_from("Nike Men's Red T-Shirt, pack of 2 tshirts")
    "Nike Men's Red , pack of 2"
    >>> ClassWords(["平板"]).removed_from("这个平板电脑很好")
    '这个 电脑很好'
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._keys: set[str] = set()
        unspaced: set[str] = set()
        for name in names:
            runs = _RUN.findall(name)
            # Beside Chinese, a single letter or character says nothing alone (T恤), and only the whole name is meant.
            least = 2 if runs else 1
            words = [w for w in _WORD.findall(name) if w.casefold() not in _SAY_NOTHING and len(w) >= least]
            self._keys.update(map(_singular, [*words, "".join(words)]))
            unspaced.update([name] if runs else [])
            unspaced.update(t for run in runs for t in (run, *tokenise(run, stemmed=False)) if len(t) > 1)
        self._keys.discard("")
        # No ending reaches the first two letters: what begins otherwise need not be looked at.
        self._starts = {key[:2] for key in self._keys}
        longest = sorted(unspaced, key=lambda text: (-len(text), text))
        self._unspaced = re.compile("|".join(map(re.escape, longest)), re.IGNORECASE) if longest else None

    def removed_from(self, text: str) -> str:
        """The text without those words, its white space tidied."""
        if self._unspaced:
            text = self._unspaced.sub(" ", text)
        kept: list[str] = []
        at = 0
        for begin, end in self._spans(text):
            kept += [text[at:begin], " "]
            at = end
        left = "".join([*kept, text[at:]])
        return " ".join(left.split())

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        words = list(_WORD.finditer(text)) if self._keys else []
        at = 0
        while at < len(words):
            count = next((n for n in range(_JOINED, 0, -1) if self._names(text, words[at : at + n], n)), 0)
            if count:
                yield words[at].start(), words[at + count - 1].end()
            at += max(count, 1)

    def _names(self, text: str, words: list[re.Match[str]], count: int) -> bool:
        """Whether neighbouring words spell a word of a name together."""
        if len(words) < count:
            return False
        spelt = "".join(word[0] for word in words)
        if spelt[:2].casefold() not in self._starts:
            return False
        gaps = (text[a.end() : b.start()] for a, b in pairwise(words))
        return all(map(_TIES.fullmatch, gaps)) and _singular(spelt) in self._keys


def _singular(word: str) -> str:
    """What a word and its plural share.

    >>> [_singular(word) for word in ("Scarves", "scarf", "Watches", "watch", "dress", "Accessories", "ties")]
    ['scarf', 'scarf', 'watch', 'watch', 'dress', 'accessory', 'tie']
    """
    word = word.casefold()
    if len(word) > 4 and word.endswith(("ies", "ves")):
        return f"{word[:-3]}{'y' if word.endswith('ies') else 'f'}"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("fe"):
        return word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
