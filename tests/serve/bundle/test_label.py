"""What puts products into classes: in any company, without torch, from pixels or files; and no bundle that is torn."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.export.label_kit import KINDS, PIXELS, Written, given, written
from tests.models.label.conftest import CLASSES, SIZE, TITLES

import shopstill
from shopstill.core.errors import ArtifactError, DataError
from shopstill.serve.bundle.load import categorise_once, load_bundle, load_history, load_label, load_texts
from shopstill.serve.bundle.manifest import write

Image = pytest.importorskip("PIL.Image", reason="Pillow writes and reads the pictures")


@pytest.fixture(scope="module")
def bundle(tiny_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder: Callable[[], Path] = lambda: tmp_path_factory.mktemp("labels")  # noqa: E731
    return lambda kind: written(kind, tiny_start, folder)


@pytest.fixture
def copy(bundle: Written, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle("title")[1], tmp_path / "bundle"))


def _png(pixels: np.ndarray, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form)
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_does_not_depend_on_company_or_threads(kind: str, bundle: Written) -> None:
    made, folder = bundle(kind)
    served, asked = load_label(folder), given(made)
    together = served.classify(**asked)  # type: ignore[arg-type]
    several = load_label(folder, threads=3).classify(**asked)  # type: ignore[arg-type]
    np.testing.assert_allclose(several, together, atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1)
    for at in range(len(TITLES)):
        alone = served.classify(**{name: part[at : at + 1] for name, part in asked.items()})  # type: ignore[index]
        np.testing.assert_allclose(alone[0], together[at], atol=1e-6)
    nothing = {name: part[:0] for name, part in asked.items()}  # type: ignore[index]
    assert served.classify(**nothing).shape == (0, len(CLASSES))


def test_the_best_classes_come_first(bundle: Written) -> None:
    served = load_label(bundle("title")[1])
    likely_NK = served.classify(list(TITLES))
    for row, first in zip(likely_NK, served.best(list(TITLES), limit=2), strict=True):
        assert [name for name, _ in first] == [CLASSES[k] for k in np.argsort(-row)[:2]]
        assert [part for _, part in first] == pytest.approx(sorted(row, reverse=True)[:2])
    assert [len(served.best(["mug"], limit=limit)[0]) for limit in (0, 1, 99)] == [0, 1, 3]
    assert served.best([]) == []


def test_a_missing_text_is_an_empty_one(bundle: Written) -> None:
    served = load_label(bundle("title")[1])
    np.testing.assert_array_equal(served.logits([None, float("nan")]), served.logits(["", ""]))  # type: ignore[list-item]
    with pytest.raises(DataError, match="text 1: 5 is a int; give a string"):
        served.logits(["mug", 5])  # type: ignore[list-item]


def test_files_are_read_as_in_training(bundle: Written, tmp_path: Path) -> None:
    served = load_label(bundle("picture")[1])
    (tmp_path / "one.png").write_bytes(_png(PIXELS[0]))
    pixels = served.pixels([tmp_path / "one.png", str(tmp_path / "one.png"), _png(PIXELS[1]), None])
    np.testing.assert_array_equal(pixels[0], PIXELS[0])
    np.testing.assert_array_equal(pixels[1], PIXELS[0])
    np.testing.assert_array_equal(pixels[2], PIXELS[1])
    assert (pixels[3] == 255).all(), "a product without a picture is white, as it was in training"
    wide = served.pixels([_png(np.zeros((10, 200, 3), np.uint8), "JPEG")])[0]
    assert wide.shape == (*SIZE, 3)
    assert (wide[0] == 255).all(), "a bar above"


def test_a_picture_that_cannot_be_used_is_named(bundle: Written, tmp_path: Path) -> None:
    served = load_label(bundle("picture")[1])
    whole = _png(PIXELS[0])
    for bad, told in (
        (b"nothing", "no picture"),
        (whole[:100], "broken picture"),
        (str(tmp_path / "none.png"), "no such picture"),
        ("https://shop.example/1.png", "an address"),
        (_png(np.zeros((5000, 5000, 3), np.uint8)), "too large"),
    ):
        with pytest.raises(DataError, match=f"picture 1: {told}"):
            served.pixels([whole, bad])


def test_what_a_model_does_not_read_or_lacks_is_refused(bundle: Written) -> None:
    title, picture, both = (load_label(bundle(kind)[1]) for kind in ("title", "picture", "both"))
    assert (title.reads_texts, title.reads_pictures) == (True, False)
    assert (picture.reads_texts, picture.reads_pictures) == (False, True)
    for served, asked, told in (
        (title, {}, "title: reads texts; give some"),
        (title, {"texts": ["mug"], "pixels": PIXELS[:1]}, "title: reads texts alone; leave pictures out"),
        (picture, {"texts": ["mug"], "pixels": PIXELS[:1]}, "picture: looks at pictures alone; leave texts out"),
        (picture, {}, "picture: looks at pictures; give pixels"),
        (picture, {"pixels": PIXELS.astype(np.float32)}, r"pixels: float32 of shape .*; give uint8 \[N, 26, 18, 3\]"),
        (picture, {"pixels": PIXELS[:, 1:]}, r"pixels: uint8 of shape \(8, 25, 18, 3\)"),
        (both, {"texts": ["mug"], "pixels": PIXELS[:2]}, r"texts and pixels: of \[1, 2\] products"),
    ):
        with pytest.raises(DataError, match=told):
            served.logits(**asked)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="leave pictures out"):
        title.pixels([_png(PIXELS[0])])


_BLOCKED = """
import json, sys
for name in ("torch", "transformers", "onnx", "onnxscript", "onnx_ir", "scipy", "PIL"):
    sys.modules[name] = None
