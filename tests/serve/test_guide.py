"""The guide to serving cannot rot: every ``curl`` in it is sent to a server, in order, and no route is left out."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from starlette.testclient import TestClient
from tests.export import history_kit, label_kit

from shopstill.serve.app.create import create_app
from shopstill.serve.app.keys import SCOPES, add_key
from shopstill.serve.app.settings import Settings
from shopstill.serve.engine.engine import Engine
from shopstill.serve.forms import Product

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
BASE = "http://127.0.0.1:8080"

Bundles = Callable[[str], Path]


def commands(text: str) -> Iterator[list[str]]:
    """The ``curl`` commands of a block, as words."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line)
        if words and words[0] == "curl":
            yield words[1:]


def asked(words: list[str], key: str, lines: str) -> dict[str, Any]:
    """A command as a request."""
    request: dict[str, Any] = {"method": "GET", "headers": {}}
    left = iter(words)
    for word in left:
        if word == "-X":
            request["method"] = next(left)
        elif word == "-H":
            name, _, value = next(left).partition(": ")
            request["headers"][name] = value.replace("$KEY", key)
        elif word == "-d":
            request["content"] = next(left)
        elif word == "--data-binary":
            assert next(left) == "@changes.jsonl"
            request["content"] = lines
        else:
            assert word.startswith(BASE), f"{word}: an option that this test does not know"
            request["url"] = word.removeprefix(BASE)
    return request


@pytest.fixture
def client(engine: Engine, bundles: Bundles, tiny_start: Path, tmp_path: Path) -> Iterator[tuple[TestClient, str]]:
    """A server as the guide has it: two models, a third in the folder, a product, a report; and a key to everything."""
    engine.load("fast", bundles("static towers, interaction"))
    engine.load("exact", bundles("cross, first token"))
    engine.activate("fast")
    engine.put(
        [
            Product(id=one, title="Red mug", brand="Acme", category=("Home", "Mugs"), price=9.5)
            for one in ["42", "41", *(f"item {at}" for at in range(1, 30))]
        ]
    )
    engine.recommenders.load(history_kit.written("item_mean", lambda: tmp_path)[1])
    engine.categorisers.load(label_kit.written("both", tiny_start, lambda: tmp_path / "labels")[1])
    shutil.copytree(bundles("static towers, interaction"), tmp_path / "models" / "next")
    (tmp_path / "report.html").write_text("<title>report</title>", encoding="utf-8")
    keys = tmp_path / "keys.json"
    key = add_key(keys, SCOPES, "all")
    settings = Settings(keys=keys, models=tmp_path / "models", report=tmp_path / "report.html")
    with TestClient(create_app(engine, settings), base_url=BASE) as made:
        yield made, key


def test_every_curl_is_answered_as_the_guide_says(client: tuple[TestClient, str]) -> None:
    server, key = client
    lines = next(text for language, text in BLOCKS if language == "jsonl" and '"delete"' in text)
    answer: Any = None
    sent: set[tuple[str, str]] = set()
    for language, text in BLOCKS:
        if language == "json" and answer is not None and '"error"' not in text:
            said = json.loads(text)
            assert said.keys() <= answer.keys(), text
            assert text.count("\n") > 1 or said == answer, f"{text} is {answer}"
            answer = None
        for words in commands(text) if language == "shell" else ():
            request = asked(words, key, lines)
            got = server.request(**request)
            assert got.status_code == 200, f"{words}: {got.text}"
            answer = got.json() if got.headers["content-type"] == "application/json" else None
            sent.add((request["method"], urlsplit(request["url"]).path))
    assert not [route for route in routes(server) if not any(_is(one, route) for one in sent)]


def routes(server: TestClient) -> list[tuple[str, str]]:
    """Method and address of every route."""
    paths = server.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def _is(sent: tuple[str, str], route: tuple[str, str]) -> bool:
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route[1]))
    return sent[0] == route[0] and re.fullmatch(pattern, sent[1]) is not None


def test_an_error_looks_as_the_guide_says(client: tuple[TestClient, str]) -> None:
    said = next(json.loads(text) for language, text in BLOCKS if language == "json" and '"error"' in text)
    assert client[0].get("/search?limit=1000").json() == said


def test_the_limits_are_those_of_the_guide() -> None:
    limits = GUIDE.partition("## Limits")[2].partition("## Watching")[0]
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| ([\w ,]+) \|", limits, re.MULTILINE)
    units = {"KiB": 1 << 10, "MiB": 1 << 20}
    for names, values in rows:
        settings, told = re.findall(r"\w+", names), values.split(", ")
        for name, value in zip(settings, told * len(settings) if len(told) == 1 else told, strict=True):
            number, _, unit = value.replace(",", "").partition(" ")
            expected: Any = () if number == "none" else float(number) * units.get(unit, 1)
            assert getattr(Settings(), name) == expected, name
    assert len(rows) >= 12


def test_the_image_copies_what_is_there_and_compose_runs_what_it_has() -> None:
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    sources = [word for line in re.findall(r"^COPY (?!--from)(.+)$", image, re.MULTILINE) for word in line.split()[:-1]]
    assert {"src", "pyproject.toml"} <= {*sources}
    for source in sources:
        assert (ROOT / source).exists()
        assert f"\n!{source}\n" in kept
    service = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["shopstill"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert f"USER {service['user']}\n" in image


def test_the_image_and_compose_start_a_server_that_the_command_line_knows() -> None:
    from shopstill.cli import parser

    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    told = json.loads(re.findall(r"^CMD (.+)$", image, re.MULTILINE)[-1])
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["shopstill"]["command"]
    commented = re.findall(r"^ +# - (--.+)$", (ROOT / "compose.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    for words in (told, composed, [*composed, *commented]):
        assert parser().parse_args(words).host == "0.0.0.0"
