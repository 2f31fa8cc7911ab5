"""What moved a score, and two models on one query."""

from __future__ import annotations

from functools import partial

from fastapi import Request
from fastapi.responses import Response

from shopstill.serve.app.answering import answered
from shopstill.serve.app.forms import CompareQuery, WhyQuery
from shopstill.serve.app.openapi import router, said
from shopstill.serve.app.reading import query
from shopstill.serve.app.routes.search import hold_to_length
from shopstill.serve.app.state import of
from shopstill.serve.forms import Comparison, Why

routes = router("why")

_MISSING = {404: "There is no such product, or no model of this name is loaded."}
_WORD = {"text": "mug", "start": 4, "stop": 7, "effect": 1.9}
_WHY = {"model": "student", "score": 3.1, "query": [_WORD], "title": [_WORD], "attributes": []}


@routes.get("/why", summary="What moved a score", **said(Why, asks=WhyQuery, example=_WHY, also=_MISSING))
async def why(request: Request) -> Response:
    """Each word of the query and the title, and each attribute, left out in turn on the model as it is served."""
    state, asked = of(request), query(request, WhyQuery)
    hold_to_length(state, asked.q)
    return answered(await state.run(request, state.heavy, partial(state.engine.why, asked.q, asked.id, asked.model)))


@routes.get("/compare", summary="Two models on one query", **said(Comparison, asks=CompareQuery, also=_MISSING))
async def compare(request: Request) -> Response:
    """The same candidates in the order of two models, such as the student and its teacher."""
    state, asked = of(request), query(request, CompareQuery)
    hold_to_length(state, asked.q)
    one, other = asked.models
    work = partial(state.engine.compare, asked.q, one, other, asked.limit)
    return answered(await state.run(request, state.heavy, work))
