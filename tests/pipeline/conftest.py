"""A run that is done, and what a further one makes of it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shopstill import pipeline
from shopstill.core.artifact import Artifact
from shopstill.core.config import build
from shopstill.recipe import Recipe


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Callable[..., dict[str, Any]]
) -> tuple[Path, list[Artifact]]:
    """The folder of a run that is done, and its artifacts."""
    runs = tmp_path_factory.mktemp("finished")
    return runs, pipeline.run(build(Recipe, tiny_recipe(runs)))


@pytest.fixture
def runs(finished: tuple[Path, list[Artifact]], tmp_path: Path) -> Path:
    """A copy of it, to go on from."""
    return Path(shutil.copytree(finished[0], tmp_path / "runs"))


@pytest.fixture
def made_anew(caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """Runs a recipe; names of the stages that were made."""

    def run(values: dict[str, Any], until: str = "report") -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            pipeline.run(build(Recipe, values), until)
        return [m.removesuffix(": making it") for m in caplog.messages if m.endswith(": making it")]

    return run
