"""Search, suggestions, similar products."""

from __future__ import annotations

import time
from functools import partial

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError

from shopstill.serve.app.answering import answered
from shopstill.serve.app.errors import invalid, several
from shopstill.serve.app.forms import Faulty, SearchQuery, Similar, SimilarQuery, Suggested, SuggestQuery
from shopstill.serve.app.openapi import router, said
from shopstill.serve.app.reading import adapter, body, identity, query
from shopstill.serve.app.state import State, of
from shopstill.serve.forms import DEPTH, Answer, Search

routes = router("search")

ID = {"id": {"type": "string", "minLength": 1, "maxLength": 256}}
_HIT = {
    "position": 1,
    "product": {"id": "42", "title": "Red mug", "brand": "Acme", "category": ["Home", "Mugs"], "price": 9.5},
    "score": 3.1,
    "marks": [[0, 3]],
    "found_by": {"lexical": {"rank": 1, "score": 11.2}, "model": {"rank": 1, "score": 3.1}},
}
_ANSWER = {
    "query": "red mug",
    "total": 1,
    "hits": [_HIT],
    "took_ms": 2.4,
    "stages_ms": {"lexical": 0.6, "dense": 0.5, "rerank": 0.9},
    "model": "student",
    "generation": "3f2a",
}
_ASKED = {
    "query": "red mug",
    "limit": 24,
    "filters": {"brand": ["Acme"], "price_max": 20},
    "facets": ["brand", "price"],
}
_SUGGESTED = {"suggestions": [{"text": "red mug", "kind": "completion", "count": 12}], "took_ms": 0.4}
_MODEL = {404: "No model of this name is loaded."}


@routes.get("/search", summary="Search, by the address", **said(Answer, asks=SearchQuery, example=_ANSWER, also=_MODEL))
async def get_search(request: Request) -> Response:
    """Search with what the address says; ``POST /search`` takes the same as a body."""
    try:
        asked: Search = adapter(Search).validate_python(query(request, SearchQuery).search())
    except ValidationError as cause:
        raise invalid(cause) from None
    return await _search(request, of(request), asked)


@routes.post("/search", summary="Search", **said(Answer, body=(Search, _ASKED), example=_ANSWER, also=_MODEL))
async def post_search(request: Request) -> Response:
    """Search the catalogue: found by words and by meaning, put in order by the student, within a budget of time."""
    return await _search(request, of(request), await body(request, Search))


async def _search(request: Request, state: State, asked: Search) -> Response:
    hold_to_length(state, asked.query)
    if asked.offset + asked.limit > DEPTH:
        message = f"offset: {asked.offset} and a limit of {asked.limit} lead beyond {DEPTH}; narrow the search instead"
        raise several([Faulty(message=message, field="offset")])
    answer = await state.run(request, state.searches, partial(state.engine.search, asked))
    state.metrics.answer(answer)
    state.recent.answer(answer.stages_ms, answer.took_ms)
    return answered(answer)


@routes.get("/suggest", summary="Ways to go on typing", **said(Suggested, asks=SuggestQuery, example=_SUGGESTED))
async def suggest(request: Request) -> Response:
    """Completions, categories, brands and products for what was typed so far."""
    state, asked, began = of(request), query(request, SuggestQuery), time.perf_counter()
    hold_to_length(state, asked.q)
    found = await state.run(request, state.searches, partial(state.engine.suggest, asked.q, asked.limit))
    return answered(Suggested(suggestions=found, took_ms=took_ms(began)))


@routes.get(
    "/similar/{id:anything}",
    summary="Products near a product",
    **said(Similar, asks=SimilarQuery, path=ID, also={404: "There is no such product."}),
)
async def similar(request: Request) -> Response:
    """Products whose vectors or words are near those of a product."""
    state, asked, product_id, began = of(request), query(request, SimilarQuery), identity(request), time.perf_counter()
    found = await state.run(request, state.searches, partial(state.engine.similar, product_id, asked.limit))
    return answered(Similar(hits=found, took_ms=took_ms(began)))


def hold_to_length(state: State, text: str) -> None:
    """Hold a query to the longest that the server takes.

    Raises:
        Refusal: it is longer.
    """
    most = state.settings.query_chars
    if len(text) > most:
        raise several([Faulty(message=f"query: has {len(text)} characters; {most} at most", field="query")])


def took_ms(began: float) -> float:
    """Milliseconds since then."""
    return round((time.perf_counter() - began) * 1000, 3)
