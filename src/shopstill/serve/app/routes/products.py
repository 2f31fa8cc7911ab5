"""Products: looked up, put, deleted, one at a time or in lines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

from fastapi import Request
from fastapi.responses import Response

from shopstill.core.errors import ArtifactError
from shopstill.serve.app import bulk
from shopstill.serve.app.answering import answered
from shopstill.serve.app.errors import Refusal
from shopstill.serve.app.forms import Put
from shopstill.serve.app.openapi import router, said
from shopstill.serve.app.reading import body, expect, identity
from shopstill.serve.app.routes.search import ID
from shopstill.serve.app.served import Engine
from shopstill.serve.app.state import of
from shopstill.serve.forms import Changed, Product

routes = router("products")

_LINES = ("application/x-ndjson", "application/jsonl", "application/ndjson", "application/json")
_BODY = {
    "application/x-ndjson": {
        "schema": {"type": "string", "description": 'Lines, each {"put": Product}, {"delete": "id"} or a Product.'},
        "example": '{"put": {"id": "42", "title": "Red mug", "price": 9.5}}\n{"delete": "41"}\n',
    }
}
_PRODUCT = {"id": "42", "title": "Red mug", "brand": "Acme", "category": ["Home", "Mugs"], "price": 9.5}
_PUT = {name: value for name, value in _PRODUCT.items() if name != "id"}
_CHANGED = {"put": 1, "deleted": 1, "number": 17}
_MISSING = {404: "There is no such product."}
_FULL = {507: "The change could not be written to the disk; nothing was changed."}


@routes.get("/products/{id:anything}", summary="A product", **said(Product, path=ID, example=_PRODUCT, also=_MISSING))
async def get_product(request: Request) -> Response:
    """A product as it was put in."""
    state, product_id = of(request), identity(request)
    return answered(await state.run(request, state.searches, partial(state.engine.product, product_id)))


@routes.put(
    "/products/{id:anything}",
    summary="Add or replace a product",
    **said(Changed, path=ID, body=(Put, _PUT), key=True, example={"put": 1, "deleted": 0, "number": 16}, also=_FULL),
)
async def put_product(request: Request) -> Response:
    """Put a product in the place of what had its id; durable and found when it is answered."""
    state = of(request)
    state.allow(request, "products")
    product_id, given = identity(request), await body(request, Put)
    values = {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}
    product = Product(id=product_id, **values)
    return await _changed(request, lambda engine: engine.put([product]))


@routes.delete(
    "/products/{id:anything}",
    summary="Delete a product",
    **said(Changed, path=ID, key=True, example={"put": 0, "deleted": 1, "number": 18}, also={**_MISSING, **_FULL}),
)
async def delete_product(request: Request) -> Response:
    """Delete a product; it is gone for good when it is answered."""
    state = of(request)
    state.allow(request, "products")
    product_id = identity(request)
    return await _changed(request, lambda engine: _delete(engine, product_id))


@routes.post(
    "/products",
    summary="Change many products",
    **said(Changed, body=_BODY, key=True, example=_CHANGED, also=_FULL),
)
async def post_products(request: Request) -> Response:
    """Put and delete by lines; a faulty line is named, with nineteen more, and then nothing is changed."""
    state = of(request)
    state.allow(request, "products")
    expect(request, _LINES)
    raw = await request.body()
    return await _changed(request, lambda engine: bulk.make(engine, raw))


def _delete(engine: Engine, product_id: str) -> Changed:
    engine.product(product_id)  # raises where there is none, so that no change is written for nothing
    return engine.delete([product_id])


async def _changed(request: Request, change: Callable[[Engine], Changed]) -> Response:
    state = of(request)
    try:
        return answered(await state.change(request, state.products, partial(change, state.engine)))
    except ArtifactError as cause:
        raise Refusal(507, "storage", str(cause)) from None
