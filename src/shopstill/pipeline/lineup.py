"""Models of a task side by side, on questions that chose nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from shopstill.evaluate.scored import Scored
from shopstill.tasks import TEACHER, Course, Labels
from shopstill.tasks._course import Part

log = logging.getLogger(__name__)

_PARTS: tuple[Part, ...] = ("valid", "test")


class Lineup:
    """Collects what models say of the validation and test part, model by model; the baselines stand in it already.

    Args:
        course: the task over a shop.
        labels: where the teacher is.
    """

    def __init__(self, course: Course[Any], labels: Labels) -> None:
        self._course = course
        self._outputs: dict[str, Mapping[Part, np.ndarray]] = {}
        self._roles: dict[str, str] = {}
        given = {part: course.teachers(part, labels) for part in _PARTS}
        lacking = sum(int((~np.isfinite(outputs)).sum()) for outputs in given.values())
        if lacking:
            log.warning("the teacher is not judged: it has no score for %d of the validation and test pairs", lacking)
        else:
            self.take(TEACHER, given, "teacher")
        for name, outputs in course.baselines().items():
            self.take(name, outputs, "baseline")

    def add(self, name: str, model: Any, role: str) -> None:
        """Take in what a model says."""
        outputs = {part: self._course.outputs(part, model, f"scoring {part} with {name}") for part in _PARTS}
        self.take(name, outputs, role)

    def take(self, name: str, outputs: Mapping[Part, np.ndarray], role: str) -> None:
        """Take in outputs that are known: part → [N, …]."""
        self._outputs[name], self._roles[name] = outputs, role

    def scored(self) -> Scored:
        """The test part with what every model said of it."""
        judged = {name: self._course.judged(outputs) for name, outputs in self._outputs.items()}
        return Scored(
            truth=self._course.truth("test"),
            roles=self._roles,
            scores={name: scores for name, (scores, _) in judged.items()},
            predictions={name: predictions for name, (_, predictions) in judged.items()},
        )
