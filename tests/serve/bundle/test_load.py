"""What answers shoppers: any text, any company, without torch; and no bundle that is not whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.export.conftest import KINDS, PRODUCTS, QUERIES

import shopstill
from shopstill.core.errors import ArtifactError, DataError
from shopstill.export.parity import HOSTILE
from shopstill.models.build import TextModel
from shopstill.serve.bundle.cross import pieces
from shopstill.serve.bundle.load import load_bundle
from shopstill.serve.bundle.manifest import _digest

Written = Callable[[str], tuple[TextModel, Path]]
PAIRS = [(query, product) for query in (*QUERIES, *HOSTILE) for product in (*PRODUCTS, *HOSTILE)]


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_has_a_finite_score_that_does_not_depend_on_company(kind: str, written: Written) -> None:
    bundle = load_bundle(written(kind)[1])
    together = bundle.score(PAIRS)
    assert together.shape == (len(PAIRS),)
    assert np.isfinite(together).all()
    order = np.random.default_rng(0).permutation(len(PAIRS))
    np.testing.assert_allclose(bundle.score([PAIRS[i] for i in order]), together[order], atol=1e-5)
    for row in order[:20]:
        np.testing.assert_allclose(bundle.score([PAIRS[row]]), together[row], atol=1e-5)
    np.testing.assert_allclose(load_bundle(bundle.folder, threads=3).score(PAIRS), together, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_texts_count_as_empty_and_nothing_scores_nothing(kind: str, written: Written) -> None:
    bundle = load_bundle(written(kind)[1])
    missing = bundle.score([(None, "mug"), ("mug", float("nan")), (None, None)])
    np.testing.assert_array_equal(missing, bundle.score([("", "mug"), ("mug", ""), ("", "")]))
    assert bundle.score([]).shape == (0,)
    ahead = bundle.ahead([None, "mug"])
    assert len(ahead) == 2
    assert ahead.score("mug", []).shape == (0,)
    assert bundle.ahead([]).score("mug", []).shape == (0,)
    with pytest.raises(IndexError, match="0 to 2, where there are 2 products"):
        ahead.score("mug", [0, 2])
    with pytest.raises(IndexError):
        ahead.score("mug", [-1])
    with pytest.raises(DataError, match="product 0: 3 is a int"):
        bundle.ahead([3])


def test_lexical_features_may_be_given_and_may_be_unknown(written: Written) -> None:
    model, folder = written("joint")
    ahead, rows = load_bundle(folder).ahead(PRODUCTS), np.arange(len(PRODUCTS))
    assert model.lexical is not None
    features = model.lexical.others(PRODUCTS).features("red mug", rows)
    np.testing.assert_array_equal(ahead.score("red mug", rows, features), ahead.score("red mug", rows))
    assert np.isfinite(ahead.score("red mug", rows, np.full_like(features, np.nan))).all()
    with pytest.raises(DataError, match="give \\[6, "):
        ahead.score("red mug", rows, features[:, 1:])


@pytest.mark.parametrize("kind", ["joint", "shared transformer towers, interaction"])
def test_product_vectors_may_be_kept_by_a_codec(kind: str, written: Written, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(written(kind)[1], tmp_path / "bundle"))
    rows = np.arange(len(PRODUCTS))
    plain, off = load_bundle(folder).ahead(PRODUCTS).score("red mug", rows), {}
    for codec in ("float16", "int8", "binary"):
        _restate(folder, vectors={"kind": codec})
        bundle = load_bundle(folder)
        here = bundle.ahead(PRODUCTS)
        off[codec] = np.abs(here.score("red mug", rows) - plain).max()
        here.write(tmp_path / codec)
        brought = bundle.read_ahead(tmp_path / codec)
        np.testing.assert_array_equal(brought.score("red mug", rows), here.score("red mug", rows))
        assert bundle.ahead([]).score("mug", []).shape == (0,)
    assert 0 < off["float16"] < off["int8"] < off["binary"]
    assert off["int8"] < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_products_that_come_along_score_as_those_encoded_here(kind: str, written: Written) -> None:
    bundle = load_bundle(written(kind)[1])
    ids, brought = bundle.products()
    assert ids == [f"p{at}" for at in range(len(PRODUCTS))]
    here, rows = bundle.ahead(PRODUCTS), np.array([4, 0, 3])
    for query in QUERIES:
        np.testing.assert_array_equal(brought.score(query, rows), here.score(query, rows))


_BLOCKED = """
import json, sys
for name in ("torch", "transformers", "onnx", "onnxscript", "onnx_ir", "scipy"):
    sys.modules[name] = None
