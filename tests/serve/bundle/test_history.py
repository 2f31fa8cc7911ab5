"""What recommends: any history, in any company, without torch; and no bundle that is not whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tests.export.history_kit import FAMILIES, HISTORIES, ITEMS, MOST, Written, scores, written

import shopstill
from shopstill.core.errors import ArtifactError, DataError
from shopstill.data.histories import Histories, Part
from shopstill.data.histories.table import offsets
from shopstill.serve.bundle import scan
from shopstill.serve.bundle.history import HistoryBundle
from shopstill.serve.bundle.load import load_bundle, load_history, load_texts
from shopstill.serve.bundle.manifest import write
from shopstill.serve.bundle.scan import Wanted, best_columns
from shopstill.tasks import _places


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder: Callable[[], Path] = lambda: tmp_path_factory.mktemp("histories")  # noqa: E731
    return lambda family: written(family, folder)


@pytest.fixture
def copy(bundle: Written, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle("sasrec")[1], tmp_path / "bundle"))


def _ids(items: np.ndarray) -> list[str]:
    return [f"item {item}" for item in items]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_does_not_depend_on_company_or_threads(family: str, bundle: Written) -> None:
    served = load_history(bundle(family)[1])
    together = served.recommend_many([_ids(history) for history in HISTORIES], 20)
    threaded = load_history(served.folder, threads=3)
    assert isinstance(threaded, HistoryBundle)
    several = threaded.recommend_many([_ids(history) for history in HISTORIES[::-1]], 20)[::-1]
    for history, found, again in zip(HISTORIES, together, several, strict=True):
        alone = served.recommend(_ids(history), 20)
        assert [name for name, _ in found] == [name for name, _ in alone] == [name for name, _ in again]
        np.testing.assert_allclose([s for _, s in found], [s for _, s in alone], atol=1e-5)
        assert not set(_ids(history)) & {name for name, _ in found}
        assert served.recommend(_ids(history[-served.max_items :]), 20, exclude=_ids(history)) == alone


def test_seen_excluded_and_allowed_items(bundle: Written) -> None:
    served = load_history(bundle("sasrec")[1])
    history = ["item 4", "item 9"]
    best = served.recommend(history, 5, seen=True)
    left = served.recommend(history, 5, seen=True, exclude=[best[0][0], "nothing"])
    assert left[:4] == best[1:]
    assert served.recommend(history, 5, seen=True, allowed=[best[3][0], "item 9", best[1][0], "nothing"])[:2] in (
        [best[1], best[3]],
        [best[1], pytest.approx(best[3])],
    )
    assert served.recommend(history, 5, allowed=["item 9"]) == []
    assert served.recommend(history, 5, allowed=[]) == []
    assert len(served.recommend(history, 2 * ITEMS)) == ITEMS - 2
    assert served.recommend_many([]) == []


def test_unknown_items_are_passed_over_and_counted(bundle: Written) -> None:
    served = load_history(bundle("gru4rec")[1])
    assert served.recommend(["?", "item 4", "", "item 9"]) == served.recommend(["item 4", "item 9"])
    numbers, unknown = served.numbers(["?", "item 4", "", "item 9"])
    assert (numbers.tolist(), unknown) == ([4, 9], 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_empty_history_is_answered_from_a_mask_or_refused(family: str, bundle: Written) -> None:
    served = load_history(bundle(family)[1])
    if family == "bert4rec":
        assert len(served.recommend([], 3)) == 3
        assert served.recommend_many([["item 1"], []], 3)[1] == served.recommend(["?"], 3)
        return
    with pytest.raises(DataError, match=f"history 1: has no item that the model knows, and {family} needs one"):
        served.recommend_many([["item 1"], ["?"]])


def test_numbers_that_are_none_are_refused(bundle: Written) -> None:
    served = load_history(bundle("item_mean")[1])
    for item in (0, -1, ITEMS + 1):
        with pytest.raises(DataError, match=f"history 0: items .*; they go from 1 to {ITEMS}"):
            served.best([np.array([item, 3])], Wanted())


@pytest.mark.parametrize("seen", [False, True])
def test_places_are_those_of_the_model(seen: bool, bundle: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    made, folder = bundle("gru4rec")
    draw = np.random.default_rng(2)
    target_N = draw.integers(1, ITEMS + 1, len(HISTORIES))
    target_N[0] = HISTORIES[0][1]
    together = [np.append(history, target) for history, target in zip(HISTORIES, target_N, strict=True)]
    length_U = np.array([len(history) for history in together])
    histories = Histories(
        item_ids=made.item_ids,
        shopper_ids=pa.array([str(at) for at in range(len(together))]),
        item_E=np.concatenate(together).astype(np.int32),
        start_U=offsets(length_U),
        time_E=np.arange(length_U.sum()),
    )
    part = Part(shopper_N=np.arange(len(together)), upto_N=length_U - 1, target_N=target_N)
    score = _places.by_networks([made.network], histories)
    expected = _places.ranked(score, histories, part, seen=seen, shown=3)
    served = load_history(folder)
    monkeypatch.setattr(scan, "DEPTH", ITEMS)
    np.testing.assert_array_equal(served.places(HISTORIES, target_N, seen=seen, shown=3), expected)
    monkeypatch.setattr(scan, "DEPTH", 30)
    near = served.places(HISTORIES, target_N, seen=seen, shown=3)
    np.testing.assert_array_equal(near[:, 2:], expected[:, 2:])
    assert np.abs(near[:, 0] - expected[:, 0]).max() <= 12
    assert served.places([], np.zeros(0, np.int64), shown=3).shape == (0, 5)


def test_every_item_has_its_own_place(bundle: Written) -> None:
    served, history = load_history(bundle("sasrec")[1]), HISTORIES[3]
    every = np.arange(1, ITEMS + 1)
    found = served.places([history] * ITEMS, every, shown=2)
    out = np.isin(every, history)
    assert (found[out, 0] == ITEMS - 1).all()
    inside, level = found[~out, 0].astype(int), found[~out, 1]
    assert sorted(inside[level == 0].tolist()) == sorted(set(inside.tolist()) - set(inside[level > 0].tolist()))
    assert inside.max() < (~out).sum()
    order = every[~out][np.argsort(inside)][:2]
    assert found[0, 2:].tolist() == order.tolist()


def test_the_scan_finds_the_best(bundle: Written) -> None:
    for family in FAMILIES:
        made, folder = bundle(family)
        served = load_history(folder)
        for history in HISTORIES:
            best = np.argsort(-scores(made, history))[:20] + 1
            assert np.isin(best, served.candidates(history, 60)).mean() >= 0.95, family


@pytest.mark.parametrize("count", [1, 7, 60])
def test_the_best_columns_are_those_of_a_sort(count: int) -> None:
    draw = np.random.default_rng(0)
    for size in (1, 5, 61, 2000, 5003):
        score_V = draw.integers(0, 400, size).astype(np.float32)
        score_V[draw.random(size) < 0.3] = -np.inf
        expected = np.argsort(-score_V, kind="stable")[:count]
        expected = expected[score_V[expected] > -np.inf]
        np.testing.assert_array_equal(best_columns(score_V, count), expected)
    assert not len(best_columns(np.full(5000, -np.inf, np.float32), count))


_BLOCKED = """
import json, sys
for name in ("torch", "transformers", "onnx", "onnxscript", "onnx_ir", "scipy"):
    sys.modules[name] = None
