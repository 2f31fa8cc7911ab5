"""What the tests of the browser's student share: the server that it is held to, and the student under node."""

from __future__ import annotations

import json
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
from shopstill.serve.forms import Answer, Product, Search
from shopstill.serve.index.order import by_category

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs node to run the browser's modules")
CLOSE = 3e-5
"""What two products with all but equal cosines change by, where they change places in the leg of vectors."""
_EQUAL = 1e-5
"""The model's scores that are so close may come in either order: machines add numbers up in orders of their own."""


class Ranked(NamedTuple):
    """Rows, best first, and their scores.

    By ``slack`` one of these scores may be another where products that the model holds for equal change places.
    """

    rows: list[int]
    scores: list[float]
    slack: float = 0.0


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
        found = self.search(Search(query=query, prefix=prefix, limit=100, budget_ms=10_000))
        return self.ranked(found), found.spelling

    def search(self, asked: Search) -> Answer:
        """The whole answer to a search."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(search, "RERANKED", REORDERED if self._few else search.RERANKED)
            return self.engine.search(asked)

    def ranked(self, found: Answer) -> Ranked:
        """The products of an answer by their rows."""
        rows, scores = [self._row[hit.product.id] for hit in found.hits], [hit.score for hit in found.hits]
        model = [hit.found_by["model"].score for hit in found.hits if "model" in hit.found_by]
        return Ranked(rows, scores, _slack(model))


def _slack(scores: Sequence[float]) -> float:
    """The most that a product gains or loses where those with all but equal scores change places."""
    if not scores:
        return 0.0
    score_N = np.sort(np.array(scores))[::-1]
    near_NN = np.abs(score_N - score_N[:, None]) < _EQUAL
    first_N, last_N = np.argmax(near_NN, axis=1), len(score_N) - 1 - np.argmax(near_NN[:, ::-1], axis=1)
    worth_N = WEIGHT * reciprocal(len(score_N))
    return float((worth_N[first_N] - worth_N[last_N]).max(initial=0))


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
    close = CLOSE + expected.slack
    np.testing.assert_allclose(found.scores[:most], expected.scores[:most], atol=close)
    scores = dict(zip(expected.rows, expected.scores, strict=True))
    for row, score in zip(found.rows[:most], found.scores[:most], strict=True):
        # What is not listed there any more may be no better than what is listed last.
        known = scores.get(row, expected.scores[-1])
        assert abs(known - score) < close, f"row {row} is not where it belongs: {found}, {expected}"


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
