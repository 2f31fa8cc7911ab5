"""Conformance of losses: one call says whether a function is a loss that training can trust.

>>> from shopstill.losses import LOSSES
>>> check_loss(LOSSES.get("soft"), LOSSES.module("soft").SPEC)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from torch import Tensor

from shopstill.testing._loss_cases import Case
from shopstill.testing._loss_cases import cases as known_cases
from shopstill.testing._loss_checks import CHECKS, Subject, must
from shopstill.testing._loss_claims import CLAIMS, Claim
from shopstill.testing._loss_rows import Rows
from shopstill.types import LossSpec

__all__ = ["CHECKS", "CLAIMS", "Case", "Claim", "Rows", "check_loss", "known_cases"]


def check_loss(
    function: Callable[..., Tensor],
    spec: LossSpec,
    cases: Sequence[Case] | None = None,
    claims: Collection[Claim] | None = None,
) -> None:
    """Hold a loss to everything that training counts on.

    Args:
        function: ``loss(student, other, **options)``, with ``group_B`` third where ``spec`` says grouped.
        spec: what it takes.
        cases: rows for which the loss is known, at least one; None for the library's own loss of that name.
        claims: what it promises besides; None for the library's own, or nothing.

    Raises:
        AssertionError: it fails; the message lists every check that failed, and how.
        ConfigError: no case is given and none is known by that name.
    """
    name = getattr(function, "__name__", repr(function))
    cases = known_cases(name, spec) if cases is None else cases
    claims = CLAIMS.get(name, frozenset()) if claims is None else claims
    must(len(cases) > 0, f"loss {name!r}: give at least one Case with a value known from elsewhere")
    subject = Subject(function=function, spec=spec, cases=cases, claims=claims)
    failures = [f"- {check}: {failure}" for check, run in CHECKS.items() for failure in _failures(run, subject)]
    must(not failures, f"loss {name!r} fails {len(failures)} of {len(CHECKS)} checks:\n" + "\n".join(failures))


def _failures(run: Callable[[Subject], None], subject: Subject) -> Iterator[str]:
    try:
        run(subject)
    except AssertionError as failure:
        yield str(failure)
    except Exception as failure:  # noqa: BLE001  (whatever a stranger's loss raises is its failure, not the suite's)
        yield f"raised {type(failure).__name__}: {failure}"
