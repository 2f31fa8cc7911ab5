"""The page that shoppers and engineers see."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from shopstill.serve.app.openapi import router
from shopstill.serve.app.pages import Pages

routes = router("page")


@routes.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
async def index(request: Request) -> Response:
    """The search page."""
    return pages(request).answer(request, "index.html")


@routes.api_route("/lab", methods=["GET", "HEAD"], include_in_schema=False)
async def lab(request: Request) -> Response:
    """The page for engineers, where its parts lie beside it."""
    return RedirectResponse("/static/lab.html", status_code=308)


@routes.api_route("/static/{name:anything}", methods=["GET", "HEAD"], include_in_schema=False)
async def static(request: Request) -> Response:
    """A part of the pages."""
    return pages(request).answer(request, request.path_params["name"])


def pages(request: Request) -> Pages:
    """The files of the app that a request came to."""
    found: Pages = request.app.state.pages
    return found
