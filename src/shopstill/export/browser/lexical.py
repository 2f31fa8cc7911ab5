"""The lexical features' part of the folder: the products' packed rows, the rarity of words, and the rules of reading.

A browser works the features out to the last bit, for queries of plain ASCII; others would need jieba's dictionary, or
Unicode's tables, and their features count as not known there: ``spelled`` says which.
"""

from __future__ import annotations

import logging
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from shopstill.data import terms, units
from shopstill.data.lexical import LexicalIndex
from shopstill.data.lexical_kernel import Fact, Title
from shopstill.data.text import tokenise

_LOG = logging.getLogger(__name__)
_SPELLED = re.compile(r"[ -%'-;=-~]*")
_STEMS = {"emergency": "emergenc", "evenings": "evening", "vying": "vie", "biologist": "biolog"}
"""Words that releases of the stemmer do not agree on, as the browser's stems them."""


def spelled(query: str) -> bool:
    """Whether a browser knows the lexical features of a query.

    >>> spelled("3/4 in. x 10 ft hose"), spelled("水壶"), spelled("salt &amp; pepper")
    (True, False, False)
    """
    return _SPELLED.fullmatch(query) is not None and "-->" not in query


def rules() -> dict[str, Any] | None:
    """What a browser reads queries by; None where the stemmer that is installed is not the browser's."""
    differ = {word: found for word, stem in _STEMS.items() if (found := tokenise(word, "en")) != [stem]}
    if differ:
        _LOG.warning(
            "PyStemmer stems %s: the browser will not know lexical features; install PyStemmer>=3.1 and export again",
            ", ".join(f"{word} as {found[0]}" for word, found in differ.items()),
        )
        return None
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
    expressions = {name: one.pattern.replace("(?P<", "(?<") for name, one in taken.items()}
    return {"units": sorted(units.UNITS), "grams": terms.GRAM_BITS, "expressions": expressions}


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
