"""The words' part of the folder: for each token the products that have it, as the server's index counts them.

Scores are BM25 with k1 = 1.2 and b = .75, as tantivy has them: a product's length is kept in a byte there, so that long
ones are rounded down. Shapes: ``P`` products, ``V`` distinct tokens, ``S`` pairs of a token and a product.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shopstill.data.text import HAN
from shopstill.export.browser.plain import narrow, write_arrays, write_json
from shopstill.serve.engine import legs, ranking, spelling
from shopstill.serve.forms import LONGEST, Product
from shopstill.serve.index import endings, words, writer

K1, B = 1.2, 0.75
_POSTINGS, _TOKENS = "catalogue/words.safetensors.gz", "catalogue/words.json"
_EXACT, _CODES = 24, 256
_PARTS = ("start", "rows", "often", "length")


def postings(products: Sequence[Product]) -> dict[str, Field]:
    """Both fields that the server looks words up in: ``words``, stemmed, of all texts; ``forms``, as titles and brands
    write them, for unfinished words and for spelling."""
    return {"words": Field.of(map(writer.said, products)), "forms": Field.of(map(writer.written, products))}


@dataclass(frozen=True, kw_only=True)
class Field:
    """Where each token of a field stands.

    Attributes:
        tokens: [V] the tokens, sorted.
        start: [V + 1] where each one's products begin.
        rows: [S] which products they are.
        often: [S] how often each of these says it.
        length: [P] tokens of each product, as ``kept`` has them.
        average: tokens of a product, on average.
    """

    tokens: list[str]
    start: np.ndarray
    rows: np.ndarray
    often: np.ndarray
    length: np.ndarray
    average: float

    @staticmethod
    def of(texts: Iterable[list[str]]) -> Field:
        """The field of some products' tokens."""
        held: dict[str, list[tuple[int, int]]] = {}
        lengths = []
        for row, tokens in enumerate(texts):
            lengths.append(len(tokens))
            for token, often in Counter(tokens).items():
                held.setdefault(token, []).append((row, often))
        names = sorted(held)
        pairs_S2 = np.array([pair for name in names for pair in held[name]], np.int64).reshape(-1, 2)
        return Field(
            tokens=names,
            start=narrow(np.cumsum([0, *(len(held[name]) for name in names)])),
            rows=narrow(pairs_S2[:, 0]),
            often=narrow(pairs_S2[:, 1]),
            length=narrow(kept(np.array(lengths, np.int64))),
            average=float(np.mean(lengths)),
        )


def write(folder: Path, fields: Mapping[str, Field]) -> None:
    """Write what ``postings`` gave."""
    arrays = {f"{name}.{part}": getattr(field, part) for name, field in fields.items() for part in _PARTS}
    write_arrays(folder / _POSTINGS, arrays)
    stated = {name: {"tokens": field.tokens, "average": field.average} for name, field in fields.items()}
    write_json(folder / _TOKENS, stated)


def kept(length_P: np.ndarray) -> np.ndarray:
    """Lengths as tantivy's index keeps them: the greatest of 256 that is no longer.

    >>> kept(np.array([40, 41, 43, 55, 1000])).tolist()
    [40, 40, 42, 54, 984]
    """
    codes = np.arange(_CODES - _EXACT)
    steps = (codes & 7 | 8) << np.maximum((codes >> 3) - 1, 0)
    table = np.concatenate([np.arange(_EXACT), _EXACT + np.where(codes < 8, codes, steps)])
    found: np.ndarray = table[np.searchsorted(table, length_P, side="right") - 1]
    return found


def settings(fusion: float | None) -> dict[str, Any]:
    """How both legs find, and how what they found is put together, as the server does it.

    Args:
        fusion: the bundle's weight of its cosines beside words.
    """
    return {
        "longest": LONGEST,
        "tokens": words.TOKENS,
        "k1": K1,
        "b": B,
        "few": legs.FEW,
        "endings": {"least": endings.LEAST, "most": endings.MOST, "postings": endings.POSTINGS},
        "ending": words.ENDING,
        "spelling": {"shortest": spelling.SHORTEST, "long": spelling.LONG},
        "found": {"lexical": legs.LEXICAL, "dense": legs.DENSE},
        "weights": legs.WEIGHTS,
        "smooth": legs.SMOOTH,
        "model": ranking.WEIGHT,
        "fusion": fusion,
    }


def chinese(tokens: Iterable[str]) -> bool:
    """Whether any token has a Chinese character, so that queries must be cut as products were."""
    return re.search(f"[{HAN}]", "".join(tokens)) is not None
