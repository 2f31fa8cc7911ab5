from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.distance import pdist
from scipy.stats import entropy

from shopstill.core.errors import ConfigError
from shopstill.losses import LOSSES, check_options
from shopstill.losses.attention_relation import attention_relation
from shopstill.losses.bce import bce
from shopstill.losses.cosine import cosine
from shopstill.losses.cross_entropy import cross_entropy
from shopstill.losses.decoupled import decoupled
from shopstill.losses.info_nce import info_nce
from shopstill.losses.lambda_rank import lambda_rank
from shopstill.losses.listwise_kl import listwise_kl
from shopstill.losses.margin_mse import margin_mse
from shopstill.losses.mse import mse
from shopstill.losses.rkd_angle import rkd_angle
from shopstill.losses.rkd_distance import rkd_distance
from shopstill.losses.similarity_preserving import similarity_preserving
from shopstill.losses.soft import soft
from shopstill.losses.soft_bce import soft_bce


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_soft_agrees_with_torch_and_scipy() -> None:
    student, teacher, tau = normal(6, 5), normal(6, 5, seed=1), 2.5
    ours = soft(student, teacher, temperature=tau)
    log_q, p = (student / tau).log_softmax(-1), (teacher / tau).softmax(-1)
    torch.testing.assert_close(ours, tau**2 * F.kl_div(log_q, p, reduction="batchmean"))
    assert ours.item() == pytest.approx(tau**2 * np.mean(entropy(p.numpy(), log_q.exp().numpy(), axis=1)))


def test_the_gradient_of_soft_keeps_its_size_as_the_temperature_grows() -> None:
    teacher, gradients = normal(4, 3, seed=1), {}
    for tau in (10.0, 1000.0):
        student = normal(4, 3).requires_grad_()
        soft(student, teacher, temperature=tau).backward()
        gradients[tau] = student.grad
    torch.testing.assert_close(gradients[10.0], gradients[1000.0], rtol=0.2, atol=1e-2)


def test_soft_bce_is_soft_on_two_logits() -> None:
    student, teacher = normal(6), normal(6, seed=1)
    two = [torch.stack([torch.zeros_like(x), x], -1) for x in (student, teacher)]
    torch.testing.assert_close(soft_bce(student, teacher, temperature=3.0), soft(*two, temperature=3.0))


def test_listwise_over_groups_of_equal_size_is_soft_on_a_matrix() -> None:
    student, teacher, group = normal(4, 3), normal(4, 3, seed=1), torch.arange(4).repeat_interleave(3)
    ours = listwise_kl(student.flatten(), teacher.flatten(), group, temperature=2.0)
    torch.testing.assert_close(ours, soft(student, teacher, temperature=2.0))


def test_decoupled_parts_add_up_to_soft() -> None:
    """KL = TCKD + (1 - p_c)·NCKD (Zhao et al., equation 4), row by row."""
    student, teacher, target = normal(5, 4), normal(5, 4, seed=1), torch.tensor([0, 1, 2, 3, 0])
    for row in range(5):
        s, t, c = student[[row]], teacher[[row]], target[[row]]
        rest = 1 - t.softmax(-1)[0, c].item()
        parts = decoupled(s, t, target_B=c, alpha=1.0, beta=rest, temperature=1.0)
        torch.testing.assert_close(parts, soft(s, t))


def test_decoupled_takes_the_teachers_top_class_where_nobody_judged() -> None:
    student, teacher = normal(5, 4), normal(5, 4, seed=1)
    top = teacher.argmax(-1)
    unjudged = decoupled(student, teacher, target_B=torch.full((5,), -1))
    assert unjudged == decoupled(student, teacher) == decoupled(student, teacher, target_B=top)
    assert unjudged != decoupled(student, teacher, target_B=(top + 1) % 4)


def test_cross_entropy_agrees_with_torch() -> None:
    student, target = normal(6, 3), torch.tensor([0, 1, 2, -1, 1, 0])
    theirs = F.cross_entropy(student, target, ignore_index=-1, label_smoothing=0.1)
    torch.testing.assert_close(cross_entropy(student, target, label_smoothing=0.1), theirs)


