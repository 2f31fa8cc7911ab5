"""A bundle says of a product what the model of classes it was made from says, or does not appear."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.export.label_kit import FORM, KINDS, Written, given, logits, model, written
from tests.models.label.conftest import CLASSES, SIZE, TITLES, shown

from shopstill.core.errors import ArtifactError, ConfigError
from shopstill.data.images import ImageForm
from shopstill.export import label_parity
from shopstill.export.bundle import About
from shopstill.export.label import write_label_bundle
from shopstill.export.parity import HOSTILE
from shopstill.models.label import LabelRows
from shopstill.serve.bundle.load import load_label
from shopstill.serve.bundle.manifest import LABELS, read

pytest.importorskip("PIL", reason="Pillow writes and reads the pictures")


@pytest.fixture(scope="module")
def bundle(tiny_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder: Callable[[], Path] = lambda: tmp_path_factory.mktemp("labels")  # noqa: E731
    return lambda kind: written(kind, tiny_start, folder)


@pytest.mark.parametrize(
    "kind", [*KINDS, *(pytest.param(k, marks=pytest.mark.slow) for k in ("transformer", "cross", "scaled"))]
)
def test_a_bundle_says_what_its_model_says(kind: str, bundle: Written) -> None:
    made, folder = bundle(kind)
    found, expected = load_label(folder).logits(**given(made)), logits(made)  # type: ignore[arg-type]
    assert np.ptp(expected) > 0.05, "the logits tell nothing apart"
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_pins_all_that_comes_before_the_graph(kind: str, bundle: Written) -> None:
    made, folder = bundle(kind)
    manifest = read(folder)
    assert manifest.kind == made.network.config.kind
    assert manifest.kind in LABELS
    assert manifest.outputs == len(CLASSES)
    assert json.loads((folder / "classes.json").read_text(encoding="utf-8")) == list(CLASSES)
    assert manifest.batch_invariant
    graph = manifest.graphs["classes"]
    if kind in ("picture", "both"):
        assert manifest.pictures == FORM
        assert manifest.decoder.startswith("pillow ")
        assert graph.inputs["image_BHWC"].dtype == "uint8"
        assert graph.inputs["image_BHWC"].shape == ("products", *SIZE, 3)
    else:
        assert (manifest.pictures, manifest.decoder) == (None, "")
    assert (folder / "tokenizer.json").exists() == (kind in ("title", "both"))
    if kind == "letters":
        assert manifest.reading is not None
        assert (manifest.reading.tokens, manifest.reading.buckets, manifest.reading.longest) == (0, 50, 4)
    assert manifest.parity["difference"] <= manifest.tolerance == 1e-4
    assert manifest.parity["rows"] == len(TITLES)
    assert manifest.parity["hostile"] >= 11
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "bundle.best(" in card
    assert "are put into the same class" in card
    assert ("26 high and 18 wide" in card) == (kind in ("picture", "both"))


def test_hard_texts_and_pictures_are_among_what_is_compared(bundle: Written) -> None:
    _, folder = bundle("both")
    both = label_parity.with_hostile(shown(), load_label(folder))
    assert both.texts is not None
    assert both.pixels is not None
    assert set(HOSTILE) <= set(both.texts[len(TITLES) :])
    for colour in (0, 255):
        assert any((pixels == colour).all() for pixels in both.pixels)
    assert "a picture of noise" in both.names


@pytest.mark.parametrize("kind", ["picture", "letters"])
def test_nothing_appears_where_logits_differ(
    kind: str, tiny_start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, judged = model(kind, tiny_start), label_parity.judged
    hard = "a picture of noise" if kind == "picture" else "a hard text"

    def off(made: Any, shown: label_parity.Shown) -> np.ndarray:
        found = judged(made, shown)
        found[len(TITLES) + list(shown.names).index(hard), 1] += 1
        return found

    monkeypatch.setattr(label_parity, "judged", off)
    with pytest.raises(ArtifactError, match=rf"row \d+, {hard}.* is expected; off by [01]"):
        write_label_bundle(made, tmp_path / "bundle", about=About(name="x"), rows=shown(), pictures=FORM)
    assert not list(tmp_path.iterdir())


def test_many_other_classes_fail_the_gate_whatever_the_tolerance(
    bundle: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, folder = bundle("letters")
    assert label_parity.check(made, folder, shown(), tolerance=1e9).agreement == 1
    judged = label_parity.judged
    monkeypatch.setattr(label_parity, "judged", lambda *given: judged(*given)[:, ::-1])
    with pytest.raises(ArtifactError, match="puts products into other classes"):
        label_parity.check(made, folder, shown(), tolerance=1e9)


def test_a_picture_that_is_read_otherwise_fails_the_gate(bundle: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    made, folder = bundle("picture")
    monkeypatch.setattr("shopstill.serve.bundle.label.decode", lambda *_: np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(ArtifactError, match="a picture is read otherwise"):
        label_parity.check(made, folder, shown(), tolerance=1e-4)


def test_how_pictures_are_made_must_be_told(tiny_start: Path, tmp_path: Path) -> None:
    made = model("picture", tiny_start)
    for form, told in ((None, "not told"), (ImageForm(height=32, width=18), "32 × 18")):
        with pytest.raises(ConfigError, match=f"pictures: {told}, and the model looks at"):
            write_label_bundle(made, tmp_path / "b", about=About(name="x"), rows=shown(), pictures=form)


def test_what_is_shared_by_no_real_product_is_held_on_hard_ones(tiny_start: Path, tmp_path: Path) -> None:
    """A model may be exported where there is no product at hand."""
    made = replace(model("letters", tiny_start), classes=("a", "b", "c"))
    none = LabelRows(texts=[], text_N=np.zeros(0, np.int64))
    folder = write_label_bundle(made, tmp_path / "b", about=About(name="x"), rows=none)
    assert read(folder).parity["rows"] == 0
