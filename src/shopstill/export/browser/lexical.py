"""The lexical features' part of the folder: the products' packed rows, the rarity of words, and the rules of reading.

A browser cuts queries as the server does, and works the features out to the last bit, for queries that ``spelled``
says yes to; others would need all of Unicode's tables, and their features count as not known there.
"""

from __future__ import annotations

import logging
import re
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

from shopstill.data import terms, units
from shopstill.data.lexical import LexicalIndex
from shopstill.data.lexical_kernel import Fact, Title
from shopstill.data.text import tokenise

_LOG = logging.getLogger(__name__)
_ASCII = " -%'-;=-~"
# Chinese characters and their punctuation, full-width forms, and signs that titles are full of.
_CHINESE = r"\u3000-\u3002\u3005\u3007-\u3011\u3400-\u4dbf\u4e00-\u9fff\uff01-\uff05\uff07-\uff1b\uff1d-\uff5e"
_SIGNS = r"\xb7\xd7\u2013\u2014\u2018\u2019\u201c\u201d\u2026"
_SPELLED = {"plain": f"[{_ASCII}]*", "chinese": f"[{_ASCII}{_CHINESE}{_SIGNS}]*"}
_STEMS = {"emergency": "emergenc", "evenings": "evening", "vying": "vie", "biologist": "biolog"}
"""Words that releases of the stemmer do not agree on, as the browser's stems them."""

_LETTER = r"\p{L}\p{N}"
_UNICODE = {r"[^\W_]": f"[{_LETTER}]", r"[^\W\dx]": r"(?!x)[\p{L}_]", r"\w": f"{_LETTER}_", r"\b": f"(?![{_LETTER}_])"}
"""What Python's expressions mean of any script, as JavaScript says it; ``\\b`` stands behind words alone in them."""


def spelled(query: str, chinese: bool = False) -> bool:
    """Whether a browser knows the lexical features of a query.

    Args:
        query: as it was typed.
        chinese: whether the folder has what cuts Chinese, since its products have some.

    >>> spelled("3/4 in. x 10 ft hose"), spelled("水壶"), spelled("水壶 1.5升", chinese=True), spelled("salt &amp;")
    (True, False, True, False)
    """
    known = re.fullmatch(_SPELLED["chinese" if chinese else "plain"], query)
    return known is not None and "-->" not in unicodedata.normalize("NFKC", query)


def stems_agree() -> bool:
    """Whether the stemmer that is installed is the browser's; it is said where it is not."""
    differ = {word: found for word, stem in _STEMS.items() if (found := tokenise(word, "en")) != [stem]}
    if differ:
        _LOG.warning(
            "PyStemmer stems %s: the browser will not know lexical features; install PyStemmer>=3.1 and export again",
            ", ".join(f"{word} as {found[0]}" for word, found in differ.items()),
        )
    return not differ


def rules() -> dict[str, Any]:
    """What a browser reads queries by."""
    pattern, between = units._patterns()
    taken = {
        "thousands": units._THOUSANDS,
        "decimal": units._BARE_DECIMAL,
        "fraction": units._MIXED_FRACTION,
        "units": pattern,
        "between": between,
        "times": units._TIMES,
        "aside": terms._ASIDE,
    }
    expressions = {name: _javascript(one.pattern) for name, one in taken.items()}
    return {
        "units": sorted(units.UNITS),
        "grams": terms.GRAM_BITS,
        "expressions": expressions,
        "spelled": _SPELLED,
    }


def _javascript(pattern: str) -> str:
    r"""An expression of Python's as JavaScript reads it with the flag ``u``.

    >>> _javascript(r"(?P<ft>ft)(?![^\W_])")
    '(?<ft>ft)(?![\\p{L}\\p{N}])'
    """
    for mine, theirs in {"(?P<": "(?<", '\\"': '"', **_UNICODE}.items():
        pattern = pattern.replace(mine, theirs)
    return pattern


def arrays(index: LexicalIndex) -> dict[str, np.ndarray]:
    """The packed rows of products without their padding, and the rarity of words."""
    held = _saved(index)
    rows = held["rows"]
    floats = rows[:, Title.facts].view(np.float32)
    kept = [*range(Fact.shown.start, Fact.shown.stop), Fact.size, Fact.noun, Fact.norm]
    found = {
        "grams": rows[:, Title.grams],
        "facts": floats[:, kept],
        "noun": rows[:, Title.facts][:, Fact.near.stop - 1],
        "codes": held["codes"],
        "idf": held["idf"],
    }
    for name, part in (("token", Title.tokens), ("figure", Title.figures)):
        codes = rows[:, part]
        found |= {f"{name}s": codes[codes != 0], f"{name}_length": (codes != 0).sum(1).astype(np.uint8)}
    return {f"lexical.{name}": np.ascontiguousarray(value) for name, value in found.items()}


def _saved(index: LexicalIndex) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder))
        return dict(load_file(next(Path(folder).glob("*.safetensors"))))
