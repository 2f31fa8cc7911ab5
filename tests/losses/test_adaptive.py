"""Losses for teachers that err, and for classes that are not alike in size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from shopstill.core.errors import ConfigError
from shopstill.losses import check_options
from shopstill.losses._classes import effective_number, inverse_frequency
from shopstill.losses.adaptive_soft import By, adaptive_soft, trust
from shopstill.losses.attention_transfer import attention_transfer
from shopstill.losses.cosine import cosine
from shopstill.losses.cross_entropy import cross_entropy
from shopstill.losses.soft import soft

EVERY: tuple[By, ...] = ("confidence", "entropy", "disagreement")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("by", EVERY)
def test_trust_is_a_part_of_one(by: By) -> None:
    teacher, target = 20 * normal(200, 7), torch.arange(200) % 7
    found = trust(torch.cat([teacher, torch.zeros(1, 7), 1e4 * torch.eye(7)[:1]]), F.pad(target, (0, 2)), by)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert float(found[-1]) == pytest.approx(1), "a teacher that is sure, and right"
    assert float(found[-2]) == pytest.approx(1.0 if by == "disagreement" else 0.0, abs=1e-9), "one that has no idea"


@pytest.mark.parametrize("by", EVERY)
def test_where_all_is_trusted_it_is_soft(by: By) -> None:
    student, teacher, target = normal(9, 4), normal(9, 4, seed=1), torch.arange(9) % 4
    expected = soft(student, teacher, temperature=2.0)
    found = adaptive_soft(student, teacher, target_B=target, by=by, sharpness=0.0, temperature=2.0)
    torch.testing.assert_close(found, expected)
    if by == "disagreement":
        torch.testing.assert_close(adaptive_soft(student, teacher, temperature=2.0), expected)
        right = teacher.argmax(-1)
        torch.testing.assert_close(adaptive_soft(student, teacher, target_B=right, temperature=2.0), expected)


@pytest.mark.parametrize("by", EVERY)
def test_its_gradient_is_that_of_soft_times_the_trust(by: By) -> None:
    """∂L/∂s_bk = a_b · τ · (q_bk − p_bk) / B."""
    student, teacher, target, tau = normal(6, 5).requires_grad_(), normal(6, 5, seed=1), torch.arange(6) % 5, 3.0
    adaptive_soft(student, teacher, target_B=target, by=by, sharpness=2.0, temperature=tau).backward()
    q, p = (student.detach() / tau).softmax(-1), (teacher / tau).softmax(-1)
    expected = (trust(teacher, target, by) ** 2)[:, None] * tau * (q - p) / 6
    assert student.grad is not None
    torch.testing.assert_close(student.grad, expected)


def _accuracy(by: By | None, seed: int) -> float:
    """A linear student of a teacher that is wrong, and a little less sure, on three rows of ten; truth on test rows."""
    draw = torch.Generator().manual_seed(seed)
    classes, width, rows = 5, 12, 1200
    centre = torch.randn(classes, width, generator=draw)
    target = torch.randint(0, classes, (rows,), generator=draw)
    x = centre[target] + 0.9 * torch.randn(rows, width, generator=draw)
    learnt = slice(0, 300)
    # It takes one class for the next one: errors that do not average out.
    wrong = (torch.rand(rows, generator=draw) < 0.45) & (target < 3)
    said = torch.where(wrong, (target + 1) % classes, target)
    teacher = F.one_hot(said, classes) * torch.where(wrong, 2.0, 5.0)[:, None]
    teacher = teacher + 0.3 * torch.randn(rows, classes, generator=draw)
    student = torch.nn.Linear(width, classes)
    torch.nn.init.zeros_(student.weight)
    optimiser = torch.optim.Adam(student.parameters(), lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        logits, given, truth = student(x[learnt]), teacher[learnt], target[learnt]
        taught = soft(logits, given) if by is None else adaptive_soft(logits, given, target_B=truth, by=by)
        (taught + 0.1 * cross_entropy(logits, truth)).backward()
        optimiser.step()
    return float((student(x[300:]).argmax(-1) == target[300:]).float().mean())


@pytest.mark.parametrize("by", EVERY)
def test_a_wrong_teacher_pulls_the_student_down_less(by: By) -> None:
    gains = [_accuracy(by, seed) - _accuracy(None, seed) for seed in range(5)]
    assert min(gains) > 0, gains
    assert sum(gains) / len(gains) > (0.05 if by == "disagreement" else 0.01), gains


def test_what_adaptive_soft_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'entropy'"):
        check_options("adaptive_soft", {"by": "entrpy"})
    with pytest.raises(ConfigError, match="sharpness"):
        check_options("adaptive_soft", {"sharpness": -1.0})


def test_cross_entropy_agrees_with_torch_on_shares_and_weights() -> None:
    student, shares, weights = normal(6, 4), normal(6, 4, seed=1).softmax(-1), [0.2, 1.0, 3.0, 0.5]
    torch.testing.assert_close(cross_entropy(student, shares), F.cross_entropy(student, shares))
    target = torch.arange(6) % 4
    expected = F.cross_entropy(student, target, weight=torch.tensor(weights, dtype=torch.float64))
    torch.testing.assert_close(cross_entropy(student, target, class_weight=weights), expected)
    hot = F.one_hot(target, 4).double()
    smooth = {"class_weight": weights, "label_smoothing": 0.2}
    torch.testing.assert_close(cross_entropy(student, hot, **smooth), cross_entropy(student, target, **smooth))


def test_shares_that_are_none_are_refused() -> None:
    student = torch.zeros(2, 3)
    for wrong, why in (
        (torch.tensor([[0.5, 0.4, 0.0], [1.0, 0, 0]]), "shares of row 0"),
        (torch.tensor([[1.0, 0, 0], [1.5, -0.5, 0.0]]), "shares of row 1"),
        (torch.ones(2, 2) / 2, "one share a class"),
        (torch.ones(2, 3, dtype=torch.int64), "one share a class"),
    ):
        with pytest.raises(ConfigError, match=why):
            cross_entropy(student, wrong)


def test_class_weights_are_checked_before_any_training() -> None:
    check_options("cross_entropy", {"class_weight": [1.0, 2.0, 3.0]})
    for wrong in ([1.0, -2.0], [1.0, float("nan")], "heavy"):
        with pytest.raises(ConfigError, match="class_weight"):
            check_options("cross_entropy", {"class_weight": wrong})
    with pytest.raises(ConfigError, match="one weight a class"):
        cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]), class_weight=[1.0, 2.0])


def test_weights_of_classes_leave_the_mean_row_as_it_was() -> None:
    counts = [90, 9, 1, 0]
    for weights in (inverse_frequency(counts), effective_number(counts), effective_number(counts, beta=0.9)):
        assert sum(w * n for w, n in zip(weights, counts, strict=True)) == pytest.approx(sum(counts))
        assert weights == sorted(weights)
    between = effective_number(counts, beta=0.9)
    assert 1 < between[2] / between[0] < inverse_frequency(counts)[2] / inverse_frequency(counts)[0] == 90
    near = effective_number(counts, beta=1 - 1e-9)
    assert near == pytest.approx(inverse_frequency(counts), rel=1e-3)
    with pytest.raises(ConfigError, match="beta"):
        effective_number(counts, beta=1.0)


def test_attention_transfer_is_twice_the_cosine_loss_or_its_root() -> None:
    student, teacher = normal(1, 9).square(), normal(1, 9, seed=1).square()
    twice = 2 * cosine(student, teacher)
    torch.testing.assert_close(attention_transfer(student, teacher), twice)
    torch.testing.assert_close(attention_transfer(student, teacher, squared=False), twice.sqrt())