import shopstill
print(json.dumps(shopstill.load_bundle(sys.argv[1]).recommend(["item 3", "item 5"])))
"""


def test_a_bundle_runs_where_torch_is_not_installed(bundle: Written) -> None:
    folder = bundle("gru4rec")[1]
    done = subprocess.run([sys.executable, "-c", _BLOCKED, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    served: Any = shopstill.load_bundle(folder)
    assert [tuple(row) for row in json.loads(done.stdout)] == served.recommend(["item 3", "item 5"])


@pytest.mark.parametrize("name", ["history.onnx", "scan.onnx", "items.safetensors", "items.parquet"])
def test_a_file_that_is_changed_torn_or_missing_is_named(name: str, copy: Path) -> None:
    file = copy / name
    whole = file.read_bytes()
    file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(ArtifactError, match=f"{name}: content differs"):
        load_bundle(copy)
    file.write_bytes(whole[:-1])
    with pytest.raises(ArtifactError, match=f"{name}: has .* bytes of"):
        load_bundle(copy)
    file.unlink()
    with pytest.raises(ArtifactError, match=f"{name}: missing"):
        load_bundle(copy)


def _restate(folder: Path, **changes: Any) -> None:
    """State something else, all files and the digest as they now are."""
    stated = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    write(folder, {**{key: value for key, value in stated.items() if key != "digest"}, **changes})


def test_a_bundle_whose_parts_do_not_fit_is_refused(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    _restate(copy, limits={})
    with pytest.raises(ArtifactError, match="needs the graphs history, items, scan and a limit"):
        load_bundle(copy)
    _restate(copy, graphs={name: manifest["graphs"][name] for name in ("history", "items")})
    with pytest.raises(ArtifactError, match="needs the graphs"):
        load_bundle(copy)
    twice, few, none = ["a"] * ITEMS, ["a"], [*map(str, range(ITEMS - 1)), None]
    for ids, message in ((twice, "names an item twice"), (few, "names 1 items, and the scan"), (none, "names 900")):
        pq.write_table(pa.table({"item_id": ids}), copy / "items.parquet")
        _restate(copy, graphs=manifest["graphs"], limits=manifest["limits"])
        with pytest.raises(ArtifactError, match=f"items.parquet: {message}"):
            load_bundle(copy)
    pq.write_table(pa.table({"product": few}), copy / "items.parquet")
    _restate(copy)
    with pytest.raises(ArtifactError, match=r"items\.parquet: not readable"):
        load_bundle(copy)
    (copy / "items.parquet").write_bytes(b"PAR1 nothing")
    _restate(copy)
    with pytest.raises(ArtifactError, match=r"items\.parquet: not readable"):
        load_bundle(copy)


def test_a_graph_that_is_none_is_named(copy: Path) -> None:
    (copy / "scan.onnx").write_bytes(b"nothing")
    _restate(copy)
    with pytest.raises(ArtifactError, match=r"scan\.onnx: onnxruntime .* cannot load it"):
        load_history(copy).recommend(["item 1"])


def test_a_bundle_is_loaded_for_what_it_is(bundle: Written) -> None:
    folder = bundle("sasrec")[1]
    with pytest.raises(ArtifactError, match=r"a model of histories \(sasrec\), and a model that scores texts is asked"):
        load_texts(folder)
    assert load_history(folder).max_items == MOST


def test_a_query_of_nothing_is_answered(bundle: Written) -> None:
    """A query whose numbers are all 0 has no scale."""
    served = load_history(bundle("sasrec")[1])
    found = served._scan.scores(np.zeros((1, 4), np.float32))
    assert torch.isfinite(torch.from_numpy(found)).all()
