"""Everything that goes wrong, as an answer: one form, a fitting status, and no internals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

from shopstill.core.errors import ArtifactError, ConfigError, DataError, ShopstillError, nearest
from shopstill.serve.app.forms import Failed, Fault, Faulty
from shopstill.serve.engine.errors import UnknownModel, UnknownProduct, WrongField

MOST_FAULTS = 20
_SHOWN = 80
_FORM = TypeAdapter(Failed)
_CLOSE = {"connection": "close"}

_KINDS = {404: "not_found", 405: "method_not_allowed"}
_BRANCH = re.compile(r"^(function-|tuple\[|list\[|str$|Document$|constrained-)")


class Refusal(Exception):
    """An answer that is not a success.

    Args:
        status: of the answer.
        kind: of the fault, for programs.
        message: what is wrong and what is allowed.
        headers: of the answer, beside the usual.
        details: further fields of ``Fault``.
    """

    def __init__(
        self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None, **details: Any
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})
        self.fault = Fault(kind=kind, message=_sound(message), **details)

    @property
    def response(self) -> Response:
        """The answer itself."""
        body = _FORM.dump_json(Failed(error=self.fault), exclude_none=True)
        return Response(body, self.status, self.headers, "application/json")


def unread(status: int, kind: str, message: str) -> Refusal:
    """A refusal before the body was read: the connection is of no more use."""
    return Refusal(status, kind, message, _CLOSE)


def busy(seconds: float, what: str) -> Refusal:
    """A refusal because there is too much to do; when to come again is told."""
    after = str(max(1, round(seconds + 0.5)))
    return Refusal(503, "busy", f"{what}; try again in {after} s", {"retry-after": after})


def invalid(cause: ValidationError, lines: tuple[int, ...] = ()) -> Refusal:
    """What is wrong with a form: each field with its value and what is allowed."""
    found = [faulty(fault, lines[0] if lines else None) for fault in cause.errors(include_url=False)[:MOST_FAULTS]]
    return several(found)


def several(found: list[Faulty]) -> Refusal:
    """One refusal for several faults; the first speaks for all."""
    first, shown = found[0], found[:MOST_FAULTS]
    every = [Faulty(message=_sound(f.message), field=f.field, line=f.line) for f in shown]
    faults = every if len(found) > 1 else None
    field = _sound(first.field) if first.field else None
    return Refusal(422, "invalid", first.message, field=field, line=first.line, faults=faults)


def faulty(fault: Mapping[str, Any], line: int | None = None) -> Faulty:
    """A fault that pydantic found, in words."""
    path = [str(part) for part in fault["loc"] if not _BRANCH.match(str(part))]
    field = _short(".".join(path)) or None
    place = f"line {line}: " if line is not None else ""
    name = f"{place}{field}: " if field else place
    return Faulty(message=f"{name}{_said(fault)}", field=field, line=line)


def _said(fault: Mapping[str, Any]) -> str:
    kind = fault["type"]
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return "unknown; leave it out"
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return "is required and missing; add it"
    if kind == "json_invalid":
        return f"not JSON: {fault['ctx']['error']}"
    return f"{fault['msg']} (given: {_short(fault['input'])})"


def unknown(name: str, allowed: list[str]) -> Faulty:
    """A parameter that there is none of."""
    return Faulty(message=f"{_short(name)}: unknown parameter; {nearest(_short(name), allowed)}", field=_short(name))


def of_library(cause: ShopstillError) -> Refusal:
    """An error that a person can mend, as an answer."""
    message = str(cause)
    if isinstance(cause, UnknownProduct):
        return Refusal(404, "unknown_product", message)
    if isinstance(cause, UnknownModel):
        return Refusal(404, "unknown_model", message)
    if isinstance(cause, WrongField):
        return Refusal(422, "invalid", message, field=cause.field)
    kinds = {DataError: "data", ArtifactError: "artifact", ConfigError: "configuration"}
    kind = next((kind for base, kind in kinds.items() if isinstance(cause, base)), "refused")
    return Refusal(422, kind, message)


async def answer_refusal(_: Request, cause: Exception) -> Response:
    """The answer to a request that was refused."""
    assert isinstance(cause, Refusal)
    return cause.response


async def answer_library(_: Request, cause: Exception) -> Response:
    """The answer to a request that the library found wrong."""
    assert isinstance(cause, ShopstillError)
    return of_library(cause).response


async def answer_http(request: Request, cause: Exception) -> Response:
    """The answer where there is no such address, or no such method."""
    assert isinstance(cause, HTTPException)
    path = _short(request.url.path)
    said = {404: f"{path}: there is nothing here; /openapi.json lists what there is"}
    said[405] = f"{request.method} is not allowed for {path}; see the header Allow"
    kind = _KINDS.get(cause.status_code, "http")
    message = said.get(cause.status_code, str(cause.detail))
    return Refusal(cause.status_code, kind, message, cause.headers).response


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return _sound(text)


def _sound(text: str) -> str:
    """A text that can be written as UTF-8: half a surrogate pair cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")
