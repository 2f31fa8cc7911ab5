"""Chains of compression in a recipe: which cannot be run, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shopstill.core.config import build
from shopstill.core.errors import ConfigError
from shopstill.recipe import Recipe
from shopstill.recipe.check import check

Values = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("chains", "told"),
    [
        ({"a": {"of": "fst", "passes": ["tables"]}}, r"compress\.a\.of: unknown model 'fst'; did you mean 'fast'"),
        ({"fast": {"of": "exact", "passes": ["tables"]}}, r"compress\.fast: a student has this name"),
        (
            {"a": {"of": "b", "passes": ["tables"]}, "b": {"of": "a", "passes": ["recover"]}},
            r"compress\.a\.of: goes on from itself by way of 'b'",
        ),
        (
            {"a": {"of": "fast", "passes": ["tables"]}, "b": {"of": "a", "passes": ["vocabulary"]}},
            r"compress\.b\.passes: vocabulary after tables",
        ),
        ({"a": {"of": "fast", "passes": ["tables"], "objective": [{"loss": "hint"}]}}, r"compress\.a\.objective: hint"),
        (
            {"a": {"of": "fast", "passes": ["tables", {"kind": "distil", "model": {"kind": "gru4rec"}}]}},
            r"compress\.a\.passes\.1\.model: relevance trains no 'gru4rec'",
        ),
        (
            {"a": {"of": "fast", "passes": ["tables"], "keep": 0.9, "by": "accuracy"}},
            r"compress\.a\.by: the recipe does not judge by 'accuracy'",
        ),
    ],
)
def test_chains_that_cannot_be_run_are_named(
    chains: dict[str, Any], told: str, tiny_recipe: Values, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        check(build(Recipe, tiny_recipe(tmp_path, compress=chains)))


@pytest.mark.parametrize(
    ("chain", "told"),
    [
        ({"of": "fast", "passes": ["tabels"]}, "pass 'tabels': did you mean 'tables'"),
        ({"of": "fast", "passes": [{"kind": "tables", "bits": 5}]}, "bits"),
        ({"of": "fast", "passes": [{"kind": "tables", "bist": 8}]}, "did you mean 'bits'"),
        ({"of": "fast", "passes": []}, "passes"),
        ({"of": "fast", "passes": ["tables"], "by": "rmse"}, "is an error, of which no part is kept"),
    ],
)
def test_passes_are_read_with_errors_that_teach(
    chain: dict[str, Any], told: str, tiny_recipe: Values, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        build(Recipe, tiny_recipe(tmp_path, compress={"small": chain}))
