"""What an answer of a model costs whose questions are answered one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch.utils.flop_counter import FlopCounterMode

from shopstill.evaluate.costs import Costs
from shopstill.evaluate.latency import Call, Timing, measure
from shopstill.models import families
from shopstill.tasks._course import TEACHER
from shopstill.tasks._rows import RowCourse

_ASKED = 256


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A contender: so many questions at once, from what is known of them to logits."""

    course: RowCourse[Any, Any]
    models: Sequence[Any]
    questions: Any
    note: str = "pictures already decoded; texts tokenised, pictures read, all of it answered"

    def prepare(self, candidates: int, threads: int) -> Call:
        """Questions in turn, ``candidates`` of them a call."""
        torch.set_num_threads(threads)
        threadpool_limits(threads, "blas")
        state = {"at": 0}

        def call() -> object:
            start, state["at"] = state["at"], state["at"] + candidates
            asked = self.questions.take(np.arange(start, state["at"]) % len(self.questions))
            return [answered(self.course, model, asked) for model in self.models]

        return call


@torch.inference_mode()
def answered(course: RowCourse[Any, Any], model: Any, questions: Any) -> torch.Tensor:
    """Logits of questions."""
    inputs = course.feed(questions, model).inputs(np.arange(len(questions)))
    found: torch.Tensor = model.network.eval()(**inputs).logits
    return found


def costs(course: RowCourse[Any, Any], folders: Mapping[str, Sequence[Path]], timing: Timing) -> Costs:
    """Measure models, or ensembles of several, on test questions.

    Args:
        course: the task over a shop.
        folders: contender → folders of its models; one without any is left out.
        timing: how times are taken; its candidates are questions at once.
    """
    test = course.questions("test")
    questions = test.take(np.arange(min(_ASKED, len(test))))
    models = {name: [families.load(folder) for folder in those] for name, those in folders.items() if those}
    contenders = {name: Answer(course=course, models=those, questions=questions) for name, those in models.items()}
    before = torch.get_num_threads()
    try:
        with threadpool_limits():  # puts back what the contenders set for numpy
            latency = measure(contenders, timing, reference=TEACHER if TEACHER in contenders else None)
    finally:
        torch.set_num_threads(before)
    one = questions.take(np.zeros(1, np.int64))
    return Costs(
        latency=latency, flops={name: sum(_flops(course, m, one) for m in those) for name, those in models.items()}
    )


def _flops(course: RowCourse[Any, Any], model: Any, question: Any) -> int:
    """Floating point operations of one answer."""
    with FlopCounterMode(display=False) as counted:
        answered(course, model, question)
    return int(counted.get_total_flops())
