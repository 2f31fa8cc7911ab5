"""Chains over models of classes: guarded by how many are right, as it is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopstill import pipeline
from shopstill.core.errors import QualityLoss
from shopstill.pipeline.bundles import kept
from shopstill.recipe import Recipe, read

ROOT = Path(__file__).resolve().parents[2]
_BAG = "{kind: bag, width: 16, start: null}"
_LEARNS = "{epochs: 8, batch_rows: 16, learning_rate: 0.02}"
_QUICK = [
    "shop={reader: simulate, products: 400, queries: 20, events: 0}",
    "split={valid: 0.4, test: 0.1}",
    f"teacher={{kind: model, model: {_BAG}, training: {_LEARNS}}}",
    f"students={{title: {{model: {_BAG}, objective: [{{loss: soft}}], training: {_LEARNS}}}}}",
    "judging={metrics: [ece, accuracy], min_candidates: 1, resamples: 100, permutations: 100}",
    "timing=null",
]


def _recipe(runs: Path, chain: str) -> Recipe:
    return read(ROOT / "recipes" / "categorise.yaml", [*_QUICK, f"runs={runs}", f"compress={{small: {chain}}}"])


def test_a_guard_reads_how_many_classes_are_right(tmp_path: Path) -> None:
    harsh = "{of: title, passes: [vocabulary, {kind: weights, sparsity: 0.99}], keep: 0.9"
    with pytest.raises(QualityLoss, match=r"weights sparsity=0\.99 keeps .* of title's accuracy, where keep asks"):
        pipeline.compress(_recipe(tmp_path, f"{harsh}}}"))
    found = pipeline.compress(_recipe(tmp_path, f"{harsh}, on_loss: back_off}}"))
    teacher, title, *steps = found.models
    assert steps[0].name == "small/1-vocabulary"
    assert all(kept(found.ground.flow, title, made, "accuracy").value >= 0.9 for made in steps)
    evaluation, _, sizes = found.found
    assert sizes[steps[0].name].bytes < sizes["title"].bytes
    assert evaluation.score("title", "accuracy") is not None
    assert teacher.name == "teacher"


def test_a_network_of_pictures_teaches_another(tmp_path: Path) -> None:
    """What an assistant says of the pictures as they are stands for what the teacher said, whatever is done to them."""
    pytest.importorskip("PIL", reason="Pillow draws and reads the pictures")
    once = "{epochs: 1, batch_rows: 64, learning_rate: 0.01}"
    smaller = "{kind: distil, model: {kind: small_cnn, channels: [4, 8]}, rows: 64}"
    changes = [
        *_QUICK,
        "shop={reader: simulate, products: 250, queries: 20, events: 0, images: true, image_size: 48}",
        "task.pictures={height: 16, width: 16}",
        "task.augment={shift: 1, mixup: 0.2}",
        "students.title.model={kind: small_cnn, channels: [4, 8, 8]}",
        f"students.title.training={once}",
        f"compress={{small: {{of: title, passes: [{smaller}], training: {once}}}}}",
        f"runs={tmp_path}",
    ]
    found = pipeline.compress(read(ROOT / "recipes" / "categorise.yaml", changes))
    assert [made.name for made in found.models] == ["teacher", "title", "small/1-distil"]
    assert found.found[0].score("small/1-distil", "accuracy") is not None
