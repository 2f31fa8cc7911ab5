"""The page that adds a task: its file is written, made known as another distribution would, and run to the report."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from shopstill import pipeline
from shopstill.core.errors import ConfigError
from shopstill.core.registry import Registry
from shopstill.evaluate.results import load
from shopstill.recipe import read
from shopstill.tasks import TASKS

from .test_documents import ROOT, blocks

PAGE = ROOT / "docs" / "add-a-task.md"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's blocks as a distribution on the path, and its recipe."""
    written: dict[str, list[str]] = {}
    for block in blocks(PAGE):
        written.setdefault(block.language, []).append(block.text)
    (tmp_path / "goes_with.py").write_text("\n\n".join(written["python"]), encoding="utf-8")
    facts = tmp_path / "goes_with-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: goes-with\nVersion: 1\n", encoding="utf-8")
    points = written["toml"][0].replace('[project.entry-points."shopstill.tasks"]', "[shopstill.tasks]")
    (facts / "entry_points.txt").write_text(points.replace('"', ""), encoding="utf-8")
    recipe = tmp_path / "goes-with.yaml"
    recipe.write_text(written["yaml"][0], encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield recipe
    sys.modules.pop("goes_with", None)


@pytest.mark.slow
def test_the_page_is_all_that_a_task_needs(installed: Path, tmp_path: Path) -> None:
    assert "goes_with" in TASKS.names()
    recipe = read(installed, [f"runs={tmp_path / 'runs'}"])
    made = pipeline.run(recipe)
    found = load(next(artifact.path for artifact in made if artifact.kind == "evaluate"))
    assert set(found.roles) == {"teacher", "popularity", "small", "small (direct)", "random"}
    value = {name: found.score(name, "ndcg@10").estimate.value for name in found.roles}  # type: ignore[union-attr]
    assert value["teacher"] > value["random"]
    assert "products with" in (made[-1].path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="trained and judged alone"):
        pipeline.export(recipe, "small", tmp_path / "bundle")


def test_an_entry_of_another_distribution_does_not_replace_one_of_the_library(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = installed.parent / "goes_with-1.dist-info" / "entry_points.txt"
    facts.write_text("[shopstill.losses]\nsoft = goes_with:GoesWith\nhard = goes_with:GoesWith\n", encoding="utf-8")
    losses = Registry("shopstill.losses", "loss")
    assert losses.get("soft").__module__ == "shopstill.losses.soft"
    assert losses.get("hard").__name__ == "GoesWith"
    with pytest.raises(ConfigError, match="unknown loss 'hrad': did you mean 'hard'"):
        losses.get("hrad")