import shopstill
bundle = shopstill.load_bundle(sys.argv[1])
print(json.dumps(bundle.score([("red mug", "blue mug"), ("", "chair")]).tolist()))
"""


@pytest.mark.parametrize("kind", ["joint", "shared transformer towers, interaction"])
def test_a_bundle_runs_where_torch_is_not_installed(kind: str, written: Written) -> None:
    folder = written(kind)[1]
    done = subprocess.run([sys.executable, "-c", _BLOCKED, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = shopstill.load_bundle(folder).score([("red mug", "blue mug"), ("", "chair")])
    np.testing.assert_allclose(json.loads(done.stdout), expected, atol=1e-6)


@pytest.fixture
def copy(written: Written, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written("joint")[1], tmp_path / "bundle"))


FILES = ["pair.onnx", "weights.safetensors", "tokenizer.json", "lexical/lexical.json", "README.md"]


@pytest.mark.parametrize("name", FILES)
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
    file.write_bytes(whole)
    load_bundle(copy)


def test_a_file_that_does_not_belong_is_named(copy: Path) -> None:
    (copy / ".DS_Store").touch()
    load_bundle(copy)
    (copy / "more.onnx").touch()
    with pytest.raises(ArtifactError, match=r"more\.onnx: is not of this bundle"):
        load_bundle(copy)


def _restate(folder: Path, sign: bool = True, **changes: object) -> None:
    path = folder / "manifest.json"
    stated = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    if sign:
        stated["digest"] = _digest(stated)
    path.write_text(json.dumps(stated), encoding="utf-8")


def test_a_manifest_that_was_changed_torn_or_lost_is_refused(copy: Path) -> None:
    _restate(copy, sign=False, scheme="int8")
    with pytest.raises(ArtifactError, match=r"manifest\.json: was changed"):
        load_bundle(copy)
    _restate(copy, schema="int8")
    with pytest.raises(ArtifactError, match="schema: unknown key; did you mean 'scheme'"):
        load_bundle(copy)
    (copy / "manifest.json").write_text('{"format": 1')
    with pytest.raises(ArtifactError, match=r"manifest\.json: not readable as JSON"):
        load_bundle(copy)
    (copy / "manifest.json").write_text("[]")
    with pytest.raises(ArtifactError, match="states no format"):
        load_bundle(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match="no bundle here"):
        load_bundle(copy)


def test_a_graph_outside_the_bundle_is_refused(copy: Path) -> None:
    graphs = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))["graphs"]
    _restate(copy, graphs={**graphs, "pair": {**graphs["pair"], "file": "../pair.onnx"}})
    with pytest.raises(ArtifactError, match=r"names the graph '\.\./pair\.onnx', which is no file of the bundle"):
        load_bundle(copy)


def test_a_newer_bundle_says_which_version_reads_it(copy: Path) -> None:
    _restate(copy, format=2, needs="0.7.0", something="new")
    with pytest.raises(
        ArtifactError, match=r"format 2, and shopstill .* reads format 1; .*pip install 'shopstill>=0.7.0'"
    ):
        load_bundle(copy)


def test_a_bundle_of_other_lexical_features_is_refused(copy: Path) -> None:
    _restate(copy, features=["another"])
    with pytest.raises(ArtifactError, match="other lexical features"):
        load_bundle(copy)


def test_pieces_hold_every_row_once_and_little_padding() -> None:
    lengths = np.sort(np.random.default_rng(0).integers(4, 64, 300))
    cuts = pieces(lengths, call=20, most=400)
    assert [row for cut in cuts for row in range(cut.start, cut.stop)] == list(range(300))
    area = sum((cut.stop - cut.start) * lengths[cut.stop - 1] for cut in cuts)
    assert all((cut.stop - cut.start) * lengths[cut.stop - 1] <= 400 for cut in cuts)
    assert area < 1.1 * lengths.sum()
    assert pieces(lengths, call=10**9, most=10**9) == [slice(0, 300)]
    assert pieces(np.array([], np.int64)) == []
    assert pieces(np.array([9000])) == [slice(0, 1)]
