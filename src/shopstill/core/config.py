"""Configuration: frozen, keyword-only, validated dataclasses, built from plain mappings with errors that teach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as _pydantic_dataclass

from shopstill.core.errors import ConfigError, nearest

T = TypeVar("T")

_SHOWN = 200


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def config(cls: type[T]) -> type[T]:
    """Make a class a frozen, keyword-only dataclass whose fields are checked and whose unknown keys are refused.

    >>> @config
    ... class Step:
    ...     rate: float = Field(default=0.1, gt=0)
    >>> Step(rate=0.5).rate
    0.5
    """
    made: Any = _pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))(cls)
    return cast("type[T]", made)


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
        raise ConfigError("\n".join(_explain(cls, fault, source) for fault in _deepest(cause.errors()))) from None


def plain(value: Any) -> dict[str, Any]:
    """A configuration as plain JSON values, defaults included."""
    return TypeAdapter(type(value)).dump_python(value, mode="json")


def schema(cls: type) -> dict[str, Any]:
    """The JSON schema of a configuration, for editors."""
    return TypeAdapter(cls).json_schema()


def override(values: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of nested values with ``a.b.0.c`` set.

    Raises:
        ConfigError: a part of the path names no item of a list, or something inside a plain value.

    >>> override({"a": {"b": 1}}, "a.b", 2)
    {'a': {'b': 2}}
    """
    changed: dict[str, Any] = _changed(values, path.split("."), value, path)
    return changed


def _changed(place: Any, parts: list[str], value: Any, path: str) -> Any:
    if not parts:
        return value
    part, *rest = parts
    if isinstance(place, list):
        if not part.isdigit() or int(part) >= len(place):
            allowed = f"use a number from 0 to {len(place) - 1}" if place else "the list is empty"
            raise ConfigError(f"{path}: {part!r} is not an item of its list; {allowed}")
        return [_changed(item, rest, value, path) if i == int(part) else item for i, item in enumerate(place)]
    if place is not None and not isinstance(place, Mapping):
        raise ConfigError(f"{path}: {part!r} lies inside {place!r}, which has no parts; give a shorter path")
    return {**(place or {}), part: _changed((place or {}).get(part), rest, value, path)}


def _deepest(faults: list[Any]) -> list[Any]:
    """Leave out what only follows from a fault further in, such as a list that lost its faulty item."""
    inner = {tuple(fault["loc"][:depth]) for fault in faults for depth in range(len(fault["loc"]))}
    return [fault for fault in faults if tuple(fault["loc"]) not in inner]


def _explain(cls: type, fault: Any, source: str) -> str:
    kind, path = fault["type"], [str(part) for part in fault["loc"]]
    shown, places = _walk(cls, path)
    name = f"{source}: {'.'.join(shown) or '(top)'}"
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{name}: unknown key; {nearest(path[-1], _keys(cls, path[:-1]))}"
    if kind.startswith("missing"):
        return f"{name}: is required and missing; add it"
    if kind == "union_tag_not_found":
        return f"{name}: needs {fault['ctx']['discriminator']}; {nearest('', _tags(places))}"
    if kind == "union_tag_invalid":
        tag = fault["ctx"]["tag"]
        return f"{name}: unknown {fault['ctx']['discriminator']} {tag!r}; {nearest(tag, _tags(places))}"
    if kind == "value_error":
        return "\n".join(f"{name}: {line}" for line in str(fault["ctx"]["error"]).splitlines())
    return f"{name}: {fault['msg']} (given: {_short(fault['input'])})"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _keys(cls: type, path: list[str]) -> list[str]:
    """The keys allowed at a place."""
    _, places = _walk(cls, path)
    return sorted({key for place in places for key in place.get("properties", {})})


def _tags(places: list[dict[str, Any]]) -> list[str]:
    return sorted(tag for tag in map(_tag, places) if tag is not None)


def _tag(place: dict[str, Any]) -> str | None:
    """What names an option of a union, such as ``cross`` where its ``kind`` is ``cross``."""
    return next((str(value["const"]) for value in place.get("properties", {}).values() if "const" in value), None)


def _walk(cls: type, path: list[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """A place of the schema: its path as a person writes it, without names of options, and what may stand there."""
    whole = schema(cls)
    shown: list[str] = []
    places = _options(whole, whole)
    for part in path:
        deeper = [found for place in places for found in _step(whole, place, part)]
        chosen = [place for place in places if _tag(place) == part] if len(places) > 1 else []
        if chosen or (len(places) > 1 and not deeper):
            places = chosen or places
        else:
            shown, places = [*shown, part], deeper
    return shown, places


def _step(whole: dict[str, Any], place: dict[str, Any], part: str) -> list[dict[str, Any]]:
    """What may stand at a key or item of a place."""
    others = [place.get("additionalProperties"), *place.get("patternProperties", {}).values()]
    if part.isdigit() and "items" in place:
        return _options(whole, place["items"])
    if part in place.get("properties", {}):
        return _options(whole, place["properties"][part])
    return [found for other in others if isinstance(other, dict) for found in _options(whole, other)]


def _options(whole: dict[str, Any], place: dict[str, Any]) -> list[dict[str, Any]]:
    """The options of a union, without null; references are followed."""
    while "$ref" in place:
        place = whole["$defs"][place["$ref"].rsplit("/", 1)[1]]
    inner = [o for o in (*place.get("anyOf", []), *place.get("oneOf", [])) if o.get("type") != "null"]
    return [found for option in inner for found in _options(whole, option)] if inner else [place]
