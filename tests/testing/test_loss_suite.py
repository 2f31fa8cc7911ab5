"""The suite must reject losses that are wrong in the ways that published ones are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from shopstill.core.errors import ConfigError
from shopstill.losses import LOSSES
from shopstill.testing.losses import CLAIMS, Case, Rows, check_loss, known_cases
from shopstill.types import LossSpec

Loss = Callable[..., Tensor]
MUTANTS: list[Any] = []


def mutant(of: str, *caught_by: str) -> Callable[[Loss], Loss]:
    def register(function: Loss) -> Loss:
        MUTANTS.append(pytest.param(function, of, caught_by, id=function.__name__))
        return function

    return register


def original(name: str) -> Loss:
    return LOSSES.get(name)


def softened(student: Tensor, teacher: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    return (student / tau).log_softmax(-1), (teacher.detach() / tau).log_softmax(-1)


@mutant("soft", "analytic")
def without_the_square_of_the_temperature(student, teacher, *, temperature=1.0, weight_B=None):
    return original("soft")(student, teacher, temperature=temperature, weight_B=weight_B) / temperature**2


@mutant("soft", "analytic")
def with_the_temperature_instead_of_its_square(student, teacher, *, temperature=1.0, weight_B=None):
    return original("soft")(student, teacher, temperature=temperature, weight_B=weight_B) / temperature


@mutant("soft", "analytic")
def with_swapped_kl_arguments(student, teacher, *, temperature=1.0):
    log_q, log_p = softened(student, teacher, temperature)
    return temperature**2 * F.kl_div(log_p, log_q, reduction="batchmean", log_target=True)


@mutant("soft", "analytic")
def with_the_mean_over_classes_too(student, teacher, *, temperature=1.0):
    log_q, log_p = softened(student, teacher, temperature)
    return temperature**2 * F.kl_div(log_q, log_p, reduction="mean", log_target=True)


@mutant("soft", "analytic", "claims")
def with_probabilities_where_log_probabilities_belong(student, teacher, *, temperature=1.0):
    log_q, log_p = softened(student, teacher, temperature)
    return temperature**2 * F.kl_div(log_q.exp(), log_p.exp(), reduction="batchmean")


@mutant("soft", "gradient to the student alone")
def leaks_to_the_teacher(student, teacher, *, temperature=1.0):
    kl = F.kl_div((student / temperature).log_softmax(-1), (teacher / temperature).softmax(-1), reduction="batchmean")
    return temperature**2 * kl


@mutant("soft", "gradient to the student alone", "descent", "nothing to compare")
def teaches_nobody(student, teacher, *, temperature=1.0, weight_B=None):
    return original("soft")(student.detach(), teacher, temperature=temperature, weight_B=weight_B)


@mutant("soft", "analytic", "descent")
def runs_uphill(student, teacher, *, temperature=1.0):
    return -original("soft")(student, teacher, temperature=temperature)


@mutant("soft", "options")
def takes_a_temperature_of_zero(student, teacher, *, temperature=1.0, weight_B=None):
    tau = temperature if isinstance(temperature, float) and temperature > 0 else 1.0
    return original("soft")(student, teacher, temperature=tau, weight_B=weight_B)


@mutant("soft", "gradcheck")
def forces_float32(student, teacher, *, temperature=1.0, weight_B=None):
    return original("soft")(student.float(), teacher.float(), temperature=temperature, weight_B=weight_B)


@mutant("soft", "precision")
def computes_in_half_precision(student, teacher, *, temperature=1.0):
    log_q, log_p = softened(student, teacher, temperature)
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()


@mutant("soft", "finite")
def takes_the_logarithm_of_a_softmax(student, teacher, *, temperature=1.0):
    q, p = ((x / temperature).softmax(-1) for x in (student.double(), teacher.detach().double()))
    return temperature**2 * (p * (p.log() - q.log())).sum(-1).mean()


@mutant("listwise_kl", "analytic", "groups", "nothing to compare")
def ignores_groups(student, teacher, group_B, *, temperature=1.0, weight_B=None):
    one = torch.zeros_like(group_B)
    return original("listwise_kl")(student, teacher, one, temperature=temperature, weight_B=weight_B)


@mutant("listwise_kl", "analytic", "groups")
def adds_groups_up(student, teacher, group_B, *, temperature=1.0, weight_B=None):
    mean = original("listwise_kl")(student, teacher, group_B, temperature=temperature, weight_B=weight_B)
    return mean * len(group_B.unique())


@mutant("margin_mse", "analytic", "claims")
def squashes_the_teachers_scores(student, teacher, group_B, *, weight_B=None):
    return original("margin_mse")(student, teacher.sigmoid(), group_B, weight_B=weight_B)


@mutant("margin_mse", "analytic")
def squashes_both_sides(student, teacher, group_B, *, weight_B=None):
    return original("margin_mse")(student.sigmoid(), teacher.sigmoid(), group_B, weight_B=weight_B)


@mutant("margin_mse", "analytic", "groups", "nothing to compare")
def takes_pairs_across_groups(student, teacher, group_B, *, weight_B=None):
    return original("margin_mse")(student, teacher, torch.zeros_like(group_B), weight_B=weight_B)


@mutant("margin_mse", "claims")
def compares_scores_instead_of_margins(student, teacher, group_B, *, weight_B=None):
    return original("score_mse")(student, teacher, weight_B=weight_B)


@mutant("pairwise_logistic", "analytic", "descent")
def prefers_the_worse(student, target, group_B, *, sigma=1.0, weight_B=None):
    return original("pairwise_logistic")(-student, target, group_B, sigma=sigma, weight_B=weight_B)


@mutant("lambda_rank", "analytic")
def weighs_all_pairs_alike(student, target, group_B, *, k=10, gain="exponential", sigma=1.0, weight_B=None):
    return original("pairwise_logistic")(student, target, group_B, sigma=sigma, weight_B=weight_B)


@mutant("lambda_rank", "analytic")
def takes_linear_for_exponential_gains(student, target, group_B, *, k=10, gain="linear", sigma=1.0, weight_B=None):
    return original("lambda_rank")(student, target, group_B, k=k, gain=gain, sigma=sigma, weight_B=weight_B)


@mutant("rkd_distance", "analytic", "claims")
def does_not_divide_by_the_mean_distance(student, teacher, *, max_rows=512):
    first, second = torch.triu_indices(len(student), len(student), offset=1)
    apart = [(side[first] - side[second]).norm(dim=-1) for side in (student, teacher.detach())]
    return F.smooth_l1_loss(*apart)


@mutant("score_mse", "shapes")
def broadcasts_rows_against_columns(student, teacher):
    return (student - teacher.detach()).square().mean()


@mutant("score_mse", "weights")
def ignores_weights(student, teacher, *, weight_B=None):
    return original("score_mse")(student, teacher)


@mutant("score_mse", "weights", "analytic")
def adds_weighted_rows_up(student, teacher, *, weight_B=None):
    weight = torch.ones(len(student)) if weight_B is None else weight_B
    return (weight * (student - teacher.detach()).square()).sum() / len(student)


@mutant("mse", "unjudged rows", "analytic")
def takes_nan_for_grade_zero(student, target, *, weight_B=None):
    return original("mse")(student, target.nan_to_num(0.0), weight_B=weight_B)


@mutant("mse", "unjudged rows", "nothing to compare", "analytic")
def lets_nan_through(student, target, *, weight_B=None):
    return (student - target).square().mean()


@mutant("hint", "purity")
def changes_the_student_in_place(student, teacher, *, weight_B=None):
    loss = original("hint")(student, teacher, weight_B=weight_B)
    student.data.mul_(0.5)
    return loss


@mutant("hint", "order of rows")
def looks_at_the_first_row_most(student, teacher):
    weight = torch.arange(len(student), 0, -1)
    return original("hint")(student, teacher, weight_B=weight)


@pytest.mark.parametrize(("function", "of", "caught_by"), MUTANTS)
def test_a_broken_loss_is_rejected_by_the_check_meant_for_it(function: Loss, of: str, caught_by: tuple[str]) -> None:
    spec = LOSSES.module(of).SPEC
    with pytest.raises(AssertionError) as rejected:
        check_loss(function, spec, known_cases(of, spec), CLAIMS[of])
    for check in caught_by:
        assert f"- {check}: " in str(rejected.value)
    assert function.__name__ in str(rejected.value)


# --- as someone else would use it: a loss of their own, with a value of their own

SPEC = LossSpec(takes="scores", against="teacher", source="test")
ROWS = Rows(student=torch.tensor([1.0, 5.0]).double(), other=torch.tensor([3.0, 4.0]).double())


def absolute(student: Tensor, teacher: Tensor) -> Tensor:
    if student.shape != teacher.shape:
        raise ValueError(f"student {list(student.shape)} and teacher {list(teacher.shape)} differ")
    student = student if student.dtype == torch.float64 else student.float()
    return (student - teacher.detach()).abs().sum() / max(len(student), 1)


def test_a_loss_from_elsewhere_passes_with_a_case_of_its_own() -> None:
    check_loss(absolute, SPEC, [Case(rows=ROWS, expected=1.5)])


def test_a_loss_from_elsewhere_needs_a_case() -> None:
    with pytest.raises(ConfigError, match="no cases are known for a loss named 'absolute'"):
        check_loss(absolute, SPEC)
    with pytest.raises(AssertionError, match="at least one Case"):
        check_loss(absolute, SPEC, [])


def test_a_claim_that_does_not_hold_is_rejected() -> None:
    with pytest.raises(AssertionError, match=r"- claims: .*the student moves it"):
        check_loss(absolute, SPEC, [Case(rows=ROWS, expected=1.5)], {"shift"})
