"""The checks of a loss, each a function that raises AssertionError with what it found."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from shopstill.testing._loss_cases import Case
from shopstill.testing._loss_claims import Claim
from shopstill.testing._loss_rows import GROUP_SIZES, Rows, agreement, call, cast, draw, extremes, pick
from shopstill.types import LossSpec

_HALVES = (torch.float16, torch.bfloat16)
_STEPS = 10


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A loss under test, with what is known of it."""

    function: Callable[..., Tensor]
    spec: LossSpec
    cases: Sequence[Case]
    claims: Collection[Claim]

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """Its parameters by name, in order."""
        return dict(inspect.signature(self.function).parameters)

    def value(self, rows: Rows, **options: Any) -> float:
        """The loss as a number."""
        return float(call(self.function, rows, **options))

    def gradient(self, rows: Rows, **options: Any) -> tuple[Tensor, Tensor]:
        """The loss, and its gradient with respect to the student."""
        student = rows.student.detach().clone().requires_grad_()
        loss = call(self.function, replace(rows, student=student), **options)
        must(loss.requires_grad, "the loss hangs on no graph: backward() would fail")
        loss.backward()
        return loss.detach(), torch.zeros_like(student) if student.grad is None else student.grad


def must(holds: bool, message: str) -> None:
    """Raise AssertionError where something does not hold, also under ``python -O``."""
    if not holds:
        raise AssertionError(message)


def _same(found: float | Tensor, expected: float | Tensor, message: str, tolerance: float = 1e-8) -> None:
    a, b = (torch.as_tensor(value, dtype=torch.float64) for value in (found, expected))
    near = a.shape == b.shape and torch.allclose(a, b, rtol=tolerance, atol=tolerance)
    must(near, f"{message}: {a.tolist()}, expected {b.tolist()}")


def _finite(subject: Subject) -> None:
    for what, rows in extremes(subject.spec).items():
        for dtype in (torch.float64, torch.float32, *_HALVES):
            loss, gradient = subject.gradient(cast(rows, dtype))
            must(loss.dim() == 0, f"{what}: has shape {list(loss.shape)}, not a scalar")
            must(bool(loss.isfinite()), f"{what}, {dtype}: is {loss.item()}")
            must(bool(gradient.isfinite().all()), f"{what}, {dtype}: the gradient is not finite")


def _nothing_to_compare(subject: Subject) -> None:
    rows = draw(subject.spec)
    nothing = {"no rows": pick(rows, torch.arange(0))}
    if "weight_B" in subject.parameters:
        nothing["no row with weight"] = replace(rows, weight_B=torch.zeros(len(rows.student)))
    if subject.spec.against == "target":
        nothing["no row judged"] = replace(rows, other=_unjudged(rows.other, torch.arange(len(rows.other))))
    if subject.spec.grouped:
        nothing["groups of one row"] = replace(rows, group_B=torch.arange(len(rows.student)))
    for what, empty in nothing.items():
        loss, gradient = subject.gradient(empty)
        _same(loss, 0.0, what)
        must(not gradient.any(), f"{what}: sends a gradient")


def _gradient_to_student_alone(subject: Subject) -> None:
    rows = draw(subject.spec)
    must(bool(subject.gradient(rows)[1].any()), "the student gets no gradient")
    if rows.other.is_floating_point():
        other = rows.other.clone().requires_grad_()
        student = rows.student.clone().requires_grad_()
        call(subject.function, replace(rows, student=student, other=other)).backward()
        must(other.grad is None, "the other side gets a gradient; detach it")


def _gradcheck(subject: Subject) -> None:
    rows = draw(subject.spec, seed=2)
    must(call(subject.function, rows).dtype == torch.float64, "float64 is not computed in float64")

    def of_student(student: Tensor) -> Tensor:
        return call(subject.function, replace(rows, student=student))

    torch.autograd.gradcheck(of_student, (rows.student.requires_grad_(),), atol=1e-6, rtol=1e-4)


