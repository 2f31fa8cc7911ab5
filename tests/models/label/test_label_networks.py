from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from tests.models.label.conftest import CLASSES, KINDS, TITLES, Make, inputs

from shopstill.core.errors import ArtifactError, ConfigError
from shopstill.models import families
from shopstill.models.label import Bag, Label, LabelModel, LabelRows, TextEncoder, create, ids_of
from shopstill.models.vision import GRID, places
from shopstill.train.predict import predict


def logits(model: LabelModel, rows: LabelRows, piece: int = 256) -> np.ndarray:
    return predict(model.network, model.network.feed(model.tokenizer, rows), rows=piece).logits


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_judged_alike_alone_and_in_company(kind: str, make: Make, rows: LabelRows) -> None:
    model = make(kind)
    together = logits(model, rows)
    assert together.shape == (len(TITLES), len(CLASSES))
    assert np.ptp(together, axis=0).min() > 1e-3, "the logits do not depend on the row"
    np.testing.assert_allclose(logits(model, rows, 1), together, rtol=1e-5, atol=5e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_is_the_same_model(kind: str, make: Make, rows: LabelRows, tmp_path: Path) -> None:
    model = make(kind)
    families.save(model, tmp_path)
    loaded = families.load(tmp_path)
    assert (loaded.classes, loaded.size, loaded.parameters) == (model.classes, model.size, model.parameters)
    assert loaded.network.config == model.network.config
    np.testing.assert_array_equal(logits(loaded, rows), logits(model, rows))


@pytest.mark.parametrize("kind", [k for k in KINDS if "bag" in k or "text" in k or "both" in k])
def test_a_rectangle_of_texts_says_what_texts_end_to_end_say(kind: str, make: Make, rows: LabelRows) -> None:
    model = make(kind)
    given = inputs(model, rows)
    ids, length = given.pop("ids_S"), given.pop("length_B")
    mask = torch.arange(int(length.max()) + 2) < length[:, None]
    rectangle = torch.zeros(mask.shape, dtype=torch.int64)
    rectangle[mask] = ids
    with torch.inference_mode():
        found = model.network.padded(**given, ids_BT=rectangle, mask_BT=mask)
    np.testing.assert_allclose(found.numpy(), logits(model, rows), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_there_to_be_taught(kind: str, make: Make, rows: LabelRows) -> None:
    model = make(kind)
    found = model.network(**inputs(model, rows)).features
    assert found.keys() == set(families.taps(model.network.config))
    assert found["pooled"].shape[0] == len(TITLES)
    if hasattr(model.network, "reader"):
        assert found["map"].shape == (len(TITLES), GRID * GRID)
        assert bool((found["map"] >= 0).all())
    if kind.startswith("both"):
        assert {"image", "text"} <= found.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_weights(kind: str, make: Make) -> None:
    one, same, other = (make(kind, seed).network.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert any(not torch.equal(value, other[name]) for name, value in one.items())


def test_a_student_starts_from_the_parts_of_a_teacher_of_both(make: Make, rows: LabelRows, tmp_path: Path) -> None:
    teacher = make("both, cross")
    families.save(teacher, tmp_path)
    image = make("small_cnn", seed=5, teacher=tmp_path, start="teacher")
    text = make("text, mean", seed=5, start=str(tmp_path), layers=None)
    found = teacher.network(**inputs(teacher, rows)).features
    given = inputs(teacher, rows)
    fresh = create(image.network.config, CLASSES, tmp_path, 5).network.eval()
    torch.testing.assert_close(fresh(given["image_BHWC"]).features["pooled"], found["image"])
    torch.testing.assert_close(text.network(**inputs(text, rows)).features["pooled"], found["text"])


@pytest.mark.parametrize("last", [1280, 16])
def test_a_student_of_fewer_stages_takes_the_first_of_its_start(last: int, make: Make, tmp_path: Path) -> None:
    families.save(make("efficientnet_lite"), tmp_path)
    options: dict[str, Any] = {"start": "teacher", "stages": 3, "last": last}
    first, other = (make("efficientnet_lite", seed=seed, teacher=tmp_path, **options).network for seed in (0, 1))
    given = families.load(tmp_path).network.reader.body.state_dict()
    taken = create(first.config, CLASSES, tmp_path, 0).network.reader.body.state_dict()
    assert max(int(name.split(".")[1]) for name in taken if name.startswith("blocks.")) == 4
    assert all(torch.equal(value, given[name]) for name, value in taken.items() if not name.startswith("last."))
    # What comes last reads other channels now.
    assert len(taken["last.conv.weight"]) == last
    assert not torch.equal(first.reader.body.last.conv.weight, other.reader.body.last.conv.weight)


def test_a_start_of_other_sizes_is_refused(make: Make, tmp_path: Path) -> None:
    families.save(make("small_cnn"), tmp_path)
    with pytest.raises(ConfigError, match=r"other parts or sizes .*; use the same family"):
        make("small_cnn", teacher=tmp_path, start="teacher", channels=[8, 12, 20])
    families.save(make("bag"), tmp_path / "bag")
    with pytest.raises(ConfigError, match="reads no pictures"):
        make("small_cnn", start=str(tmp_path / "bag"))
    with pytest.raises(ConfigError, match="only efficientnet_lite has published weights"):
        make("resnet 18", start="resnet18")
    with pytest.raises(ConfigError, match="no transformer that reads texts"):
        make("text, mean", start=str(tmp_path))
    with pytest.raises(ConfigError, match="this teacher has no weights here"):
        make("text, mean", start="teacher")


def test_rows_without_what_a_model_reads_are_refused(make: Make, rows: LabelRows) -> None:
    blind = LabelRows(texts=rows.texts, text_N=rows.text_N)
    with pytest.raises(ConfigError, match="reads pictures, and these rows have none"):
        make("both, late").network.feed(None, blind)
    mute = LabelRows(pictures=rows.pictures, picture_N=rows.picture_N)
    with pytest.raises(ConfigError, match="reads texts, and these rows have none"):
        make("bag of letters").network.feed(None, mute)
    with pytest.raises(ConfigError, match="has no tokenizer"):
        make("bag").network.feed(None, rows)


def test_a_bag_reads_tokens_then_runs_of_letters(make: Make) -> None:
    model = make("bag")
    assert model.tokenizer is not None
    config = model.network.config
    assert isinstance(config, Bag)
    found = ids_of(["red mug", ""], model.tokenizer, config)
    tokens = model.tokenizer.encode(["red mug"]).row(0)
    row = found.row(0)
    assert row[: len(tokens)].tolist() == tokens.tolist()
    assert len(row) - len(tokens) == 8 + 7 + 6
    assert bool((row[len(tokens) :] >= model.tokenizer.vocab).all())
    assert int(row.max()) < model.tokenizer.vocab + config.buckets
    assert found.length_N[1] == 1, "two spaces"


def test_texts_that_many_rows_share_are_read_once_each(make: Make, rows: LabelRows) -> None:
    model = make("text, mean")
    repeated = LabelRows(texts=(*TITLES, "never asked for"), text_N=np.array([3, 3, 0]))
    np.testing.assert_allclose(logits(model, repeated), logits(model, rows)[[3, 3, 0]], atol=1e-6)


def test_configurations_that_cannot_be_are_refused() -> None:
    read = TypeAdapter(Label).validate_python
    for stated, why in (
        ({"kind": "bag", "tokens": False, "buckets": 0}, "neither tokens nor runs"),
        ({"kind": "bag", "shortest": 5, "longest": 2}, "shortest 5 is more than longest 2"),
        ({"kind": "both", "fusion": "cross", "width": 10, "heads": 4}, "heads: 4 does not divide width 10"),
        ({"kind": "efficientnet_lite", "variant": "lite2"}, "use 'efficientnet-lite2'"),
    ):
        with pytest.raises(ValueError, match=why):
            read(stated)
    with pytest.raises(ConfigError, match="more than the start's"):
        create(TextEncoder(start=None, max_tokens=600), CLASSES, None, 0)


def test_a_folder_whose_channels_do_not_fit_is_refused(make: Make, tmp_path: Path) -> None:
    families.save(make("small_cnn"), tmp_path)
    stated = (tmp_path / "model.json").read_text(encoding="utf-8")
    (tmp_path / "model.json").write_text(stated.replace('"layer1": 12', '"layer1": 11'), encoding="utf-8")
    with pytest.raises((ArtifactError, RuntimeError), match="size mismatch"):
        families.load(tmp_path)


@pytest.mark.parametrize("kind", [k for k in KINDS if "bag" not in k and "text" not in k])
def test_every_channel_is_written_before_it_is_read(kind: str, make: Make) -> None:
    found = list(places(make(kind).network))
    written = {p.writes for p in found if p.writes is not None}
    assert {p.reads for p in found if p.reads is not None} == written
    for place in found:
        norm = None if place.norm is None else getattr(place.owner, place.norm)
        assert norm is None or len(norm.weight) == len(place.module.weight)
