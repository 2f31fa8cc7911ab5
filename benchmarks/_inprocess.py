"""The engine's own time: searches one after the other in one process, without HTTP."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks._openloop import percentiles

from shopstill.core.hardware import peak_memory_bytes
from shopstill.serve.app.answering import answered
from shopstill.serve.engine.engine import Engine
from shopstill.serve.forms import Answer, Search

WAYS: dict[str, dict[str, Any]] = {
    "as the default": {},
    "with facets": {"facets": ("*",)},
    "words alone": {"legs": ("lexical",), "rerank": False},
}
_WARM = 200


def inprocess(index: Path, bundle: Path, queries: Sequence[str], count: int) -> dict[str, Any]:
    """Latencies and stages in ms, and an answer of middling length as bytes; runs in a process of its own.

    Args:
        index: to open.
        bundle: of the model.
        queries: to draw from; no way is asked what another was, since rankings are kept.
        count: of queries in each way, after some that only warm up.
    """
    start = time.perf_counter()
    engine = Engine.open(index, bundle)
    opened = time.perf_counter() - start
    try:
        more = cycle(queries)
        engine.search(Search(query=next(more)))
        first = time.perf_counter() - start
        searches, some = {}, []
        for name, how in WAYS.items():
            _timed(engine, list(islice(more, _WARM)), how)
            answers, took = _timed(engine, list(islice(more, count)), how)
            searches[name] = _summary(answers, took)
            some = some or answers[:_WARM]
        written = sorted((bytes(answered(answer).body) for answer in some), key=len)
        middling = written[len(written) // 2]
    finally:
        engine.close()
    return {
        "open_seconds": opened,
        "first_answer_seconds": first,
        "searches": searches,
        "peak_bytes": peak_memory_bytes(),
        "answer": middling,
        "answer_bytes": len(middling),
    }


def _timed(engine: Engine, queries: Sequence[str], how: dict[str, Any]) -> tuple[list[Answer], list[float]]:
    answers, took = [], []
    for query in queries:
        asked = Search(query=query, **how)
        start = time.perf_counter()
        answers.append(engine.search(asked))
        took.append(time.perf_counter() - start)
    return answers, took


def _summary(answers: Sequence[Answer], took: Sequence[float]) -> dict[str, Any]:
    stages = {name for answer in answers for name in answer.stages_ms}
    of = {name: np.array([answer.stages_ms.get(name, 0.0) for answer in answers]) / 1e3 for name in sorted(stages)}
    return {
        "queries": len(answers),
        "ms": percentiles(np.array(took)),
        "mean_ms": 1e3 * float(np.mean(took)),
        "stages_ms": {name: {**percentiles(one), "mean": 1e3 * float(one.mean())} for name, one in of.items()},
        "complete": float(np.mean([answer.complete for answer in answers])),
        "corrected": float(np.mean([answer.corrected for answer in answers])),
        "total": percentiles(np.array([answer.total for answer in answers]) / 1e3),
    }
