"""An objective: a tuple of terms, each a loss of the registry with its weight and the signal it compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from shopstill.core.errors import ConfigError, nearest
from shopstill.losses import LOSSES
from shopstill.types import Batch, LossSpec, Signals, Term


class Objective(nn.Module):
    """The sum of weighted terms; owns the projections from the student's features to the teacher's width.

    Raises:
        ConfigError: a loss is unknown, a term of features names no tap, or one across does not compare within groups.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        super().__init__()
        self.terms = tuple(terms)
        self._losses = [LOSSES.get(term.loss) for term in self.terms]
        self._specs: list[LossSpec] = [LOSSES.module(term.loss).SPEC for term in self.terms]
        self.projections = nn.ModuleDict()
        for term, spec in zip(self.terms, self._specs, strict=True):
            if spec.takes in ("features", "attention") and term.tap is None:
                raise ConfigError(f"objective: {term.loss} compares {spec.takes}; name which with 'tap'")
            if term.across and not spec.grouped:
                raise ConfigError(f"objective: {term.loss} compares each row alone; leave 'across' out")

    @property
    def needs_teacher(self) -> bool:
        """True where some term compares with the teacher."""
        return any(spec.against == "teacher" for spec in self._specs)

    @property
    def taps(self) -> tuple[str, ...]:
        """The teacher's features that it compares with."""
        return tuple(sorted({_sides(term.tap)[1] for term in self.terms if term.tap is not None}))

    @property
    def grouped(self) -> bool:
        """True where some term compares rows within a group, so that whole groups must be in a batch."""
        return any(spec.grouped for spec in self._specs)

    @property
    def across(self) -> bool:
        """True where some term compares each query of a batch with all its products."""
        return any(term.across for term in self.terms)

    def build(self, student: Signals, teacher: Signals) -> None:
        """Make the projections that the terms need, from one example of each side's signals."""
        for term, spec in zip(self.terms, self._specs, strict=True):
            if spec.takes == "features" and term.tap and term.loss in ("hint", "cosine", "info_nce"):
                ours, theirs = _feature(student, term.tap, "student"), _feature(teacher, term.tap, "teacher")
                name = _key(term.tap)
                if ours.shape[-1] != theirs.shape[-1] and name not in self.projections:
                    self.projections[name] = nn.Linear(ours.shape[-1], theirs.shape[-1], bias=False)

    def forward(self, student: Signals, batch: Batch, done: float = 0.0) -> tuple[Tensor, dict[str, float]]:
        """The weighted sum, and each term's own value, unweighted.

        Args:
            student: what the model returned.
            batch: target, groups and the teacher's signals.
            done: share of the training that lies behind.
        """
        weighted: list[Tensor] = []
        parts: dict[str, float] = {}
        for term, spec, loss in zip(self.terms, self._specs, self._losses, strict=True):
            given = self._arguments(term, spec, student, batch)
            value = loss(*given, **self._keywords(term, spec, batch), **term.options)
            weighted.append(term.factor(done) * value)
            name = f"{term.loss} of {term.tap}" if term.tap else term.loss
            parts[name] = parts.get(name, 0.0) + float(value.detach())
        return torch.stack(weighted).sum(), parts

    def _arguments(self, term: Term, spec: LossSpec, student: Signals, batch: Batch) -> list[Tensor]:
        if spec.against == "teacher" and batch.teacher is None:
            raise ConfigError(f"objective: {term.loss} compares with a teacher, but no labels were given")
        if spec.takes in ("logits", "scores"):
            other = batch.teacher.logits if spec.against == "teacher" and batch.teacher else batch.target
            found = [student.logits, other]
        else:
            assert term.tap is not None and batch.teacher is not None
            ours = _feature(student, term.tap, "student")
            ours = self.projections[_key(term.tap)](ours) if _key(term.tap) in self.projections else ours
            found = [ours, _feature(batch.teacher, term.tap, "teacher")]
        return [*found, batch.group] if spec.grouped else found

    def _keywords(self, term: Term, spec: LossSpec, batch: Batch) -> dict[str, Tensor]:
        weight = batch.weight
        if batch.own is not None and not term.across:
            own = batch.own.to(batch.target.dtype)
            weight = own if weight is None else own * weight
        found = {} if weight is None else {"weight_B": weight}
        return found | ({"target_B": _classes(batch.target)} if spec.with_target else {})


def _classes(target: Tensor) -> Tensor:
    """The class of each row: of a mixed one, that which has most of it; -1 where nobody judged it."""
    if target.dim() == 1:
        return target.nan_to_num(-1).long()
    unjudged_B = target.isnan().any(-1)
    return target.nan_to_num().argmax(-1).masked_fill(unjudged_B, -1)


def _feature(signals: Signals, tap: str, side: Literal["student", "teacher"]) -> Tensor:
    features: Mapping[str, Tensor] = signals.features
    name = _sides(tap)[side == "teacher"]
    if name not in features:
        raise ConfigError(f"objective: the {side} has no feature {name!r}: {nearest(name, features)}")
    return features[name]


def _sides(tap: str) -> tuple[str, str]:
    """The student's and the teacher's name of a feature: ``pooled`` of both, or ``hidden:pooled``."""
    ours, _, theirs = tap.partition(":")
    return ours, theirs or ours


def _key(tap: str) -> str:
    """A tap as a module's name."""
    return tap.replace(":", "_to_")
