"""Requests as forms: the address and the body, each checked before anything is done with it."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from shopstill.serve.app.errors import Refusal, invalid, several, unknown
from shopstill.serve.app.forms import Faulty

T = TypeVar("T")

_MOST_FIELDS = 200
_JSON = ("application/json",)


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
_PARAMETERS: dict[Any, dict[str, dict[str, Any]]] = {}


def adapter(form: Any) -> TypeAdapter[Any]:
    """The reader and writer of a form, made once."""
    if form not in _ADAPTERS:
        _ADAPTERS[form] = TypeAdapter(form)
    return _ADAPTERS[form]


def parameters(form: Any) -> dict[str, dict[str, Any]]:
    """The JSON schema of each field of a form that is given in an address."""
    if form not in _PARAMETERS:
        stated = adapter(form).json_schema().get("properties", {})
        _PARAMETERS[form] = {name: _sayable(schema) for name, schema in stated.items()}
    return _PARAMETERS[form]


def _sayable(schema: dict[str, Any]) -> dict[str, Any]:
    """A field's schema without null, which no address can say: what is not given is left out."""
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(options) != 1:
        return schema
    return {key: value for key, value in schema.items() if key not in ("anyOf", "default")} | options[0]


def query(request: Request, form: type[T]) -> T:
    """The parameters of an address.

    Raises:
        Refusal: a name is unknown, is there twice, or has a value that is not allowed.
    """
    known = parameters(form)
    values: dict[str, Any] = {}
    for name, value in _pairs(request):
        if name not in known:
            raise several([unknown(name, list(known))])
        if known[name].get("type") == "array":
            values.setdefault(name, []).extend(value.split(",") if known[name].get("commas") else [value])
        elif name in values:
            raise several([Faulty(message=f"{name}: is there twice; give it once", field=name)])
        else:
            values[name] = value
    try:
        found: T = adapter(form).validate_python(values)
    except ValidationError as cause:
        raise invalid(cause) from None
    if b"%00" in request.scope["query_string"]:
        no_nul(found)
    return found


def _pairs(request: Request) -> list[tuple[str, str]]:
    given: bytes = request.scope["query_string"]
    if not given:
        return []
    try:
        return parse_qsl(given.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except UnicodeDecodeError:
        raise Refusal(400, "encoding", "the address is not UTF-8, percent-encoded; encode it so") from None
    except ValueError:
        raise Refusal(400, "address", f"more than {_MOST_FIELDS} parameters; give fewer") from None


def identity(request: Request) -> str:
    """The id of a product in the path.

    Raises:
        Refusal: it is empty or longer than an id may be.
    """
    found: str = request.path_params["id"]
    if not 1 <= len(found) <= 256 or "\x00" in found:
        raise several([Faulty(message="id: needs 1 to 256 characters, none of them NUL", field="id")])
    return found


async def body(request: Request, form: type[T]) -> T:
    """The body, which must be JSON.

    Raises:
        Refusal: it is of another type, not JSON, or not of this form.
    """
    expect(request, _JSON)
    return parse(await request.body(), form)


def expect(request: Request, types: tuple[str, ...]) -> None:
    """Hold the body to a content type.

    Raises:
        Refusal: it is of another.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in types:
        named = f"content type {given[:80]!r}" if given else "no content type"
        raise Refusal(415, "content_type", f"{named}; send {' or '.join(types)}")


def parse(raw: bytes, form: type[T], line: int | None = None) -> T:
    """A form from JSON.

    Raises:
        Refusal: it is not JSON, or not of this form.
    """
    try:
        found: T = adapter(form).validate_json(raw, strict=True)  # no number is true, and none a text
    except ValidationError as cause:
        raise invalid(cause, () if line is None else (line,)) from None
    if b"\\u0000" in raw:
        no_nul(found, line)
    return found


def no_nul(found: Any, line: int | None = None) -> None:
    """Refuse the character NUL, which no text of a shop has and which ends strings in other languages.

    Raises:
        Refusal: it is in a text of the form.
    """
    field = _with_nul(adapter(type(found)).dump_python(found))
    if field is not None:
        place = f"line {line}: " if line is not None else ""
        raise several([Faulty(message=f"{place}{field}: has the character NUL; leave it out", field=field, line=line)])


def _with_nul(value: Any, path: str = "") -> str | None:
    """Where in a form the character stands, in a text or in a key."""
    if isinstance(value, str):
        return path if "\x00" in value else None
    if isinstance(value, dict):
        if any("\x00" in str(name) for name in value):
            return path
        parts = [(str(name), inner) for name, inner in value.items()]
    elif isinstance(value, list | tuple):
        parts = [(str(at), inner) for at, inner in enumerate(value)]
    else:
        return None
    found = (_with_nul(inner, f"{path}.{name}".strip(".")) for name, inner in parts)
    return next((field for field in found if field is not None), None)
