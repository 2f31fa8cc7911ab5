"""What import-linter cannot see: what really gets loaded, and whether every package used is declared."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "shopstill"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LIGHT = [part for part in ("core", "data", "serve") if (PACKAGE / part).exists()]
HEAVY = {"torch", "transformers", "accelerate", "scipy", "sklearn"}

LOAD = """
import importlib, json, pkgutil, sys
def load(name):
    module = importlib.import_module(name)
    for entry in pkgutil.iter_modules(getattr(module, "__path__", [])):
        load(f"{name}.{entry.name}")
for name in sys.argv[1:]:
    load(name)
print(json.dumps(sorted(sys.modules)))
"""


def loaded(*modules: str) -> set[str]:
    """What a fresh interpreter holds after it imported modules and everything below them."""
    done = subprocess.run([sys.executable, "-c", LOAD, *modules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("part", LIGHT)
def test_light_parts_load_without_torch(part: str) -> None:
    assert not loaded(f"shopstill.{part}") & HEAVY


def test_the_command_line_answers_without_torch() -> None:
    assert not loaded("shopstill.cli") & HEAVY


def test_the_probe_would_see_torch() -> None:
    pytest.importorskip("torch")
    assert "torch" in loaded("shopstill.types")


def declared(requirements: list[str]) -> set[str]:
    """Names of distributions, spelled in one way."""
    return {_canonical(re.split(r"[^\w.-]", requirement, maxsplit=1)[0]) for requirement in requirements}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(part: Path) -> dict[str, list[str]]:
    """Distribution of each third-party package that files import, with the files."""
    known = packages_distributions()
    found: dict[str, list[str]] = {}
    for file in part.rglob("*.py"):
        for top in _tops(file) - sys.stdlib_module_names - {"shopstill"}:
            for distribution in known.get(top, [top]):
                found.setdefault(_canonical(distribution), []).append(file.relative_to(ROOT).as_posix())
    return found


def _tops(file: Path) -> set[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("part", LIGHT)
def test_light_parts_use_core_dependencies_alone(part: str) -> None:
    foreign = imported(PACKAGE / part).items()
    undeclared = {name: files for name, files in foreign if name not in declared(PROJECT["dependencies"])}
    assert not undeclared, "add these to the project's dependencies, or do without"


def test_every_import_is_declared() -> None:
    allowed = declared(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["train"])
    undeclared = {name: files for name, files in imported(PACKAGE).items() if name not in allowed}
    assert not undeclared, "add these to the project's dependencies or to its extra train"


def test_every_dependency_is_pinned() -> None:
    asked = declared(
        PROJECT["dependencies"] + [x for extra in PROJECT["optional-dependencies"].values() for x in extra]
    )
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = declared([line for line in pins if not line.startswith("#")])
    assert not asked - pinned, "pin them: make constraints"
    assert not [line for line in pins if "+" in line], "a local build, such as +cpu, is not to be had everywhere"
