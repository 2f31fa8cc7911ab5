"""What the server does, live, and the report of the run."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from shopstill.core.config import config
from shopstill.serve.app import pages
from shopstill.serve.app.admission import Lane
from shopstill.serve.app.answering import answered
from shopstill.serve.app.openapi import router, said
from shopstill.serve.app.recent import Now
from shopstill.serve.app.state import State, of

routes = router("lab")

_BEGAN = time.monotonic()
_CLOSED = {401: "Metrics are not open here, and there is no key.", 403: "The key is for other things."}


@config
class Queue:
    """A lane: workers that are busy, and requests that wait for one."""

    workers: int
    running: int
    waiting: int


@config
class LabState:
    """What the server does.

    Attributes:
        uptime_s: since the process began.
        now: the last minute, and the stages of the last answers.
        lanes: the queues.
        report: whether there is a report to show.
        facts: what the engine tells of itself.
        disagreement: how far the shadow model differs, by slice.
    """

    uptime_s: float
    now: Now
    lanes: dict[str, Queue]
    report: bool
    facts: dict[str, Any]
    disagreement: dict[str, Any]


@routes.get("/lab/state", summary="What the server does", **said(LabState, also=_CLOSED))
async def state_of_lab(request: Request) -> Response:
    """Latency of each stage, load, queues, models and disagreement, as they are now."""
    state = of(request)
    open_or_allowed(request, state)
    return answered(await state.run(request, state.facts, partial(_told, state, state.recent.now())))


def _told(state: State, now: Now) -> LabState:
    report = state.settings.report
    return LabState(
        uptime_s=round(time.monotonic() - _BEGAN, 1),
        now=now,
        lanes={
            lane.name: Queue(workers=lane.workers, running=lane.running, waiting=lane.waiting) for lane in state.lanes
        },
        report=report is not None and report.is_file(),
        facts=state.engine.facts(),
        disagreement=state.engine.disagreement(),
    )


def _queue(lane: Lane) -> Queue:
    return Queue(workers=lane.workers, running=lane.running, waiting=lane.waiting)


@routes.get(
    "/lab/report",
    summary="The report of the run",
    **said({"text/html": {"schema": {"type": "string"}}}, also={**_CLOSED, 404: "This server has no report."}),
)
async def report(request: Request) -> Response:
    """The report, in a sandbox: its own styles and scripts run, and reach nothing."""
    state = of(request)
    open_or_allowed(request, state)
    return await state.run(request, state.facts, partial(pages.report, state.settings.report))


def open_or_allowed(request: Request, state: State) -> None:
    """Let pass whom the numbers are for.

    Raises:
        Refusal: metrics need a key here, and none that opens them was sent.
    """
    if not state.settings.open_metrics:
        state.allow(request, "metrics")
