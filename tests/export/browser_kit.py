"""What the tests of the browser's student share: the server that it is held to, and the student under node."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from shopstill.export.browser import REORDERED, spelled
from shopstill.export.browser.student import CODEC, Student
from shopstill.serve.bundle.load import load_bundle
from shopstill.serve.bundle.towers import TowersAhead
from shopstill.serve.engine import search
from shopstill.serve.engine.engine import Engine, create
from shopstill.serve.engine.legs import reciprocal
from shopstill.serve.engine.ranking import WEIGHT
from shopstill.serve.forms import Answer, Place, Product, Search
from shopstill.serve.index.order import by_category

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs node to run the browser's modules")
CLOSE = 3e-5
"""What two products with all but equal cosines change by, where they change places in the leg of vectors."""
LISTED = 100
"""Products that a server is asked for."""
_EQUAL = 1e-5
"""The model's scores that are so close may come in either order: machines add numbers up in orders of their own."""


class Ranked(NamedTuple):
    """Rows, best first, and their scores.

    By its slack a score may be another, where the product changes places with those that the model holds for equal.
    """

    rows: list[int]
    scores: list[float]
    slacks: Sequence[float] = ()


class Server:
    """A server over some products, which has all the time that it wants; where there is a cross-encoder, it orders as
    many as a browser does."""

    def __init__(self, bundle: Path, products: Sequence[Product], index: Path) -> None:
        create(index, bundle, iter(products), len(products))
        self.engine = Engine.open(index, bundle)
        order = by_category([product.category for product in products])
        self._row = {products[at].id: row for row, at in enumerate(order)}
        self._few = "pair" in load_bundle(bundle).manifest.limits

    def answer(self, query: str, *, prefix: bool = False) -> tuple[Ranked, str | None]:
        """The best products, and the spelling that was searched for."""
        found = self.search(Search(query=query, prefix=prefix, limit=LISTED, budget_ms=10_000))
        return self.ranked(found), found.spelling

    def search(self, asked: Search) -> Answer:
        """The whole answer to a search."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(search, "RERANKED", REORDERED if self._few else search.RERANKED)
            return self.engine.search(asked)

    def ranked(self, found: Answer) -> Ranked:
        """The products of an answer by their rows."""
        rows, scores = [self._row[hit.product.id] for hit in found.hits], [hit.score for hit in found.hits]
        return Ranked(rows, scores, _slacks([hit.found_by.get("model") for hit in found.hits]))


def _slacks(found: Sequence[Place | None]) -> list[float]:
    """The most that each product gains or loses where it changes places with those of all but equal scores."""
    score_N = np.sort([one.score for one in found if one])
    worth_N = WEIGHT * reciprocal(len(score_N))[::-1]

    def slack(score: float) -> float:
        near = slice(*np.searchsorted(score_N, [score - _EQUAL, score + _EQUAL]))
        return float(np.ptp(worth_N[near]))

    return [slack(one.score) if one else 0.0 for one in found]


@contextmanager
def server(bundle: Path, products: Sequence[Product], folder: Path) -> Iterator[Server]:
    """A server until the block ends."""
    opened = Server(bundle, products, folder / "index")
    try:
        yield opened
    finally:
        opened.engine.close()


class Model:
    """A bundle's scores where product vectors that no table gives are kept as a browser keeps them."""

    def __init__(self, bundle: Path, texts: Sequence[str]) -> None:
        student = Student(bundle)
        table = "product.importance" in student.arrays or "query.importance" in student.arrays
        self.towers = TowersAhead.of(student.towers, texts, None if table else CODEC)
        self._features = len(student.manifest.features)
        parts = load_bundle(bundle).ahead(texts).parts if "pair" in student.manifest.limits else []
        self._cross = parts[0] if parts else None

    def scores(self, query: str, rows: np.ndarray, *, chinese: bool) -> np.ndarray:
        """Scores of some products; where a browser does not know lexical features, they are not given here."""
        unknown = np.full((len(rows), self._features), np.nan, np.float32)
        found = self.towers.score(query, rows, None if spelled(query, chinese) else unknown)
        return found if self._cross is None else found + self._cross.score(query, rows)


def agree(found: Ranked, expected: Ranked, most: int = 10) -> None:
    """Hold an answer to the expected one; products whose scores are all but equal may change places."""
    rows, scores = found.rows[:most], found.scores[:most]
    assert len(rows) == len({*rows}) == len(expected.rows[:most])
    assert scores == sorted(scores, reverse=True)
    close = [CLOSE + slack for slack in expected.slacks]
    known = {row: near for row, *near in zip(expected.rows, expected.scores, close, strict=True)}
    # What an answer of full length does not list any more is no better than what it lists last.
    unlisted = (expected.scores[-1], max(close)) if len(expected.rows) == LISTED else (math.inf, 0.0)
    for row, score in zip(rows, scores, strict=True):
        worth, near = known.get(row, unlisted)
        assert abs(worth - score) < near, f"row {row} is not where it belongs: {found}, {expected}"
    for row in known.keys() - {*rows}:
        worth, near = known[row]
        assert worth - near < scores[-1], f"row {row} is missing: {found}, {expected}"


def in_node(folder: Path, **given: Any) -> dict[str, Any]:
    """What an exported student makes of texts, queries and words under node."""
    assert NODE is not None
    script = Path(__file__).with_name("in_node.mjs")
    asked = json.dumps({"folder": str(folder), **given})
    done = subprocess.run([NODE, script], input=asked, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def ranked(hits: Sequence[dict[str, Any]]) -> Ranked:
    """What node gives, as Python has it."""
    return Ranked([hit["row"] for hit in hits], [hit["score"] for hit in hits])
