"""Configuration: frozen, keyword-only, validated dataclasses, built from plain mappings with errors that teach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as _pydantic_dataclass

from shopstill.core.errors import ConfigError, nearest

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def config(cls: type[T]) -> type[T]:
    """Make a class a frozen, keyword-only dataclass whose fields are checked and whose unknown keys are refused.

    >>> @config
    ... class Step:
    ...     rate: float = Field(default=0.1, gt=0)
    >>> Step(rate=0.5).rate
    0.5
    """
    return _pydantic_dataclass(cls, frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))  # type: ignore[call-overload]


def build(cls: type[T], values: Mapping[str, Any], source: str = "configuration") -> T:
    """Build a configuration from a mapping.

    Raises:
        ConfigError: a key is unknown (the nearest is named), or a value is of the wrong type or out of bounds.

    >>> @config
    ... class Step:
    ...     rate: float = 0.1
    >>> build(Step, {"rat": 1})
    Traceback (most recent call last):
      ...
    shopstill.core.errors.ConfigError: configuration: rat: unknown key; did you mean 'rate'? Allowed: rate
    """
    try:
        return TypeAdapter(cls).validate_python(values)
    except ValidationError as cause:
        raise ConfigError("\n".join(_explain(cls, e, source) for e in cause.errors())) from None


def plain(value: Any) -> dict[str, Any]:
    """A configuration as plain JSON values, defaults included."""
    return TypeAdapter(type(value)).dump_python(value, mode="json")


def schema(cls: type) -> dict[str, Any]:
    """The JSON schema of a configuration, for editors."""
    return TypeAdapter(cls).json_schema()


def override(values: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of nested values with ``a.b.0.c`` set.

    Raises:
        ConfigError: a list index is not a number or out of range.

    >>> override({"a": {"b": 1}}, "a.b", 2)
    {'a': {'b': 2}}
    """
    head, _, rest = path.partition(".")
    out = dict(values)
    child = out.get(head)
    if not rest:
        out[head] = value
    elif isinstance(child, list):
        out[head] = _override_item(child, rest, value, head)
    else:
        out[head] = override(child if isinstance(child, Mapping) else {}, rest, value)
    return out


def _override_item(items: list[Any], path: str, value: Any, name: str) -> list[Any]:
    head, _, rest = path.partition(".")
    if not head.isdigit() or int(head) >= len(items):
        raise ConfigError(f"{name}.{head}: is not an item of {name}; use a number from 0 to {len(items) - 1}")
    out = list(items)
    out[int(head)] = override(out[int(head)], rest, value) if rest else value
    return out


def _explain(cls: type, error: Any, source: str) -> str:
    path = [str(part) for part in error["loc"]]
    name = ".".join(path) or "(top)"
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{source}: {name}: unknown key; {nearest(path[-1], _siblings(cls, path[:-1]))}"
    if error["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{source}: {name}: is required and missing; add it"
    given = "" if error["type"].startswith("missing") else f" (given: {error['input']!r})"
    return f"{source}: {name}: {error['msg']}{given}"


def _siblings(cls: type, path: list[str]) -> list[str]:
    """The keys allowed at a place of the schema, followed by name through lists, unions and references."""
    whole = schema(cls)
    places = [whole]
    for part in path:
        places = [deeper for place in places for deeper in _step(whole, place, part)]
    return sorted({key for place in places for key in _resolve(whole, place).get("properties", {})})


def _resolve(whole: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in place:
        place = whole["$defs"][place["$ref"].rsplit("/", 1)[1]]
    return place


def _step(whole: dict[str, Any], place: dict[str, Any], part: str) -> list[dict[str, Any]]:
    place = _resolve(whole, place)
    options = [*place.get("anyOf", []), *place.get("oneOf", [])]
    if options:
        tagged = [o for o in options if part in (_tag(whole, o), _resolve(whole, o).get("title"))]
        return tagged or [deeper for option in options for deeper in _step(whole, option, part)]
    if part.isdigit() and "items" in place:
        return [place["items"]]
    if part in place.get("properties", {}):
        return [place["properties"][part]]
    extra = place.get("additionalProperties")
    return [extra] if isinstance(extra, dict) else []


def _tag(whole: dict[str, Any], option: dict[str, Any]) -> str | None:
    for value in _resolve(whole, option).get("properties", {}).values():
        if "const" in value:
            return str(value["const"])
    return None
