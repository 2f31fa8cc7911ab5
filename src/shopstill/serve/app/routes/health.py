"""For balancers and monitoring: whether the process lives, whether it answers, and its metrics."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from shopstill.serve.app.answering import answered
from shopstill.serve.app.errors import Refusal
from shopstill.serve.app.forms import Health
from shopstill.serve.app.metrics import TYPE
from shopstill.serve.app.openapi import router, said
from shopstill.serve.app.routes.lab import open_or_allowed
from shopstill.serve.app.state import of

routes = router("health")

_READY = {"status": "ready", "products": 19_406, "generation": "3f2a"}
_TEXT = {"text/plain": {"schema": {"type": "string"}, "example": "shopstill_products 19406.0\n"}}
_CLOSED = {401: "Metrics are not open here, and there is no key.", 403: "The key is for other things."}


@routes.get("/healthz", summary="Whether the process lives", **said(Health, example={"status": "ok"}))
async def healthz(request: Request) -> Response:
    """Always the same while the process can answer at all."""
    return answered(Health(status="ok"), lean=True)


@routes.get("/readyz", summary="Whether the server answers", **said(Health, example=_READY))
async def readyz(request: Request) -> Response:
    """503 from the moment the server was told to stop, so that a balancer sends nothing more."""
    state = of(request)
    if state.stopping:
        raise Refusal(503, "stopping", "this server is about to stop", {"retry-after": "1"})
    facts = await state.run(request, state.facts, state.engine.facts)
    told = Health(status="ready", products=facts.get("products"), generation=str(facts.get("generation", "")))
    return answered(told, lean=True)


@routes.get("/metrics", summary="Metrics", **said(_TEXT, also=_CLOSED))
async def metrics(request: Request) -> Response:
    """Metrics in the text form of Prometheus."""
    state = of(request)
    open_or_allowed(request, state)
    return Response(await state.run(request, state.facts, state.metrics.written), headers={"content-type": TYPE})
