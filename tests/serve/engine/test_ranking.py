"""How much of what was found the model puts in order, by how fast it was of late."""

from __future__ import annotations

import pytest

from shopstill.serve.engine.engine import Engine
from shopstill.serve.engine.ranking import Pace
from shopstill.serve.forms import Product, Search


def test_a_moment_of_slowness_does_not_last(engine: Engine) -> None:
    stuck = Pace(per_candidate=500.0)
    searches = 0
    while not stuck.fits(50):
        stuck.fade()
        searches += 1
    assert 10 < searches < 100, "what is too slow for good is tried now and then, not always"
    for pace in engine._models.paces.values():
        pace.per_candidate = 60.0
    answers = [engine.search(Search(query=f"bright red mug {number}")) for number in range(40)]
    assert not answers[0].complete
    assert answers[0].reranked == 0
    assert answers[-1].complete


def test_the_budget_cuts_the_ranking_short_and_says_so(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.put([Product(id=f"mug{n}", title=f"Zed bright red mug {n} ml") for n in range(1, 41)])
    monkeypatch.setattr(Pace, "fits", lambda self, ms: 7 if not self.per_candidate else 0)
    answer = engine.search(Search(query="mug", limit=30))
    assert not answer.complete
    assert answer.reranked == 7
    assert len(answer.hits) == 30
