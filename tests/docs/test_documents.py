"""Documents that cannot rot: their links, commands, paths and Python are held against the project as it is."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
SHELL = {"bash", "sh", "console"}
OTHERS = {"cd", "git", "python"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"].keys()
PARSE_ONLY = "<!-- parse only:"


class Block(NamedTuple):
    """A fenced block of a document; ``parse_only`` where the line above says why it is not run."""

    place: str
    language: str
    text: str
    parse_only: bool


def blocks(document: Path) -> Iterator[Block]:
    lines = document.read_text(encoding="utf-8").splitlines()
    start = None
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if start is None:
            start = number
            continue
        marked = start > 0 and lines[start - 1].startswith(PARSE_ONLY)
        place = f"{document.relative_to(ROOT)}:{start + 1}"
        yield Block(place, lines[start].strip(" `"), "\n".join(lines[start + 1 : number]), marked)
        start = None
    assert start is None, f"{document}:{(start or 0) + 1}: a block that is never closed"


BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
COMMANDS = [
    (block.place, line.removeprefix("$ "))
    for block in BLOCKS
    if block.language in SHELL
    for line in block.text.replace("\\\n", " ").splitlines()
    if line.strip() and not line.lstrip().startswith("#")
]


def prose(document: Path) -> str:
    return re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (document.parent / file).resolve() if file else document
        assert found.exists(), f"{target}: there is no such file"
        assert not anchor or anchor in anchors(found), f"{target}: no such heading in {sorted(anchors(found))}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_paths_named_in_text_exist(document: Path) -> None:
    named = re.findall(r"`((?:src|docs|tests|tools|benchmarks|recipes|examples)/[\w./-]*)`", prose(document))
    assert not [path for path in named if "NAME" not in path and not (ROOT / path).exists()]


@pytest.mark.parametrize(("place", "line"), COMMANDS, ids=lambda value: value[:60])
def test_commands_are_ones_the_project_knows(place: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    if words[0] == "make":
        goals = [word for word in words[1:] if "=" not in word]
        assert set(goals) <= TARGETS, f"{place}: make knows {sorted(TARGETS)}"
    elif words[0] == "shopstill":
        parses(words[1:], place)
    elif words[:2] == ["pip", "install"]:
        asked = {extra for group in re.findall(r"(?:shopstill|\.)\[([\w,]+)\]", line) for extra in group.split(",")}
        assert asked <= EXTRAS, f"{place}: the extras are {sorted(EXTRAS)}"
    else:
        assert words[0] in OTHERS, f"{place}: {words[0]} is no command that this test can hold against the project"


def parses(words: list[str], place: str) -> None:
    if importlib.util.find_spec("shopstill.cli") is None:
        pytest.skip("there is no command line yet")
    asked_for_help = {"--help", "--version"} & set(words)
    with pytest.raises(SystemExit) if asked_for_help else nullcontext():
        importlib.import_module("shopstill.cli").parser().parse_args(words)
    missing = [word for word in words if word.startswith("recipes/") and not (ROOT / word).exists()]
    assert not missing, place


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shopstill"):
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "python"], ids=lambda b: b.place)
def test_python_blocks_hold(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = ast.parse(block.text, filename=block.place)
    for module, name in imports(tree):
        if not hasattr(importlib.import_module(module), name):
            importlib.import_module(f"{module}.{name}")
    if not block.parse_only:
        monkeypatch.chdir(tmp_path)
        exec(compile(tree, block.place, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "pycon"], ids=lambda b: b.place)
def test_python_sessions_print_what_they_say(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    session = doctest.DocTestParser().get_doctest(block.text + "\n", {}, block.place, block.place, 0)
    assert session.examples, f"{block.place}: a session without >>>"
    assert not doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(session).failed