def test_bce_agrees_with_torch() -> None:
    student, target = normal(6), torch.rand(6, dtype=torch.float64)
    torch.testing.assert_close(bce(student, target), F.binary_cross_entropy_with_logits(student, target))


def test_mse_computes_in_the_students_precision_whatever_the_grades_are() -> None:
    grades = torch.tensor([1.0, 2.0], dtype=torch.float64)
    assert mse(torch.zeros(2, dtype=torch.bfloat16), grades).dtype == torch.float32


def test_margin_mse_of_one_pair_is_torchs_mse_of_margins() -> None:
    student, teacher = 10 * normal(8), 10 * normal(8, seed=1)
    margins = [x[0::2] - x[1::2] for x in (student, teacher)]
    ours = margin_mse(student, teacher, torch.arange(4).repeat_interleave(2))
    torch.testing.assert_close(ours, F.mse_loss(*margins))


def test_margin_mse_is_exact_far_from_zero_in_float32() -> None:
    student = torch.tensor([9001.0, 9003.0])
    assert margin_mse(student, torch.tensor([-5000.0, -5001.0]), torch.tensor([0, 0])).item() == 9.0


@pytest.mark.parametrize("faint", [1e-8, 1e-16, 1e-30])
def test_margin_mse_stays_finite_beside_a_heavy_row(faint: float) -> None:
    weight = torch.tensor([1.0, faint, faint])
    student = torch.tensor([1.0, 2.0, 4.0])
    assert margin_mse(student, torch.zeros(3), torch.zeros(3, dtype=torch.int64), weight_B=weight).item() < 20


def test_rkd_distance_agrees_with_scipys_distances() -> None:
    student, teacher = normal(7, 3), normal(7, 5, seed=1)
    apart = [torch.from_numpy(d / d.mean()) for d in (pdist(student.numpy()), pdist(teacher.numpy()))]
    torch.testing.assert_close(rkd_distance(student, teacher), F.smooth_l1_loss(*apart))


@pytest.mark.parametrize("loss", [rkd_distance, rkd_angle, similarity_preserving])
def test_relations_of_a_large_batch_use_rows_spread_evenly(loss) -> None:
    student, teacher = normal(12, 3), normal(12, 4, seed=1)
    spread = torch.tensor([0, 3, 6, 9])
    assert loss(student, teacher, max_rows=4) == loss(student[spread], teacher[spread])
    assert loss(student, teacher, max_rows=None) == loss(student, teacher)


@pytest.mark.parametrize("name", ["rkd_distance", "rkd_angle", "similarity_preserving"])
def test_relations_need_no_projection(name: str) -> None:
    assert LOSSES.get(name)(normal(5, 2), normal(5, 7)).isfinite()


def test_a_repeat_of_a_product_is_no_negative() -> None:
    student, teacher = normal(1, 3).repeat(4, 1), normal(1, 3, seed=1).repeat(4, 1)
    assert info_nce(student, teacher).item() == 0
    assert info_nce(student, teacher, same_above=1).item() == pytest.approx(math.log(4))


def test_a_zero_vector_sends_no_gradient_and_no_nan() -> None:
    student = torch.zeros(2, 3, requires_grad=True)
    loss = cosine(student, torch.ones(2, 3))
    loss.backward()
    assert loss.item() == 1.0
    assert not student.grad.any()


def test_attention_padding_is_left_out() -> None:
    student, teacher = normal(2, 1, 3, 3), normal(2, 1, 3, 3, seed=1)
    padded = [F.pad(x, (0, 2, 0, 2), value=-math.inf) for x in (student, teacher)]
    torch.testing.assert_close(attention_relation(*padded), attention_relation(student, teacher))
    student_alone = attention_relation(padded[0], F.pad(teacher, (0, 2, 0, 2), value=5.0))
    torch.testing.assert_close(student_alone, attention_relation(student, teacher))