import numpy, shopstill
bundle, kind = shopstill.load_bundle(sys.argv[1]), sys.argv[2]
pixels = numpy.load(sys.argv[3])
asked = {"title": {"texts": ["red mug"]}, "picture": {"pixels": pixels[:1]}}[kind]
found = {"best": bundle.best(**asked)}
try:
    bundle.pixels([b"GIF89a"]) if kind == "picture" else None
except ImportError as cause:
    found["said"] = str(cause)
print(json.dumps(found))
"""


@pytest.mark.parametrize("kind", ["title", "picture"])
def test_a_bundle_runs_where_neither_torch_nor_pillow_is_installed(kind: str, bundle: Written, tmp_path: Path) -> None:
    folder = bundle(kind)[1]
    np.save(tmp_path / "pixels.npy", PIXELS)
    command = [sys.executable, "-c", _BLOCKED, str(folder), kind, str(tmp_path / "pixels.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, served = json.loads(done.stdout), load_label(folder)
    expected = served.best(["red mug"]) if kind == "title" else served.best(pixels=PIXELS[:1])
    assert [tuple(pair) for pair in found["best"][0]] == expected[0]
    assert ("pip install 'shopstill[vision]'" in found.get("said", "")) == (kind == "picture")


def test_a_process_answers_once(bundle: Written) -> None:
    for kind in ("title", "picture", "both"):
        categorise_once(str(bundle(kind)[1]), "red mug")


@pytest.mark.parametrize("name", ["classes.onnx", "classes.json", "tokenizer.json"])
def test_a_file_that_is_changed_or_missing_is_named(name: str, copy: Path) -> None:
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(ArtifactError, match=f"{name}: content differs"):
        load_bundle(copy)
    (copy / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name}: missing"):
        load_bundle(copy)


def _restate(folder: Path, **changes: Any) -> None:
    """State something else, all files and the digest as they now are."""
    stated = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    write(folder, {**{key: value for key, value in stated.items() if key != "digest"}, **changes})


def test_a_bundle_whose_parts_do_not_fit_is_refused(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    form = {"height": 26, "width": 18}
    for changes in ({"graphs": {}}, {"reading": None}, {"pictures": form}, {"reading": None, "pictures": form}):
        _restate(copy, **{key: manifest[key] for key in ("graphs", "reading", "pictures")} | changes)
        with pytest.raises(ArtifactError, match="needs the graph 'classes', and how what it reads is made"):
            load_bundle(copy)
    _restate(copy, **{key: manifest[key] for key in ("graphs", "reading", "pictures")})
    for names, message in (
        (["a"], "names 1 classes, the graph has 3"),
        ({"a": 1}, "is no list"),
        ([1, 2, 3], "is no list"),
    ):
        (copy / "classes.json").write_text(json.dumps(names), encoding="utf-8")
        _restate(copy)
        with pytest.raises(ArtifactError, match=rf"classes\.json: {message}"):
            load_bundle(copy)
    (copy / "classes.json").write_bytes(b"\xff")
    _restate(copy)
    with pytest.raises(ArtifactError, match=r"classes\.json: not readable"):
        load_bundle(copy)


def test_a_bundle_is_loaded_for_what_it_is(bundle: Written) -> None:
    folder = bundle("title")[1]
    told = (
        r"a model of classes \(bag\), and a model {} is asked for; name a bundle of one, or serve this one with --cat"
    )
    with pytest.raises(ArtifactError, match=told.format("that scores texts")):
        load_texts(folder)
    with pytest.raises(ArtifactError, match=told.format("of histories")):
        load_history(folder)
    served: Any = shopstill.load_bundle(folder)
    assert served.best(["mug"]) == load_label(folder).best(["mug"])
