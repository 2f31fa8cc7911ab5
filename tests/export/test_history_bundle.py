"""A bundle recommends as the model of histories it was made from, or does not appear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from tests.export.history_kit import FAMILIES, HISTORIES, ITEMS, Written, model, scores, written
from tests.models.sequence.conftest import TABLES

from shopstill.core.errors import ArtifactError, DataError
from shopstill.export import history_parity
from shopstill.export.bundle import About
from shopstill.export.history import write_history_bundle
from shopstill.export.history_graphs import codes, graphs
from shopstill.models.compact import replace_module
from shopstill.models.compact.half_table import HalfTable
from shopstill.models.compact.packed_table import PackedTable
from shopstill.models.sequence import SASRec, create
from shopstill.serve.bundle.load import load_history
from shopstill.serve.bundle.manifest import read
from shopstill.serve.bundle.scan import Wanted


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder: Callable[[], Path] = lambda: tmp_path_factory.mktemp("histories")  # noqa: E731
    return lambda family: written(family, folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_bundle_recommends_as_its_model(family: str, bundle: Written) -> None:
    made, folder = bundle(family)
    served = load_history(folder)
    found = served.best(HISTORIES, Wanted(limit=20, seen=True))
    for history, (items, given) in zip(HISTORIES, found, strict=True):
        expected = scores(made, history)
        assert np.ptp(expected) > 0.1, "the scores tell nothing apart"
        np.testing.assert_allclose(given, np.sort(expected)[::-1][:20], atol=1e-5)
        np.testing.assert_allclose(given, expected[items - 1], atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_manifest_states_graphs_limit_and_parity(family: str, bundle: Written) -> None:
    made, folder = bundle(family)
    manifest = read(folder)
    assert manifest.kind == family
    assert manifest.limits == {"history": made.network.config.max_items - made.network.masks}
    assert manifest.parity["recall"] >= history_parity.RECALL
    assert manifest.parity["difference"] <= manifest.tolerance == 1e-4
    assert manifest.parity["hostile"] == 8 + (family == "bert4rec")
    assert manifest.graphs["history"].inputs["item_BT"].shape == ("histories", "places")
    assert manifest.graphs["scan"].outputs["score"].shape == ("queries", ITEMS)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "recommend(" in card
    assert "best ten items, 100.00% are recommended" in card


def test_what_is_small_in_the_model_is_small_on_disk(bundle: Written) -> None:
    made, folder = bundle("sasrec")
    stored = {path.name: path.stat().st_size for path in folder.iterdir()}
    weights = sum(p.numel() * p.element_size() for p in made.network.parameters())
    assert weights * 0.9 < stored["weights.safetensors"] < weights * 1.2 + 2000
    assert stored["items.safetensors"] < ITEMS * (4 + 4) + 500, "a byte for each of four numbers, and a scale"
    made, folder = bundle("bert4rec")
    assert (folder / "weights.safetensors").stat().st_size < 0.75 * ITEMS * 8 * 4, "the table lies there whole"
    assert not [path.name for path in folder.glob("*.onnx") if b"/shopstill/" in path.read_bytes()]


@pytest.mark.parametrize("described", [False, True])
@pytest.mark.parametrize("table", [*TABLES, "packed", "half"])
def test_vectors_of_every_table_compare_as_its_network_does(table: str, described: bool) -> None:
    config = SASRec(width=8, max_items=10, table=TABLES.get(table, TABLES["full"]))
    network = model(config, items=60, described=described).network
    if table in ("packed", "half"):
        dense = network.items.table.weight
        part = PackedTable.of(dense, bits=4, group=4) if table == "packed" else HalfTable.of(dense)
        replace_module(network, "items.table", part)
    parts = graphs(network)
    item_BT, length_B = torch.tensor([[3, 60, 1], [7, 0, 0]]), torch.tensor([3, 1])
    with torch.inference_mode():
        query = parts["history"].module(item_BT, length_B)
        vector_VR = parts["items"].module(torch.arange(1, 61))
        expected = network.scores(network.last(item_BT, length_B))
    np.testing.assert_allclose((query @ vector_VR.T).numpy(), expected.numpy(), atol=1e-5)
    assert query.shape[1] == (4 if table == "low_rank" and not described else 8)
    code_RV, scale_V = codes(network)
    apart_VR = vector_VR - vector_VR.mean(0)
    np.testing.assert_allclose((code_RV * scale_V).T, apart_VR.numpy(), atol=float(scale_V.max()) * 0.51)


def test_codes_of_many_items_are_made_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    network = model(FAMILIES["item_mean"]).network
    code_RV, scale_V = codes(network)
    monkeypatch.setattr("shopstill.export.history_graphs._CELLS", 8 * 70)
    again_RV, again_V = codes(network)
    np.testing.assert_allclose(again_V, scale_V, rtol=1e-5)
    assert np.abs(code_RV.astype(int) - again_RV).max() <= 1


def test_nothing_appears_where_scores_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, judged = model(replace(FAMILIES["item_mean"], map=False), items=30), history_parity.judged
    monkeypatch.setattr(history_parity, "judged", lambda *given: (judged(*given)[0] + 1, 1.0))
    with pytest.raises(ArtifactError, match=r"(?s)row \d+, a history of \d+ items, .* is expected; off by 1"):
        write_history_bundle(made, tmp_path / "bundle", about=About(name="x"), histories=[np.array([3, 4])])
    assert not list(tmp_path.iterdir())


def test_a_scan_that_loses_the_best_items_fails_the_gate(bundle: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    made, folder = bundle("item_mean")
    assert history_parity.check(made.network, folder, HISTORIES, tolerance=1e-4).recall == 1
    judged = history_parity.judged
    monkeypatch.setattr(history_parity, "judged", lambda *given: (judged(*given)[0], 0.5))
    with pytest.raises(ArtifactError, match=r"recommends 50\.0%, at least 99% are asked"):
        history_parity.check(made.network, folder, HISTORIES, tolerance=1e-4)


def test_titles_may_be_given_by_id_and_must_be_of_all_items(bundle: Written, tmp_path: Path) -> None:
    _, folder = bundle("sasrec")
    assert load_history(folder).title(3) == "Title 3"
    network = create(FAMILIES["item_mean"], 4, 0)
    made = model(FAMILIES["item_mean"], items=4)
    made = replace(made, network=network.eval(), item_ids=pa.array([7, 8, 9, 10]))
    with pytest.raises(DataError, match="titles: 2, where there are 4 items"):
        write_history_bundle(made, tmp_path / "b", about=About(name="x"), histories=[], titles=["a", "b"])
    served = load_history(
        write_history_bundle(made, tmp_path / "b", about=About(name="x"), histories=[], titles={"7": "Seven"})
    )
    assert [served.title(item) for item in (1, 2)] == ["Seven", "8"]
    assert [item for item, _ in served.recommend(["7", "10"])] in (["8", "9"], ["9", "8"])
