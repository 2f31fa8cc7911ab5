"""Killed with SIGKILL and started again, a run ends with the same scores, and nothing torn passes for whole."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from shopstill.core import artifact
from shopstill.evaluate.results import UNITS_FILE

KILLS = 10
_RUN = """
from pathlib import Path
from shopstill import pipeline
from shopstill.recipe import read
pipeline.run(read(Path(recipe), ["runs=" + runs]), until)
"""


@pytest.fixture
def processes() -> ForkServerContext:
    """Processes that begin with the library loaded, so that kills hit the work and not the imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "shopstill.pipeline", "accelerate"])
    return context


@pytest.fixture
def recipe(tmp_path: Path, tiny_recipe: Callable[..., dict[str, Any]]) -> Path:
    values = tiny_recipe(tmp_path)
    for part in (values["teacher"], *values["students"].values()):
        # Checkpoints at every step: the more is written, the more a kill can tear.
        part["training"] = {**part["training"], "checkpoint_minutes": 0}
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def _start(processes: ForkServerContext, recipe: Path, runs: Path, until: str = "report") -> Any:
    given = {"recipe": str(recipe), "runs": str(runs), "until": until}
    process = processes.Process(target=exec, args=(_RUN, given))
    process.start()
    return process


def _check_all(runs: Path) -> set[str]:
    """Every artifact that is there is whole; returns their names."""
    found = [p.parent for p in runs.rglob(artifact.MANIFEST) if not any(part.startswith(".") for part in p.parts)]
    for folder in found:
        artifact.load(folder, verify=True)
    return {folder.name for folder in found}


def _assert_same(torn: Path, whole: Path) -> None:
    assert _check_all(torn) == _check_all(whole)
    units = [pq.read_table(runs / "tiny" / "evaluate" / UNITS_FILE) for runs in (whole, torn)]
    assert units[0].num_rows > 0
    assert units[0].equals(units[1]), "other scores"
    for weights in sorted(whole.rglob("model.safetensors")):
        again = torn / weights.relative_to(whole)
        assert again.read_bytes() == weights.read_bytes(), f"{weights} differs"
    left = [p for p in torn.rglob(".*") if p.suffix in (".draft", ".old", ".part")]
    assert not left, "what a killed run left was not swept"


def test_killed_at_ten_random_moments_it_ends_with_the_same_scores(
    processes: ForkServerContext, recipe: Path, tmp_path: Path
) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    _start(processes, recipe, tmp_path / "warm", until="prepare").join()  # this one waits for the server of processes
    began = time.monotonic()
    run = _start(processes, recipe, whole)
    run.join()
    assert run.exitcode == 0
    seconds = time.monotonic() - began
    chance, standing, kills = random.Random(11), [], 0
    while kills < KILLS or run.exitcode != 0:
        run = _start(processes, recipe, torn)
        run.join(chance.uniform(0.02, 0.6) * seconds if kills < KILLS else None)
        if run.exitcode is None:
            run.kill()
            run.join()
            kills += 1
            standing.append(len(_check_all(torn)))
            continue
        assert run.exitcode == 0
        _assert_same(torn, whole)
        if kills < KILLS:
            # It was done before its time: begin again, for the kills that are left.
            shutil.rmtree(torn)
    assert len(set(standing)) >= 2, f"the kills all hit one stage: {standing}"