def test_an_example_of_nothing_but_padding_is_left_out() -> None:
    student, teacher = normal(2, 1, 3, 3), normal(2, 1, 3, 3, seed=1)
    student[1] = -math.inf
    student.requires_grad_()
    loss = attention_relation(student, teacher)
    loss.backward()
    torch.testing.assert_close(loss, attention_relation(student[:1], teacher[:1]))
    assert student.grad.isfinite().all()


def test_lambda_rank_ignores_swaps_below_its_depth() -> None:
    scores = torch.tensor([4.0, 3, 2, 1], requires_grad=True)
    grades, group = torch.tensor([1.0, 1, 0, 1]), torch.zeros(4, dtype=torch.int64)
    lambda_rank(scores, grades, group, k=2).backward()
    assert scores.grad[3] == 0 or scores.grad[2] == 0
    deep = torch.tensor([4.0, 3, 2, 1], requires_grad=True)
    lambda_rank(deep, grades, group, k=None).backward()
    assert deep.grad[3] < 0 < deep.grad[2]


def test_lambda_rank_survives_grades_whose_gain_overflows() -> None:
    scores, group = torch.tensor([0.0, 1.0, 2.0]), torch.zeros(3, dtype=torch.int64)
    huge = lambda_rank(scores, torch.tensor([1000.0, 999.0, 0.0]), group)
    assert huge.isfinite()
    assert huge > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cross_entropy(torch.zeros(2, 3), torch.tensor([0, 3])), "target of row 1 is 3; .* from 0 to 2"),
        (lambda: cross_entropy(torch.zeros(2, 3), torch.tensor([0.0, 1.0])), "whole-number class"),
        (lambda: cross_entropy(torch.zeros(2), torch.tensor([0, 1])), r"\[2\].*\[B, K\]"),
        (lambda: decoupled(torch.zeros(1, 3), torch.zeros(1, 3), target_B=torch.tensor([9])), "target of row 0 is 9"),
        (lambda: bce(torch.zeros(2), torch.tensor([0.5, 3.0])), "target of row 1 is 3.0; .* rescale"),
        (lambda: mse(torch.zeros(2), torch.zeros(2), weight_B=torch.tensor([1.0, -1.0])), "weight of row 1 is -1.0"),
        (lambda: mse(torch.zeros(1), torch.zeros(1), weight_B=torch.tensor([math.nan])), "weight of row 0 is nan"),
    ],
)
def test_nonsense_rows_are_refused_by_name(call, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call()


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        ("soft", {"temperature": -1}, "loss 'soft': temperature is -1"),
        ("soft", {"temperature": True}, "temperature is True"),
        ("soft", {"temperatur": 1}, "unknown option 'temperatur'; did you mean 'temperature'"),
        ("soft", {"weight_B": 1}, "unknown option 'weight_B'"),
        ("sofd", {}, "did you mean 'soft'"),
        ("cross_entropy", {"label_smoothing": 1.5}, "from 0 to 1"),
        ("decoupled", {"alpha": -1}, "alpha is -1; .* at least 0"),
        ("decoupled", {"beta": math.inf}, "beta is inf"),
        ("info_nce", {"same_above": 2}, "from -1 to 1"),
        ("lambda_rank", {"gain": "exponental"}, "did you mean 'exponential'"),
        ("lambda_rank", {"k": 0}, "k is 0; .* at least 1"),
        ("lambda_rank", {"k": 2.5}, "k is 2.5"),
        ("pairwise_logistic", {"sigma": "1"}, "sigma is '1'"),
        ("rkd_angle", {"max_rows": 2}, "at least 3"),
        ("rkd_distance", {"max_rows": 1}, "at least 2"),
    ],
)
def test_options_are_checked_before_training(loss: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_options(loss, options)


@pytest.mark.parametrize("name", LOSSES.names())
def test_the_defaults_of_every_loss_are_allowed(name: str) -> None:
    check_options(name, {})
