"""Models: what is loaded, which one answers, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from fastapi import Request
from fastapi.responses import Response

from shopstill.core.errors import DataError
from shopstill.serve.app.answering import answered
from shopstill.serve.app.errors import Refusal, of_library, several
from shopstill.serve.app.forms import NAME_CHARS, Faulty, LoadModel, Models
from shopstill.serve.app.openapi import router, said
from shopstill.serve.app.reading import body
from shopstill.serve.app.served import Engine
from shopstill.serve.app.state import of
from shopstill.serve.forms import ModelState

T = TypeVar("T")

routes = router("models")

_NAME = {"name": {"type": "string", "minLength": 1, "maxLength": NAME_CHARS}}
_STATE = {
    "name": "student",
    "kind": "towers",
    "active": True,
    "previous": False,
    "retrieves": True,
    "digest": "9f1c",
    "scheme": "shopstill-bundle",
    "bytes": 1_200_000,
}
_LOAD = {"name": "student-2", "path": "student-2"}
_UNKNOWN = {404: "No model of this name is loaded."}
_CONFLICT = {409: "The models are not in a state that allows this."}


@routes.get("/models", summary="The loaded models", **said(Models, example={"models": [_STATE]}))
async def get_models(request: Request) -> Response:
    """Every model that is loaded, and which one answers."""
    state = of(request)
    return answered(Models(models=await state.run(request, state.facts, state.engine.models)))


@routes.post(
    "/models",
    summary="Load a model",
    **said(ModelState, body=(LoadModel, _LOAD), key=True, example=_STATE, also=_CONFLICT),
)
async def post_models(request: Request) -> Response:
    """Load a bundle beside the others: verified, warmed, its scores held to recorded ones. It answers nothing yet."""
    state = of(request)
    state.allow(request, "models")
    asked = await body(request, LoadModel)
    work = partial(_load, state.engine, asked, state.settings.models)
    return answered(await state.change(request, state.models, work))


@routes.post("/models/rollback", summary="Go back", **said(ModelState, key=True, also=_CONFLICT))
async def post_rollback(request: Request) -> Response:
    """Answer with the model before, in one step."""
    state = of(request)
    state.allow(request, "models")
    return answered(await state.change(request, state.models, partial(_conflicting, state.engine.roll_back)))


@routes.post(
    "/models/{name:anything}/activate",
    summary="Answer with a model",
    **said(ModelState, path=_NAME, key=True, also={**_UNKNOWN, **_CONFLICT}),
)
async def post_activate(request: Request) -> Response:
    """Answer with a loaded model from now on; requests in flight finish on the one before."""
    state = of(request)
    state.allow(request, "models")
    name = _named(request)
    return answered(await state.change(request, state.models, partial(_conflicting, state.engine.activate, name)))


@routes.delete(
    "/models/{name:anything}",
    summary="Let go of a model",
    **said(Models, path=_NAME, key=True, also={**_UNKNOWN, **_CONFLICT}),
)
async def delete_model(request: Request) -> Response:
    """Let go of a model that does not answer; what is loaded then is the answer."""
    state = of(request)
    state.allow(request, "models")
    return answered(await state.change(request, state.models, partial(_unload, state.engine, _named(request))))


def _unload(engine: Engine, name: str) -> Models:
    _conflicting(engine.unload, name)
    return Models(models=engine.models())


def _conflicting(step: Callable[..., T], *names: str) -> T:
    """Take a step; where the models are in no state for it, that is a conflict, not a faulty request."""
    try:
        return step(*names)
    except DataError as cause:
        refusal = of_library(cause)
        if refusal.status == 404:
            raise
        raise Refusal(409, "conflict", str(cause)) from None


def _load(engine: Engine, asked: LoadModel, folder: Path | None) -> ModelState:
    return engine.load(asked.name, within(folder, asked.path))


def within(folder: Path | None, path: str) -> Path:
    """A folder within the models folder, all links followed.

    Raises:
        Refusal: there is no models folder, or the path leads out of it or to no folder.
    """
    if folder is None:
        raise Refusal(409, "no_models_folder", "this server loads no models over HTTP; start it with a models folder")
    root = folder.resolve()
    try:
        found = (root / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        found = None
    if found is None or not found.is_dir() or not found.is_relative_to(root) or found == root:
        raise several([Faulty(message=f"path: {path[:80]!r} is no folder within the models folder", field="path")])
    return found


def _named(request: Request) -> str:
    name: str = request.path_params["name"]
    if not 1 <= len(name) <= NAME_CHARS or "\x00" in name:
        raise several([Faulty(message=f"name: needs 1 to {NAME_CHARS} characters, none of them NUL", field="name")])
    return name
