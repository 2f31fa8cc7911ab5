"""Cross-validation: every query is tested once, by models that did not learn from it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from shopstill import cli, pipeline
from shopstill.core.config import build
from shopstill.core.errors import ConfigError
from shopstill.evaluate.results import load as load_evaluation
from shopstill.recipe import Recipe

Values = Callable[..., dict[str, Any]]


def _recipe(tiny_recipe: Values, runs: Path) -> dict[str, Any]:
    values = tiny_recipe(runs)
    quick = {"epochs": 1, "batch_rows": 32, "learning_rate": 1e-3}
    fast = {**values["students"]["fast"], "training": quick}
    return {**values, "teacher": {**values["teacher"], "training": quick}, "students": {"fast": fast}}


def test_every_query_is_tested_once(tiny_recipe: Values, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recipe = build(Recipe, _recipe(tiny_recipe, tmp_path))
    made = pipeline.cross_validate(recipe, 3)
    assert [a.kind for a in made] == ["prepare", "teach", "label", "student", "twin", "evaluate", "report"]
    judged = pq.read_table(made[0].path / "shop" / "judgments.parquet").column("query_id").to_pylist()
    whole = load_evaluation(made[-2].path)
    assert set(whole.per_unit.column("unit_id").to_pylist()) == set(judged)
    assert whole.units == len(set(judged))
    folds = [load_evaluation(tmp_path / f"tiny-fold-{n}-of-3" / "evaluate") for n in (1, 2, 3)]
    assert sum(fold.units for fold in folds) == whole.units
    assert "<html" in (made[-1].path / "report.html").read_text(encoding="utf-8")
    assert (made[-2].path / "costs.json").exists()
    assert not (tmp_path / "tiny-fold-2-of-3" / "evaluate" / "costs.json").exists()
    caplog.clear()
    with caplog.at_level(logging.INFO):
        pipeline.cross_validate(recipe, 3)
    assert not [m for m in caplog.messages if m.endswith("making it")]


def test_too_few_folds_are_refused(tiny_recipe: Values, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folds: 1 is too few"):
        pipeline.cross_validate(build(Recipe, _recipe(tiny_recipe, tmp_path)), 1)


def test_folds_are_asked_for_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.parser().parse_args(["run", "r.yaml", "--folds", "5"]).folds == 5
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["label", "r.yaml", "--folds", "5"])
