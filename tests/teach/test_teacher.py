"""A teacher: the mean of its members, known by its weights wherever it lies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from shopstill.core.errors import ArtifactError, ConfigError
from shopstill.data.pairs import PairTexts
from shopstill.models import build
from shopstill.models.cross import Cross
from shopstill.teach import teacher as teachers
from shopstill.teach.teacher import Teacher
from shopstill.train.predict import predict

QUERIES, PRODUCTS = ["red mug", "chair", "red mug"], ["steel mug", "steel mug", "blue chair 18 in"]


@pytest.fixture
def folder(tmp_path: Path, tiny_start: Path) -> Path:
    for number in range(2):
        made = build.create(Cross(start=str(tiny_start), max_tokens=16 + 4 * number), None, seed=number)
        build.save(made, tmp_path / "teacher" / teachers.MEMBERS / str(number))
    return tmp_path / "teacher"


def test_an_ensemble_is_the_mean_of_its_members(folder: Path) -> None:
    held = teachers.load(folder)
    alone = [Teacher(folder=folder, members=(member,)).answer(QUERIES, PRODUCTS)[0] for member in held.members]
    found, _ = held.answer(QUERIES, PRODUCTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.mean(alone, axis=0), atol=1e-6)
    assert np.abs(alone[0] - alone[1]).max() > 1e-3


def test_an_answer_is_the_score_of_each_pair_of_texts(folder: Path) -> None:
    held = Teacher(folder=folder, members=teachers.load(folder).members[:1])
    (member,) = held.members
    texts = PairTexts(queries=QUERIES, products=PRODUCTS, query_N=np.arange(3), product_N=np.arange(3))
    expected = predict(member.network, member.network.feed(member.tokenizer, texts)).logits
    found, features = held.answer(QUERIES, PRODUCTS)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert features == {}
    again, _ = held.answer(QUERIES[::-1], PRODUCTS[::-1])
    np.testing.assert_allclose(again[::-1], found, atol=1e-5)


def test_features_come_with_the_logits_where_they_are_asked_for(folder: Path) -> None:
    held = teachers.load(folder)
    logits, features = held.answer(QUERIES, PRODUCTS, ("pooled",))
    np.testing.assert_allclose(logits, held.answer(QUERIES, PRODUCTS)[0], atol=1e-6)
    assert features["pooled"].shape == (3, held.widths(("pooled",))["pooled"])
    with pytest.raises(ConfigError, match="pooled"):
        held.answer(QUERIES, PRODUCTS, ("poled",))


def test_the_fingerprint_follows_the_weights_and_not_the_place(folder: Path, tmp_path: Path) -> None:
    held = teachers.load(folder)
    known = held.fingerprint, held.preparation
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    again = teachers.load(moved)
    assert (again.fingerprint, again.preparation) == known
    stated = moved / teachers.MEMBERS / "0" / "model.json"
    whole = json.loads(stated.read_text(encoding="utf-8"))
    whole["model"]["start"] = "elsewhere"
    stated.write_text(json.dumps(whole), encoding="utf-8")
    assert teachers.load(moved).fingerprint == known[0], "what it began as is no part of it"
    weights = moved / teachers.MEMBERS / "1" / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(bytes(raw))
    changed = teachers.load(moved)
    assert changed.fingerprint != known[0]
    assert changed.preparation == known[1]


def test_the_preparation_follows_tokenizer_and_length(folder: Path, tiny_start: Path) -> None:
    held = teachers.load(folder)
    short, long = (Teacher(folder=folder, members=(member,)) for member in held.members)
    assert short.preparation != long.preparation


def test_a_folder_without_members_is_no_teacher(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="run the teach stage"):
        teachers.load(tmp_path)
