"""The description of the API is whole, and the app does what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from tests.serve.app.conftest import Memory

from shopstill.serve.app import routes
from shopstill.serve.app.create import create_app
from shopstill.serve.app.settings import Settings

ALWAYS = {"200", "400", "413", "414", "415", "429", "500", "503"}


@pytest.fixture(scope="module")
def described() -> Any:
    return create_app(Memory(), Settings()).openapi()


def operations(described: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_route_is_described(described: Any) -> None:
    found = {(method, path) for method, path, _ in operations(described)}
    made = [route for part in routes.ALL for route in part.routes if isinstance(route, APIRoute)]
    assert found == {(method, r.path_format) for r in made if r.include_in_schema for method in r.methods}
    assert len(found) == 24


def test_every_operation_says_what_it_answers_and_when_it_fails(described: Any) -> None:
    for method, path, operation in operations(described):
        said = operation["responses"]
        assert set(said) >= ALWAYS, (method, path)
        assert operation["tags"], (method, path)
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        for status, answer in said.items():
            content = answer["content"]
            if status == "200":
                assert all(one["schema"] for one in content.values()), (method, path)
            else:
                assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Failed"}
                assert content["application/json"]["example"]["error"]["message"]
        assert all("Retry-After" in said[status]["headers"] for status in ("429", "503"))
        if "requestBody" in operation:
            assert {"408", "422"} <= set(said)
            assert all(one["schema"] and one["example"] for one in operation["requestBody"]["content"].values())


def test_every_change_needs_a_key_and_nothing_else_does(described: Any) -> None:
    for method, path, operation in operations(described):
        asks = method == "POST" and path in ("/search", "/recommend", "/categorise", "/rerank", "/embed")
        assert ("security" in operation) == (method != "GET" and not asks), (method, path)
        if "security" in operation:
            assert {"401", "403"} <= set(operation["responses"])
    assert described["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_every_reference_and_path_parameter_is_there(described: Any) -> None:
    schemas = described["components"]["schemas"]
    assert {reference.rsplit("/", 1)[1] for reference in references(described)} <= set(schemas)
    for method, path, operation in operations(described):
        given = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert given == {part[1:-1] for part in path.split("/") if part.startswith("{")}, (method, path)
    names = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(set(names)) == len(names)
    assert "HTTPValidationError" not in schemas


def test_every_parameter_of_a_search_is_explained(described: Any) -> None:
    parameters = {one["name"]: one for one in described["paths"]["/search"]["get"]["parameters"]}
    assert all(one["description"] for one in parameters.values())
    assert parameters["facets"]["explode"] is False
    assert parameters["brand"]["explode"] is True
    assert parameters["limit"]["schema"]["maximum"] == 100
    assert not [one for one in parameters.values() if "commas" in one["schema"]]


def test_no_parameter_may_be_null_which_no_address_can_say(described: Any) -> None:
    shapes = {
        f"{method} {path} {one['name']}": one["schema"]
        for method, path, operation in operations(described)
        for one in operation.get("parameters", [])
    }
    assert shapes["GET /search model"]["minLength"] == 1
    assert not [name for name, shape in shapes.items() if "anyOf" in shape or shape.get("type") == "null"]


def test_the_description_is_served_and_no_page_is_loaded_from_elsewhere(client: Any) -> None:
    assert client.get("/openapi.json").json()["info"]["title"] == "shopstill"
    assert [client.get(path).status_code for path in ("/docs", "/redoc")] == [404, 404]
