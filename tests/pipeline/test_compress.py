"""Chains of passes on a whole run: every step is judged by its bundle, guards hold, names find what they name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopstill import pipeline
from shopstill.core.config import build
from shopstill.core.errors import ConfigError, QualityLoss
from shopstill.data.pairs import PairTexts
from shopstill.models import build as models
from shopstill.pipeline.bundles import BUNDLE, kept, scores_of
from shopstill.pipeline.compressed import Compressed, named
from shopstill.recipe import Recipe
from shopstill.serve.bundle.load import load_bundle

_CHAINS: dict[str, Any] = {
    "lean": {"of": "fast", "passes": ["vocabulary", {"kind": "weights", "sparsity": 0.2}]},
    "leaner": {"of": "lean", "passes": [{"kind": "clusters", "bits": 4}]},
    "shallow": {"of": "teacher", "passes": [{"kind": "layers", "keep": [0, 2]}, "recover"]},
}


@pytest.fixture(scope="module")
def values(
    tmp_path_factory: pytest.TempPathFactory, finished: tuple[Path, Any], tiny_recipe: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """A recipe with chains, in the folder of a run that is done."""
    import shutil

    runs = Path(shutil.copytree(finished[0], tmp_path_factory.mktemp("compress") / "runs"))
    return tiny_recipe(runs, compress=_CHAINS)


@pytest.fixture(scope="module")
def done(values: dict[str, Any]) -> Compressed:
    return pipeline.compress(build(Recipe, values))


def test_every_step_is_judged_as_it_is_served(done: Compressed) -> None:
    names = [made.name for made in done.models]
    assert names[:3] == ["teacher", "fast", "exact"]
    assert set(names[3:]) == {
        "lean/1-vocabulary",
        "lean/2-weights",
        "leaner/1-clusters",
        "shallow/1-layers",
        "shallow/2-recover",
    }
    evaluation, latency, sizes = done.found
    assert latency is not None
    for name in names:
        assert evaluation.score(name, "ndcg@10") is not None
        assert latency.cell(name, 1, 1) is not None
        assert sizes[name].bytes > 0
    assert sizes["lean/1-vocabulary"].bytes < sizes["fast"].bytes
    page = (done.report.path / "report.html").read_text(encoding="utf-8")
    assert page.count('class="edge"') == 5
    assert done.report.path.name == "compressed-report"


def test_what_is_served_scores_as_the_model_that_was_judged(done: Compressed) -> None:
    course = done.ground.flow.course
    for made in done.models:
        judged = course.outputs("test", models.load(made.model))
        assert np.abs(judged - scores_of(made)["test"]).max() < 1e-4, made.name


def test_a_chain_goes_on_from_another_and_its_bundle_tells_the_whole_way(done: Compressed) -> None:
    last = named(done.models, "leaner")
    assert last.step is not None
    assert last.step.parent == "lean/2-weights"
    told = [step["model"] for step in load_bundle(last.bundle.path / BUNDLE).manifest.lineage]
    assert told == ["fast", "lean/1-vocabulary", "lean/2-weights", "leaner/1-clusters"]
    with pytest.raises(ConfigError, match="did you mean 'leaner'"):
        named(done.models, "leanr")


def test_a_second_run_makes_nothing_again(done: Compressed, values: dict[str, Any]) -> None:
    before = {p: p.stat().st_mtime_ns for p in done.judged.path.parent.rglob("artifact.json")}
    again = pipeline.compress(build(Recipe, values))
    assert {p: p.stat().st_mtime_ns for p in again.judged.path.parent.rglob("artifact.json")} == before


def test_a_guard_refuses_a_loss_or_leaves_the_pass_out(
    tiny_recipe: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    values = tiny_recipe(tmp_path, timing=None)
    fast = values["students"]["fast"]
    # A student that has learnt something, so that there is something to lose: from many grades, by exact words.
    learns = {
        **fast,
        "objective": [{"loss": "bce"}],
        "training": {"epochs": 12, "batch_rows": 32, "learning_rate": 5e-3},
    }
    values |= {
        "shop": {**values["shop"], "queries": 120, "judged_per_query": 8},
        "split": {"valid": 0.4, "test": 0.1, "seed": 1},
        "teacher": {**values["teacher"], "training": None},
        "students": {"fast": learns},
    }
    harsh = {"of": "fast", "passes": ["vocabulary", {"kind": "weights", "sparsity": 0.95}], "keep": 0.98}
    with pytest.raises(QualityLoss, match=r"compress\.harsh: weights sparsity=0\.95 keeps .* keep asks for 0\.98"):
        pipeline.compress(build(Recipe, {**values, "compress": {"harsh": harsh}}))
    found = pipeline.compress(build(Recipe, {**values, "compress": {"soft": {**harsh, "on_loss": "back_off"}}}))
    steps = {made.name: made.step.told for made in found.models if made.step}
    assert "soft/1-vocabulary" in steps
    assert "weights sparsity=0.95" not in steps.values()
    for made in found.models[2:]:
        assert kept(found.ground.flow, found.models[1], made, "spearman").value >= 0.98, steps


def test_a_student_is_exported_with_how_it_was_judged(values: dict[str, Any], done: Compressed, tmp_path: Path) -> None:
    folder = pipeline.export(build(Recipe, values), "lean", tmp_path / "out")
    manifest = load_bundle(folder).manifest
    assert 0 <= manifest.metrics["ndcg@10"]["value"] <= 1
    assert manifest.machine["processor"]
    assert manifest.lineage[-1]["parent"] == "lean/1-vocabulary"
    plain = pipeline.export(build(Recipe, values), "fast", tmp_path / "fast")
    texts = PairTexts(queries=["red mug"], products=["mug", "chair"], query_N=np.zeros(2, int), product_N=np.arange(2))
    assert load_bundle(plain).score(list(zip(*texts.texts([0, 1]), strict=True))).shape == (2,)
    with pytest.raises(ConfigError, match="did you mean 'fast'"):
        pipeline.export(build(Recipe, values), "fasst", tmp_path / "no")


def test_a_recipe_without_chains_says_how_to_write_one(
    tiny_recipe: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no chain; add one"):
        pipeline.compress(build(Recipe, tiny_recipe(tmp_path)))