def _precision(subject: Subject) -> None:
    rows = draw(subject.spec, seed=3)
    for dtype in _HALVES:
        half = cast(rows, dtype)
        found = call(subject.function, half)
        must(found.dtype == torch.float32, f"{dtype} gives {found.dtype}; compute in float32")
        _same(found, subject.value(cast(half, torch.float32)), f"{dtype} differs from float32", 1e-5)
    single = cast(rows, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = call(subject.function, single)
    _same(found, subject.value(single), "differs under autocast", 1e-5)


def _analytic(subject: Subject) -> None:
    for number, case in enumerate(subject.cases):
        loss, gradient = subject.gradient(case.rows, **case.options)
        _same(loss, case.expected, f"case {number} with {dict(case.options)}: value")
        if case.gradient is not None:
            _same(gradient, case.gradient, f"case {number} with {dict(case.options)}: gradient")


def _claims(subject: Subject) -> None:
    for claim in subject.claims:
        {"minimum": _minimum, "shift": _shift, "scale": _scale}[claim](subject)


def _minimum(subject: Subject) -> None:
    rows = draw(subject.spec, seed=4)
    least, gradient = subject.gradient(replace(rows, student=rows.other.double()))
    _same(gradient, torch.zeros_like(gradient), "gradient where the student equals the other side")
    for seed in range(5):
        value = subject.value(replace(rows, student=draw(subject.spec, seed=seed + 5).student))
        must(value > least.item(), f"is {value} elsewhere and {least.item()} where the student equals the other side")


def _shift(subject: Subject) -> None:
    rows = draw(subject.spec, seed=5)
    shape = {
        "scores": rows.student.shape,
        "logits": (len(rows.student), 1),
        "features": (1, *rows.student.shape[1:]),
        "attention": (*rows.student.shape[:-1], 1),
    }[subject.spec.takes]
    by = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if subject.spec.takes == "scores":
        by = by[0].expand_as(by) if rows.group_B is None else by[rows.group_B]
    _unmoved(subject, rows, lambda side: side + by, "a constant is added")


def _scale(subject: Subject) -> None:
    _unmoved(subject, draw(subject.spec, seed=6), lambda side: 3 * side, "multiplied by 3")


def _unmoved(subject: Subject, rows: Rows, move: Callable[[Tensor], Tensor], what: str) -> None:
    value = subject.value(rows)
    _same(subject.value(replace(rows, student=move(rows.student))), value, f"the student moves it: {what}")
    if subject.spec.against == "teacher":
        _same(subject.value(replace(rows, other=move(rows.other))), value, f"the teacher moves it: {what}")


def _descent(subject: Subject) -> None:
    rows = draw(subject.spec, seed=7)
    student = rows.student.clone().requires_grad_()
    optimiser = torch.optim.Adam([student], lr=0.05)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        call(subject.function, replace(rows, student=student)).backward()
        optimiser.step()
    stepped = replace(rows, student=student.detach())
    before, after = subject.value(rows), subject.value(stepped)
    must(after < before, f"is {before} before and {after} after {_STEPS} gradient steps")
    # A loss of the wrong sign falls too: what it pulls the student to must be judged without it.
    before, after = (agreement(subject.spec, r) for r in (rows, stepped))
    must(after > before, f"{_STEPS} gradient steps take the student away from its target: {before} to {after}")


def _order_of_rows(subject: Subject) -> None:
    rows = draw(subject.spec, seed=8)
    random = torch.Generator().manual_seed(0)
    blocks = torch.arange(len(rows.student)).split(GROUP_SIZES if subject.spec.grouped else len(rows.student))
    mixed = [block[torch.randperm(len(block), generator=random)] for block in reversed(blocks)]
    _same(subject.value(pick(rows, torch.cat(mixed))), subject.value(rows), "changes when rows change places")


def _groups(subject: Subject) -> None:
    if not subject.spec.grouped:
        return
    rows = draw(subject.spec, seed=9)
    blocks = torch.arange(len(rows.student)).split(GROUP_SIZES)
    alone = [subject.value(pick(rows, block)) for block in blocks]
    _same(subject.value(rows), sum(alone) / len(alone), "is not the mean of what its groups are alone")


def _weights(subject: Subject) -> None:
    if "weight_B" not in subject.parameters:
        return
    rows = draw(subject.spec, seed=10)
    count = len(rows.student)
    ones, some = torch.ones(count), torch.arange(count) % 5 + 1.0
    value = subject.value(replace(rows, weight_B=some))
    _same(subject.value(replace(rows, weight_B=ones)), subject.value(rows), "weights of 1 differ from none")
    must(abs(value - subject.value(rows)) > 1e-6, "weights make no difference")
    _same(subject.value(replace(rows, weight_B=3 * some)), value, "is no mean: weights times 3 change it", 1e-6)
    kept = torch.tensor([row for row in range(count) if row not in (1, count - 1)])
    absent = replace(rows, weight_B=ones.index_fill(0, torch.tensor([1, count - 1]), 0))
    _same(subject.value(absent), subject.value(pick(rows, kept)), "a row of weight 0 is not as if absent")


def _unjudged_rows(subject: Subject) -> None:
    if subject.spec.against == "teacher":
        return
    rows = draw(subject.spec, seed=11)
    count = len(rows.student)
    kept = torch.tensor([row for row in range(count) if row not in (1, count - 1)])
    unjudged = replace(rows, other=_unjudged(rows.other, torch.tensor([1, count - 1])))
    loss, gradient = subject.gradient(unjudged)
    _same(loss, subject.value(pick(rows, kept)), "a row that nobody judged (NaN, or class -1) is not left out")
    must(bool(gradient.isfinite().all()), "a row that nobody judged makes the gradient not finite")


def _unjudged(other: Tensor, index: Tensor) -> Tensor:
    return other.index_fill(0, index, float("nan") if other.is_floating_point() else -1)


def _shapes(subject: Subject) -> None:
    rows = draw(subject.spec)
    fewer = torch.arange(len(rows.student) - 1)
    wrong = {"other": replace(rows, other=rows.other[fewer]), "student": replace(rows, student=rows.student[..., None])}
    if subject.spec.grouped:
        wrong["group_B"] = replace(rows, group_B=fewer)
    if "weight_B" in subject.parameters:
        wrong["weight_B"] = replace(rows, weight_B=torch.ones(len(fewer)))
    for name, bad in wrong.items():
        message = _refusal(subject, bad, {}, f"{name} of shape {list(getattr(bad, name).shape)}")
        for shape in (list(bad.student.shape), list(getattr(bad, name).shape)):
            must(str(shape) in message, f"the message does not name the shape {shape}: {message}")


def _options(subject: Subject) -> None:
    must(
        all(p.kind is p.KEYWORD_ONLY for name, p in list(subject.parameters.items())[2 + subject.spec.grouped :]),
        "options must be keyword-only",
    )
    for name in {"temperature", "sigma"} & set(subject.parameters):
        for value in (0.0, -1.0, float("nan"), float("inf"), "hot"):
            message = _refusal(subject, draw(subject.spec), {name: value}, f"{name}={value!r}")
            must(name in message, f"the message does not name {name}: {message}")


def _refusal(subject: Subject, rows: Rows, options: dict[str, Any], what: str) -> str:
    try:
        call(subject.function, rows, **options)
    except ValueError as refusal:
        return str(refusal)
    raise AssertionError(f"{what} is accepted; refuse it with a ValueError")


def _purity(subject: Subject) -> None:
    rows, before = draw(subject.spec, seed=12), draw(subject.spec, seed=12)
    must(subject.value(rows) == subject.value(rows), "two calls on the same rows differ")
    for field in fields(rows):
        after, given = getattr(rows, field.name), getattr(before, field.name)
        must(given is None or torch.equal(after, given), f"{field.name} is changed in place")


CHECKS: Mapping[str, Callable[[Subject], None]] = {
    "finite": _finite,
    "nothing to compare": _nothing_to_compare,
    "gradient to the student alone": _gradient_to_student_alone,
    "gradcheck": _gradcheck,
    "precision": _precision,
    "analytic": _analytic,
    "claims": _claims,
    "descent": _descent,
    "order of rows": _order_of_rows,
    "groups": _groups,
    "weights": _weights,
    "unjudged rows": _unjudged_rows,
    "shapes": _shapes,
    "options": _options,
    "purity": _purity,
}
