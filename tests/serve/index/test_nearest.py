"""The nearest vectors, by the graph and by comparing all, where some products are gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopstill.serve.index.nearest import Nearest, build


@pytest.mark.parametrize("exact", [2_000 * 16 - 1, 2_000 * 16])
def test_what_is_gone_is_not_found_and_makes_room(tmp_path: Path, exact: int) -> None:
    draw = np.random.default_rng(2)
    vectors = draw.normal(size=(2_000, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    build(vectors, tmp_path, exact)
    near, alive = Nearest.open(vectors, tmp_path), np.ones(2_000, bool)
    assert near.exact == (exact == 2_000 * 16), "what counts is how many numbers there are"
    before, _ = near.top(vectors[7], 20, alive)
    alive[before[::2]] = False
    after, scores = near.top(vectors[7], 20, alive)
    truth = np.argsort(-np.where(alive, vectors @ vectors[7], -2), kind="stable")[:20]
    assert before[0] == 7
    assert len({*after.tolist()} & {*truth.tolist()}) >= 18
    assert alive[after].all()
    assert (np.diff(scores) <= 0).all()
