"""Which class a product is of, by its text, its picture, or both."""

from __future__ import annotations

from functools import partial

from fastapi import Request
from fastapi.responses import Response

from shopstill.data.images import ImageLimits
from shopstill.serve.app.answering import answered
from shopstill.serve.app.errors import several
from shopstill.serve.app.forms import Faulty
from shopstill.serve.app.openapi import router, said
from shopstill.serve.app.reading import body
from shopstill.serve.app.routes.ranking import hold_to_lengths, hold_to_number
from shopstill.serve.app.settings import Settings
from shopstill.serve.app.state import of
from shopstill.serve.categories import Categorise, Categorised

routes = router("ranking")

_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # a pixel
_ASKED = {"products": [{"text": "red mug"}, {"text": "blue chair", "picture": _PNG}], "limit": 2}
_LIKELY = [{"name": "Mugs", "probability": 0.93}, {"name": "Plates", "probability": 0.04}]
_ANSWER = {"products": [{"classes": _LIKELY}, {"classes": _LIKELY}], "took_ms": 1.1, "model": "classes"}
_MODEL = {404: "No model of classes is loaded, or none of this name."}


@routes.post(
    "/categorise",
    summary="Put products into classes",
    **said(Categorised, body=(Categorise, _ASKED), example=_ANSWER, also=_MODEL),
)
async def categorise(request: Request) -> Response:
    """The likeliest classes of products that the caller shows, each by its text, its picture, or both."""
    state, asked = of(request), await body(request, Categorise)
    hold_to_number(state, len(asked.products), "products")
    hold_to_lengths(state, [product.text or "" for product in asked.products], "products", "text")
    _hold_pictures(state.settings, asked)
    limits = ImageLimits(file_bytes=state.settings.picture_bytes, pixels=state.settings.picture_pixels)
    return answered(await state.run(request, state.heavy, partial(state.engine.categorise, asked, limits)))


def _hold_pictures(settings: Settings, asked: Categorise) -> None:
    """Hold pictures to their number, and each to its size.

    Raises:
        Refusal: there are more, or one is larger.
    """
    sent = {at: product.picture for at, product in enumerate(asked.products) if product.picture is not None}
    given = {at: len(picture) - picture.count("\n") - picture.count("\r") for at, picture in sent.items()}
    if len(given) > settings.pictures:
        message = f"products: have {len(given)} pictures; {settings.pictures} at most, send the others apart"
        raise several([Faulty(message=message, field="products")])
    for at, length in given.items():
        # Four letters stand for three bytes; an address of data begins with a few more.
        if length * 3 // 4 > settings.picture_bytes + 128:
            field = f"products.{at}.picture"
            message = f"{field}: has {length * 3 // 4:,} bytes; {settings.picture_bytes:,} at most"
            raise several([Faulty(message=message, field=field)])
