"""What answers cost where questions are answered in turn: so many a call, by a network or by a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch.utils.flop_counter import FlopCounterMode

from shopstill.evaluate.latency import Call, Contender, Latency, Timing, measure
from shopstill.tasks._course import TEACHER

Answer = Callable[[np.ndarray], object]
"""Answers questions, given by their places."""


@dataclass(frozen=True, kw_only=True)
class InTurn:
    """A contender: so many questions at once, one after the other and again from the first.

    Attributes:
        open: makes ready to answer on so many threads.
        questions: how many there are.
        note: what a call includes.
    """

    open: Callable[[int], Answer]
    questions: int
    note: str

    def prepare(self, candidates: int, threads: int) -> Call:
        """Questions in turn, ``candidates`` of them a call."""
        answer, state = self.open(threads), {"at": 0}

        def call() -> object:
            start, state["at"] = state["at"], state["at"] + candidates
            return answer(np.arange(start, state["at"]) % self.questions)

        return call


def call_of(does: str, asked: str) -> dict[str, str]:
    """The words of a report's ``Wording`` for a call of so many questions.

    >>> call_of("answer", "histories")["calls"]
    'answers {} histories at once'
    """
    return {"call": f"{does} {{}} {asked} at once", "calls": f"{does}s {{}} {asked} at once", "asked": asked}


def on_threads(answer: Answer) -> Callable[[int], Answer]:
    """An answer that torch and numpy compute, on as many threads as it is opened with."""

    def opened(threads: int) -> Answer:
        torch.set_num_threads(threads)
        threadpool_limits(threads, "blas")
        return answer

    return opened


def interleaved(contenders: Mapping[str, Contender], timing: Timing) -> Latency:
    """Times of contenders, beside the teacher's where it is one; threads are then as they were."""
    before = torch.get_num_threads()
    try:
        with threadpool_limits():  # puts back what the contenders set for numpy
            return measure(contenders, timing, reference=TEACHER if TEACHER in contenders else None)
    finally:
        torch.set_num_threads(before)


def operations(call: Callable[[], object]) -> int:
    """Floating point operations that torch does in a call."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        call()
    return int(counted.get_total_flops())
