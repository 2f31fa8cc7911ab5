"""A bundle scores as the model it was made from, on every route, or does not appear."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.conftest import pairs

from shopstill.core.artifact import MARK
from shopstill.core.errors import ArtifactError
from shopstill.export import parity
from shopstill.export.bundle import About, batch_invariant, write_bundle
from shopstill.export.plain import plain_scores
from shopstill.models.build import TextModel
from shopstill.serve.bundle.load import load_bundle
from shopstill.serve.bundle.manifest import read
from shopstill.train.predict import predict

from .conftest import KINDS, PRODUCTS, QUERIES, ROWS

Written = Callable[[str], tuple[TextModel, Path]]


def _judged(model: TextModel) -> np.ndarray:
    return predict(model.network, model.network.feed(model.tokenizer, pairs(model))).logits


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_scores_as_its_model(kind: str, written: Written) -> None:
    model, folder = written(kind)
    bundle, expected = load_bundle(folder), _judged(model)
    assert len(np.unique(expected.round(4))) > len(PRODUCTS), "the scores tell nothing apart"
    found = bundle.score([(query, product) for query in QUERIES for product in PRODUCTS])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(plain_scores(bundle, ROWS), expected, atol=1e-5)
    ahead, order = bundle.ahead(PRODUCTS), np.array([3, 0, 5])
    for query, row in zip(QUERIES, expected.reshape(len(QUERIES), -1), strict=True):
        np.testing.assert_allclose(ahead.score(query, order), row[order], atol=1e-5)
        np.testing.assert_allclose(ahead.score(query, order[:1]), row[order[:1]], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_states_graphs_limits_and_parity(kind: str, written: Written) -> None:
    model, folder = written(kind)
    manifest = read(folder)
    assert manifest.kind == model.network.config.kind
    assert manifest.batch_invariant
    assert manifest.parity["difference"] <= manifest.tolerance
    assert manifest.parity["hostile"] >= len(parity.HOSTILE)
    assert manifest.licences[0]["what"] == "weights"
    assert manifest.name in (folder / "README.md").read_text(encoding="utf-8")
    for graph in manifest.graphs.values():
        assert graph.opset >= 18
        assert all(isinstance(t.shape[0], str) or name.startswith("query_") for name, t in graph.inputs.items())


def test_graphs_hold_no_weights_and_no_paths_of_the_machine(written: Written) -> None:
    model, folder = written("joint")
    graphs = list(folder.glob("*.onnx"))
    assert {g.stem for g in graphs} == {"pair", "query", "product", "head", "lean"}
    assert not [g.name for g in graphs if b"/shopstill/" in g.read_bytes()]
    weights = sum(p.numel() * p.element_size() for p in model.network.parameters())
    stored = (folder / "weights.safetensors").stat().st_size
    assert weights * 0.9 < stored < weights * 1.5, "a weight is stored more than once"


def test_nothing_appears_where_scores_differ(written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = written("cross, first token")
    old = tmp_path / "bundle"
    old.mkdir()
    (old / "kept").touch()
    (old / MARK).touch()
    monkeypatch.setattr(parity, "judged_scores", lambda model, rows: np.full(len(rows), 7.0, np.float32))
    with pytest.raises(ArtifactError, match=r"row \d+, query .* with product .* 7.0 is expected; off by"):
        write_bundle(model, old, about=About(name="x"), rows=ROWS)
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]
    assert (old / "kept").exists()


def test_a_score_that_is_not_finite_fails_the_gate() -> None:
    texts = [("a", "b"), ("c", "d")]
    with pytest.raises(ArtifactError, match="query 'c' with product 'd'"):
        parity.hold("it", np.array([1.0, np.nan]), np.array([1.0, 1.0]), texts, np.inf)
    assert parity.hold("it", np.array([1.0, 1.5]), np.array([1.0, 1.0]), texts, 0.5) == 0.5


def test_a_part_that_looks_at_its_company_is_stated() -> None:
    part = torch.nn.Linear(1, 1)
    assert batch_invariant(torch.nn.Sequential(part))
    part.batch_invariant = False  # type: ignore[assignment]
    assert not batch_invariant(torch.nn.Sequential(part))


def test_a_manifest_is_plain_json(written: Written) -> None:
    _, folder = written("cross, first token")
    stated = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert stated["graphs"]["pair"]["inputs"]["input_ids"] == {"dtype": "int64", "shape": ["pairs", "tokens"]}
    assert stated["graphs"]["pair"]["outputs"] == {"score": {"dtype": "float", "shape": ["pairs"]}}
