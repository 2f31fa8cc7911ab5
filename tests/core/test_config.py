"""Configurations: checked, and answered with errors that teach."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from shopstill.core.config import build, config, override, plain, schema
from shopstill.core.errors import ConfigError


@config
class Mouse:
    kind: Literal["mouse"] = "mouse"
    tail: float = Field(default=1.0, gt=0)


@config
class Cat:
    kind: Literal["cat"] = "cat"
    whiskers: int = 8


Animal = Annotated[Mouse | Cat, Field(discriminator="kind")]


@config
class Cage:
    animals: tuple[Animal, ...] = Field(default=(), min_length=1)
    label: str | None = None


@config
class Zoo:
    name: str
    cages: dict[Annotated[str, Field(pattern="^[a-z]+$")], Cage] = Field(default_factory=dict)
    first: Animal = Field(default_factory=Mouse)
    spare: Cage | None = None


def _fault(**values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        build(Zoo, {"name": "z", **values}, "zoo.yaml")
    return str(caught.value)


def test_values_are_checked_frozen_and_by_keyword() -> None:
    made = build(Zoo, {"name": "z", "cages": {"a": {"animals": [{"kind": "cat"}]}}})
    assert made.cages["a"].animals == (Cat(),)
    with pytest.raises(FrozenInstanceError):
        made.name = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="positional"):
        Mouse("mouse", 2.0)  # type: ignore[misc]


def test_plain_values_come_back_the_same() -> None:
    made = build(Zoo, {"name": "z", "cages": {"a": {"animals": [{"kind": "cat", "whiskers": 3}]}}})
    assert build(Zoo, plain(made)) == made
    assert plain(made)["first"] == {"kind": "mouse", "tail": 1.0}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"nmae": 1}, "zoo.yaml: nmae: unknown key; did you mean 'name'?"),
        ({"spare": {"lable": "x"}}, "zoo.yaml: spare.lable: unknown key; did you mean 'label'?"),
        ({"first": {"kind": "cat", "wiskers": 1}}, "zoo.yaml: first.wiskers: unknown key; did you mean 'whiskers'?"),
        (
            {"cages": {"a": {"animals": [{"kind": "cat"}, {"kind": "mouse", "tial": 2}]}}},
            "zoo.yaml: cages.a.animals.1.tial: unknown key; did you mean 'tail'? Allowed: kind, tail",
        ),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_of_its_place(values: dict[str, Any], expected: str) -> None:
    fault = _fault(**values)
    assert fault.startswith(expected)
    assert "\n" not in fault, "one fault, one line"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"first": {"kind": "dog"}}, "zoo.yaml: first: unknown 'kind' 'dog'; Allowed: cat, mouse"),
        ({"first": {"tail": 2}}, "zoo.yaml: first: needs 'kind'; Allowed: cat, mouse"),
        ({"first": {"kind": "mouse", "tail": -1}}, "zoo.yaml: first.tail: Input should be greater than 0 (given: -1)"),
        ({"name": 3}, "zoo.yaml: name: Input should be a valid string (given: 3)"),
        ({"cages": {"B2": {}}}, "zoo.yaml: cages.B2"),
        ({"cages": {"a": {"animals": []}}}, "zoo.yaml: cages.a.animals: Tuple should have at least 1 item"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(values: dict[str, Any], expected: str) -> None:
    assert _fault(**values).startswith(expected)


def test_every_fault_is_named_in_one_go() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Zoo, {"spare": {"label": 1}, "first": {"kind": "mouse", "tail": "long"}})
    named = {line.split(": ")[1] for line in str(caught.value).splitlines()}
    assert named == {"name", "first.tail", "spare.label"}
    assert "name: is required and missing" in str(caught.value)


def test_a_huge_value_is_not_shown_whole() -> None:
    assert len(_fault(spare=["x" * 10_000])) < 500


def test_the_schema_knows_bounds_and_keys() -> None:
    made = schema(Mouse)
    assert made["properties"]["tail"]["exclusiveMinimum"] == 0
    assert made["additionalProperties"] is False


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("a", 2, {"a": 2, "l": [{"b": 1}, 5]}),
        ("c.d", 2, {"a": 1, "l": [{"b": 1}, 5], "c": {"d": 2}}),
        ("l.0.b", 2, {"a": 1, "l": [{"b": 2}, 5]}),
        ("l.1", 2, {"a": 1, "l": [{"b": 1}, 2]}),
    ],
)
def test_override_changes_one_place_of_a_copy(path: str, value: int, expected: dict[str, Any]) -> None:
    values = {"a": 1, "l": [{"b": 1}, 5]}
    assert override(values, path, value) == expected
    assert values == {"a": 1, "l": [{"b": 1}, 5]}


@pytest.mark.parametrize("path", ["l.2", "l.x", "l.-1", "l.1.b", "a.b", "e.0"])
def test_override_refuses_a_path_that_leads_nowhere(path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        override({"a": 1, "l": [{"b": 1}, 5], "e": []}, path, 2)
