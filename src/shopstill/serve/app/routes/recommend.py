"""What a shopper may want next."""

from __future__ import annotations

from functools import partial

from fastapi import Request
from fastapi.responses import Response

from shopstill.serve.app.answering import answered
from shopstill.serve.app.openapi import router, said
from shopstill.serve.app.reading import body
from shopstill.serve.app.state import of
from shopstill.serve.recommendations import Recommend, Recommended

routes = router("search")

_ASKED = {"history": ["42", "17"], "limit": 10, "filters": {"price_max": 20}, "exclude": ["99"]}
_PRODUCT = {"id": "41", "title": "Blue mug", "brand": "Acme", "category": ["Home", "Mugs"], "price": 9.5}
_ANSWER = {
    "items": [{"id": "41", "score": 7.2, "product": _PRODUCT}],
    "unknown": 0,
    "took_ms": 1.1,
    "model": "histories",
}
_MODEL = {404: "No model of histories is loaded, or none of this name."}


@routes.post(
    "/recommend",
    summary="What comes next",
    **said(Recommended, body=(Recommend, _ASKED), example=_ANSWER, also=_MODEL),
)
async def recommend(request: Request) -> Response:
    """The products of the catalogue that come next most likely after a shopper's history, out of all that fit."""
    state, asked = of(request), await body(request, Recommend)
    return answered(await state.run(request, state.searches, partial(state.engine.recommend, asked)))
