"""The description of the API: every parameter, every body, and every answer that a route may give."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.convertors import StringConvertor, register_url_convertor

from shopstill.serve.app.forms import Failed
from shopstill.serve.app.reading import adapter, parameters

_REF = "#/components/schemas/{model}"
_SECURITY = {"key": {"type": "http", "scheme": "bearer", "description": "A key that `shopstill key` made."}}
_ATTRIBUTE = re.compile(r"^ {8}(\w+): (.+?)\.?$", re.MULTILINE)

TAGS = [
    {"name": "search", "description": "What shoppers ask."},
    {"name": "ranking", "description": "Scores, vectors and classes for a shop that keeps its own engine."},
    {"name": "why", "description": "What moved a score, and two models side by side."},
    {"name": "products", "description": "Changes to the catalogue; each is durable when it is answered."},
    {"name": "models", "description": "Bundles: loaded beside each other, switched in one step."},
    {"name": "lab", "description": "What the server does, live, and the report of the run."},
    {"name": "health", "description": "For balancers and monitoring."},
]

_ALWAYS = {
    400: "The address, the host or a header is not what it must be.",
    413: "The body is too large.",
    414: "The address is too long.",
    415: "The body is encoded, or of another type than it must be.",
    429: "Too many requests from one client; the header Retry-After tells when to come again.",
    500: "Something broke that should not; the server's log tells more under the id.",
    503: "Too much to do, or the server is about to stop; the header Retry-After tells when to come again.",
}
_BODY = {408: "The body did not arrive in time."}
_KEY = {401: "No key, or an unknown one.", 403: "No keys were given to the server, or the key is for other things."}
_FORM = {422: "A field is not what it must be; the answer names it, its value and what is allowed."}
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}

FAULT_KINDS = {
    400: "host",
    401: "no_key",
    403: "scope",
    404: "not_found",
    408: "too_slow",
    409: "conflict",
    413: "too_large",
    414: "address",
    415: "content_type",
    422: "invalid",
    429: "rate",
    500: "internal",
    503: "busy",
    507: "storage",
}
"""What faults of each status are called, for example."""

BODIES: set[Any] = set()
"""Forms that come as bodies, whose schemas are to be described too."""


class _Anything(StringConvertor):
    """The rest of a path whatever it holds: Starlette's own ``path`` ends at a line break, which an id may have."""

    regex = r"[\s\S]*"


register_url_convertor("anything", _Anything())


class Direct(APIRoute):
    """A route whose function takes the request and returns the answer, with nothing in between."""

    def get_route_handler(self) -> Any:
        """The function itself: it reads and writes forms by pydantic, in one go each."""
        return self.endpoint


def router(tag: str) -> APIRouter:
    """A router for one kind of route."""
    return APIRouter(tags=[tag], route_class=Direct)


def said(
    answers: Any,
    *,
    example: Any = None,
    asks: Any = None,
    body: Any = None,
    path: Mapping[str, Any] | None = None,
    key: bool = False,
    also: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """What a route says of itself, as options of its decorator.

    Args:
        answers: form of the answer; a mapping is a content of another type than JSON.
        example: of the answer.
        asks: form of the parameters in the address.
        body: form of the body and an example of it; a mapping is a content of another type than JSON.
        path: schema of each parameter in the path.
        key: whether it needs a key.
        also: further statuses.
    """
    statuses = dict(_ALWAYS)
    statuses |= _BODY if body is not None else {}
    statuses |= _KEY if key else {}
    statuses |= _FORM if asks is not None or body is not None or path else {}
    faults = {status: _fault(status, told) for status, told in sorted({**statuses, **(also or {})}.items())}
    extra: dict[str, Any] = {}
    if found := [*_in_path(path or {}), *(_in_query(asks) if asks is not None else [])]:
        extra["parameters"] = found
    if body is not None:
        extra["requestBody"] = {"required": True, "content": _content(body)}
    if key:
        extra["security"] = [{"key": []}]
    return {"response_model": None, "responses": {200: _success(answers, example), **faults}, "openapi_extra": extra}


def _success(answers: Any, example: Any) -> dict[str, Any]:
    if isinstance(answers, Mapping):
        return {"description": "As asked.", "content": dict(answers)}
    content = {"content": {"application/json": {"example": example}}} if example is not None else {}
    return {"description": "As asked.", "model": answers, **content}


def _fault(status: int, told: str) -> dict[str, Any]:
    headers = {"headers": _RETRY} if status in (429, 503) else {}
    example = {"error": {"kind": FAULT_KINDS[status], "message": told}}
    return {"description": told, "model": Failed, "content": {"application/json": {"example": example}}, **headers}


def _content(body: Any) -> dict[str, Any]:
    if isinstance(body, Mapping):
        return dict(body)
    form, example = body
    BODIES.add(form)
    return {"application/json": {"schema": {"$ref": _REF.format(model=form.__name__)}, "example": example}}


def _in_path(path: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name, schema in path.items()]


def _in_query(form: Any) -> list[dict[str, Any]]:
    told = dict(_ATTRIBUTE.findall(form.__doc__ or ""))
    needed = adapter(form).json_schema().get("required", [])
    found = []
    for name, schema in parameters(form).items():
        shape = {key: value for key, value in schema.items() if key != "commas"}
        one = {"name": name, "in": "query", "required": name in needed, "schema": shape}
        one |= {"description": told[name]} if name in told else {}
        one |= {"style": "form", "explode": not schema.get("commas", False)} if schema.get("type") == "array" else {}
        found.append(one)
    return found


class Described(FastAPI):
    """An app whose description includes the bodies that its routes read by themselves."""

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = self._described()
        return self.openapi_schema

    def _described(self) -> dict[str, Any]:
        made = get_openapi(
            title=self.title,
            version=self.version,
            description=self.description,
            routes=self.routes,
            tags=TAGS,
            separate_input_output_schemas=False,
        )
        for operation in (one for methods in made["paths"].values() for one in methods.values()):
            content = operation["responses"]["200"]["content"]
            # FastAPI adds an empty JSON to what is of another type.
            if len(content) > 1 and not content.get("application/json", {}).get("schema"):
                content.pop("application/json", None)
        components = made.setdefault("components", {})
        components["securitySchemes"] = _SECURITY
        schemas = components.setdefault("schemas", {})
        for form in sorted(BODIES, key=lambda form: str(form.__name__)):
            described = adapter(form).json_schema(ref_template=_REF)
            inner = described.pop("$defs", {})
            for name, schema in {**inner, form.__name__: described}.items():
                schemas.setdefault(name, schema)
        return made
