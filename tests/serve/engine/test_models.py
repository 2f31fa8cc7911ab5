"""Models that come, take over and go back while they answer, and over restarts."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
from tests.serve.conftest import Bundles
from tests.serve.engine.test_engine import CROSS, JOINT, MUGS, TOWERS

from shopstill.core.errors import ArtifactError, DataError
from shopstill.serve.engine.engine import Engine
from shopstill.serve.engine.errors import UnknownModel
from shopstill.serve.engine.shadow import Shadowing
from shopstill.serve.forms import Search


def test_models_come_take_over_and_go_back(engine: Engine, bundles: Bundles) -> None:
    engine.put(MUGS)
    first = engine.models()[0].name
    engine.load("cross", bundles(CROSS))
    engine.load("joint", bundles(JOINT))
    with pytest.raises(DataError, match="loaded already"):
        engine.load("cross", bundles(CROSS))
    assert engine.search(Search(query="mug")).model == first
    assert engine.activate("joint").previous is False
    assert engine.search(Search(query="mug")).model == "joint"
    assert engine.search(Search(query="mug", model="cross")).reranked > 0
    assert engine.roll_back().name == first
    with pytest.raises(DataError, match="the active one"):
        engine.unload(first)
    engine.unload("cross")
    with pytest.raises(UnknownModel, match="cross"):
        engine.search(Search(query="mug", model="cross"))
    found = engine.compare("red mug", first, "joint")
    assert [side.model for side in found.sides] == [first, "joint"]
    assert found.tau is not None


def test_the_models_of_the_last_start_come_back_each_time(index: Path, bundles: Bundles) -> None:
    opened = Engine.open(index, bundles(TOWERS))
    first = opened.models()[0].name
    opened.load("joint", bundles(JOINT))
    opened.activate("joint")
    opened.close()
    for _ in range(3):
        again = Engine.open(index, bundles(TOWERS))
        assert again.facts()["active"] == "joint"
        again.close()
    again = Engine.open(index, bundles(TOWERS))
    assert again.roll_back().name == first
    again.close()


def test_a_start_that_fails_forgets_no_model(index: Path, bundles: Bundles, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    shutil.copytree(bundles(JOINT), torn)
    opened = Engine.open(index, bundles(TOWERS))
    opened.load("new", torn)
    opened.activate("new")
    opened.close()
    weights = torn / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    with pytest.raises(ArtifactError, match="weights"):
        Engine.open(index, bundles(TOWERS))
    weights.write_bytes(whole)
    again = Engine.open(index, bundles(TOWERS))
    assert again.facts()["active"] == "new"
    again.close()


def test_a_name_that_is_given_again_answers_with_the_new_model(engine: Engine, bundles: Bundles) -> None:
    engine.put(MUGS)
    asked = Search(query="bright red mug", model="green", budget_ms=10_000)
    found = []
    for kind in (CROSS, JOINT):
        engine.load("green", bundles(kind))
        found.append([hit.found_by["model"].score for hit in engine.search(asked).hits])
        engine.unload("green")
    assert found[0] != found[1]


def test_a_swap_under_load_fails_no_search(engine: Engine, bundles: Bundles) -> None:
    engine.put(MUGS)
    first, stop, faults, answered = engine.models()[0].name, threading.Event(), [], []

    def shop() -> None:
        while not stop.is_set():
            try:
                answered.append(engine.search(Search(query="red mug")).model)
            except Exception as fault:  # noqa: BLE001 - any fault is what is looked for
                faults.append(fault)

    threads = [threading.Thread(target=shop) for _ in range(3)]
    for thread in threads:
        thread.start()
    engine.load("joint", bundles(JOINT))
    for _ in range(5):
        engine.activate("joint")
        engine.put(MUGS[:3])
        engine.roll_back()
    engine.activate("joint")
    engine.rebuild()
    engine.delete(["mug1"])
    stop.set()
    for thread in threads:
        thread.join()
    assert not faults
    assert {first, "joint"} == set(answered)
    assert engine.facts()["generation"] == "generation-000002"


def test_a_tampered_bundle_is_refused_and_changes_nothing(engine: Engine, bundles: Bundles, tmp_path: Path) -> None:
    shutil.copytree(bundles(JOINT), tmp_path / "joint")
    card = tmp_path / "joint" / "README.md"
    card.write_text(card.read_text() + "!")
    with pytest.raises(ArtifactError, match="README"):
        engine.load("joint", tmp_path / "joint")
    assert [state.name for state in engine.models()] == ["static towers"]


def test_a_shadow_counts_where_it_would_have_ordered_otherwise(index: Path, bundles: Bundles) -> None:
    opened = Engine.open(index, bundles(TOWERS), shadow=Shadowing(bundle=bundles(CROSS), share=1.0, alarm=0.9))
    opened.put(MUGS)
    for at in range(40):
        opened.search(Search(query=f"red mug {at}"))
    opened.close()
    state = opened.disagreement()
    assert state["sampled"] == 40
    assert state["dropped"] == state["failed"] == 0
    assert state["slices"]["all"]["n"] == 40
    assert state["slices"]["language en"]["n"] == 40
    assert state["alarm"] == (state["slices"]["all"]["top10"] < 0.9)
    assert json.loads(json.dumps(state)) == state
