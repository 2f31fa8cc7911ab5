"""Networks of classes learn by the loop that all models learn by, from rows that are never quite the same twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.label.conftest import CLASS_N, CLASSES, TITLES, Make

from shopstill.core.errors import ConfigError
from shopstill.models.label import Augment, Augmented, LabelModel, LabelRows
from shopstill.train.batches import Examples
from shopstill.train.fit import fit
from shopstill.train.objective import Objective
from shopstill.train.predict import predict
from shopstill.train.training import Training
from shopstill.types import Batch, Term

EVERY = np.arange(len(TITLES))
TRAINING = Training(epochs=25, batch_rows=4, learning_rate=5e-3, warmup=0.0)
TAUGHT = (
    Term(loss="soft", options={"temperature": 2.0}),
    Term(loss="adaptive_soft", options={"by": "disagreement"}),
    Term(loss="decoupled", weight=0.1),
    Term(loss="cross_entropy", weight=0.5, options={"label_smoothing": 0.1, "class_weight": [1.0, 2.0, 1.0]}),
    Term(loss="hint", weight=0.01, tap="pooled:image"),
    Term(loss="attention_transfer", weight=0.1, tap="map"),
)


def examples(model: LabelModel, rows: LabelRows, teacher: LabelModel | None = None) -> Examples:
    feed = model.network.feed(model.tokenizer, rows)
    plain = Examples(feed=feed, target_N=CLASS_N, group_N=EVERY)
    if teacher is None:
        return plain
    taps = ("image", "map")
    said = predict(teacher.network, teacher.network.feed(teacher.tokenizer, rows), taps=taps)
    return replace(plain, teacher_N=said.logits, features=said.features)


def learn(model: LabelModel, given: Any, terms: tuple[Term, ...], folder: Path, **changes: Any) -> float:
    def judge(network: torch.nn.Module) -> dict[str, float]:
        plain = given.examples if isinstance(given, Augmented) else given
        return {"accuracy": float((predict(network, plain.feed).logits.argmax(-1) == CLASS_N).mean())}

    training = replace(TRAINING, **changes)
    return fit(model.network, given, Objective(terms), training, judge=judge, folder=folder, seed=0).best


@pytest.mark.parametrize(
    "kind", ["small_cnn", "mobilenet, squeezed", "resnet 18", "bag of letters", "both, cross, bag"]
)
def test_a_model_learns_the_classes(kind: str, make: Make, rows: LabelRows, tmp_path: Path) -> None:
    model = make(kind)
    hard = (Term(loss="cross_entropy"),)
    rate = 0.1 if kind.startswith("bag") else 5e-3
    assert learn(model, examples(model, rows), hard, tmp_path / "fit", learning_rate=rate) >= 7 / 8


def test_a_teacher_of_both_teaches_one_that_sees_pictures_alone(make: Make, rows: LabelRows, tmp_path: Path) -> None:
    teacher, student = make("both, late"), make("small_cnn")
    learn(teacher, examples(teacher, rows), (Term(loss="cross_entropy"),), tmp_path / "teacher")
    given = Augmented(examples=examples(student, rows, teacher), augment=Augment(shift=1), classes=3)
    assert learn(student, given, TAUGHT, tmp_path / "student") >= 7 / 8


def test_mixed_rows_teach_with_every_term(make: Make, rows: LabelRows, tmp_path: Path) -> None:
    teacher, student = make("both, cross"), make("small_cnn")
    mixing = Augment(shift=1, mixup=0.4)
    given = Augmented(examples=examples(student, rows, teacher), augment=mixing, classes=len(CLASSES))
    torch.manual_seed(0)
    batch = given.batch(EVERY)
    objective = Objective(TAUGHT)
    assert batch.teacher is not None
    objective.build(student.network(**batch.inputs), batch.teacher)
    value, parts = objective(student.network(**batch.inputs), batch)
    value.backward()
    assert len(parts) == len(TAUGHT)
    assert all(np.isfinite(part) for part in parts.values())


def _batch(make: Make, rows: LabelRows, augment: Augment, seed: int = 0, unjudged: bool = False) -> tuple[Batch, Batch]:
    """A batch, and what became of it."""
    teacher, student = make("both, late"), make("small_cnn")
    plain = examples(student, rows, teacher)
    if unjudged:
        plain = replace(plain, target_N=np.where(EVERY == 3, -1, CLASS_N))
    torch.manual_seed(seed)
    return plain.batch(EVERY), Augmented(examples=plain, augment=augment, classes=len(CLASSES)).batch(EVERY)


def test_a_picture_is_turned_or_not_and_nothing_else_changes(make: Make, rows: LabelRows) -> None:
    before, after = _batch(make, rows, Augment(flip=True, shift=0))
    one, other = before.inputs["image_BHWC"], after.inputs["image_BHWC"]
    turned = [torch.equal(b, a.flip(1)) for a, b in zip(one, other, strict=True)]
    same = [torch.equal(b, a) for a, b in zip(one, other, strict=True)]
    assert other.dtype == torch.uint8
    assert all(t or s for t, s in zip(turned, same, strict=True))
    assert any(turned)
    assert any(same)
    assert torch.equal(before.target, after.target)


def test_a_picture_moves_by_the_shift_at_most(make: Make, rows: LabelRows) -> None:
    before, after = _batch(make, rows, Augment(flip=False, shift=2))
    for a, b in zip(before.inputs["image_BHWC"], after.inputs["image_BHWC"], strict=True):
        found = [
            (y, x)
            for y in range(-2, 3)
            for x in range(-2, 3)
            if torch.equal(b[2:-2, 2:-2], a[2 + y : a.shape[0] - 2 + y, 2 + x : a.shape[1] - 2 + x])
        ]
        assert len(found) == 1


def test_the_same_seed_changes_pictures_alike(make: Make, rows: LabelRows) -> None:
    wanted = Augment(shift=2, mixup=0.3)
    one, same, other = (_batch(make, rows, wanted, seed)[1].inputs["image_BHWC"] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_mixture_is_one_of_pixels_classes_and_what_the_teacher_says(make: Make, rows: LabelRows) -> None:
    before, after = _batch(make, rows, Augment(flip=False, shift=0, mixup=1.0), unjudged=True)
    assert before.teacher is not None
    assert after.teacher is not None
    unjudged = after.target.isnan().any(-1)
    assert 1 <= int(unjudged.sum()) <= 2
    torch.testing.assert_close(after.target[~unjudged].sum(-1), torch.ones(int((~unjudged).sum())))
    likely, pixels = before.teacher.logits.softmax(-1), before.inputs["image_BHWC"].float()
    for row in range(len(EVERY)):
        mixed = after.inputs["image_BHWC"][row]
        fits = [(_share(pixels[row], pixels[n], mixed), n) for n in range(len(EVERY)) if n != row]
        share, partner = next(((s, n) for s, n in fits if s is not None), (1.0, row))
        assert 0.5 <= share <= 1
        expected = share * likely[row] + (1 - share) * likely[partner]
        torch.testing.assert_close(after.teacher.logits[row].softmax(-1), expected, atol=1e-4, rtol=1e-3)


def _share(own: torch.Tensor, other: torch.Tensor, mixed: torch.Tensor) -> float | None:
    """λ where ``mixed`` is λ · own + (1 − λ) · other."""
    gap = (own - other).flatten()
    share = float(((mixed - other).flatten() @ gap) / (gap @ gap))
    return share if torch.allclose(share * own + (1 - share) * other, mixed, atol=1e-2) else None


def test_what_cannot_be_augmented_is_refused(make: Make, rows: LabelRows) -> None:
    for kind, augment, why in (
        ("bag", Augment(), "no pictures; leave it out"),
        ("both, late", Augment(mixup=0.2), "no mean of two texts; set mixup: 0"),
    ):
        model = make(kind)
        with pytest.raises(ConfigError, match=why):
            Augmented(examples=examples(model, rows), augment=augment, classes=3).batch(EVERY)
