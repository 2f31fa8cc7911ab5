"""What the tests of the browser's student share: the same answer in Python, and the student under node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from shopstill.export.browser import DEPTH, REORDERED, spelled
from shopstill.export.browser.student import Student
from shopstill.serve.bundle.load import load_bundle

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs node to run the browser's modules")
CLOSE = 1e-4


class Ranked(NamedTuple):
    """Rows, best first, and their scores."""

    rows: list[int]
    scores: list[float]


class Reference:
    """A bundle and products in Python, at the browser's setting."""

    def __init__(self, bundle: Path, texts: Sequence[str]) -> None:
        self.student = Student(bundle)
        self.towers = self.student.ahead(texts)
        parts = load_bundle(bundle).ahead(texts).parts if "pair" in self.student.manifest.limits else []
        self.cross = parts[0] if parts else None

    def best(self, query: str) -> Ranked:
        """The best products for a query."""
        towers = self.student.towers
        asked = towers.query.one(towers.tokenizer.single(query, towers.limits["query"]))
        pooled = self.towers.products.pooled_PD
        assert not isinstance(pooled, np.ndarray)
        rows = pooled.top(asked.pooled, DEPTH).rows
        unknown = np.full((len(rows), len(self.student.manifest.features)), np.nan, np.float32)
        rows, scores = _ordered(rows, self.towers.score(query, rows, None if spelled(query) else unknown))
        if self.cross is not None:
            again = scores[:REORDERED] + self.cross.score(query, rows[:REORDERED])
            first, summed = _ordered(rows[:REORDERED], again)
            rows, scores = np.append(first, rows[REORDERED:]), np.append(summed, scores[REORDERED:])
        return Ranked(rows.tolist(), scores.tolist())


def agree(found: Ranked, expected: Ranked, most: int = 10) -> None:
    """Hold an answer to the expected one; products whose scores are equal to within ``CLOSE`` may change places."""
    np.testing.assert_allclose(found.scores[:most], expected.scores[:most], atol=CLOSE)
    scores = dict(zip(expected.rows, expected.scores, strict=True))
    for row, score in zip(found.rows[:most], found.scores[:most], strict=True):
        assert abs(scores.get(row, np.inf) - score) < CLOSE, f"row {row} is not where it belongs: {found}, {expected}"


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


def _ordered(rows: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-scores, kind="stable")
    return rows[order], scores[order]
