"""What ``pip install shopstill`` brings: a server that answers, nothing that trains, and no more than it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from pydantic import TypeAdapter

from shopstill.serve.engine.engine import create
from shopstill.serve.forms import Product

ROOT = Path(__file__).resolve().parents[2]
BASE: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
HEAVY = {"torch", "transformers", "accelerate", "scipy", "sklearn", "onnx", "onnx_ir", "onnxscript", "threadpoolctl"}

MOST_MB = 500
"""Size on disk of all that the base package needs, bytecode left out; docs/serving.md says what was measured."""

ABSENT = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

ABSENT = set(sys.argv.pop(1).split(","))
before = set(sys.modules)
sys.meta_path.insert(0, Absent())
"""

SERVE = """
import asyncio, json, sys
from pathlib import Path
import shopstill
from urllib.parse import quote
from shopstill.serve.app.create import create_app
from shopstill.serve.app.run import serve
from shopstill.serve.app.settings import Settings
from shopstill.serve.engine.engine import Engine, create
from shopstill.serve.products import read_products

bundle, products, index, query = sys.argv[1:]
scores = shopstill.load_bundle(bundle).score([("mug", "red mug")])
# Large catalogues alone need it. Not before onnxruntime: some releases of the two crash in that order.
import usearch.index
if not Path(index).exists():
    create(Path(index), Path(bundle), *read_products(Path(products)))
engine = Engine.open(Path(index), Path(bundle))
app = create_app(engine, Settings())
got = {"body": b""}

async def ask():
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
             "path": "/search", "raw_path": b"/search", "query_string": f"limit=5&q={quote(query)}".encode(),
             "root_path": "", "headers": [(b"host", b"localhost")], "client": None, "server": None, "state": {}}
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        got["status"] = message.get("status", got.get("status"))
        got["body"] += message.get("body", b"")
    await app(scope, receive, send)

asyncio.run(ask())
facts = engine.facts()
app.state.shopstill.close()
engine.close()
print(json.dumps({"status": got["status"], "answer": json.loads(got["body"]), "products": facts["products"],
                  "loaded": sorted(name.partition(".")[0] for name in set(sys.modules) - before)}))
"""


def closure(requirements: Iterable[str]) -> set[str]:
    """Names of the distributions that requirements bring on this machine, and of what these bring in turn."""
    found: set[str] = set()
    left = [Requirement(one) for one in requirements]
    seen: set[str] = set()
    while left:
        wanted = left.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        found.add(_canonical(wanted.name))
        extras = wanted.extras or {""}
        for further in map(Requirement, distribution(wanted.name).requires or ()):
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                left.append(further)
    return found


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def megabytes(names: Iterable[str]) -> float:
    """Size of the files of distributions, bytecode left out."""
    files = (file.locate() for name in names for file in distribution(name).files or () if file.suffix != ".pyc")
    return sum(Path(str(path)).stat().st_size for path in files if Path(str(path)).is_file()) / 1e6


@pytest.fixture(scope="module")
def light() -> set[str]:
    """The distributions of ``pip install shopstill``."""
    return closure(BASE)


@pytest.fixture(scope="module")
def absent(light: set[str]) -> set[str]:
    """Modules that are importable here, and are not after ``pip install shopstill``."""
    known = packages_distributions()
    brought = {top for top, names in known.items() if {*map(_canonical, names)} & light}
    return (known.keys() | HEAVY) - brought - sys.stdlib_module_names - {"shopstill"}


def python(absent: set[str], script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script in an interpreter to which some modules are not there."""
    command: Sequence[str] = (sys.executable, "-c", ABSENT + script, ",".join(sorted(absent)), *map(str, arguments))
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def served(absent: set[str], *arguments: object) -> Any:
    done = python(absent, SERVE, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_that_trains_is_brought(light: set[str]) -> None:
    assert not light & {"torch", "transformers", "accelerate", "scipy", "scikit-learn", "onnx", "sentence-transformers"}
    assert not [name for name in light if name.startswith(("nvidia-", "triton"))]


def test_it_takes_no_more_than_it_says(light: set[str]) -> None:
    found = megabytes(light)
    assert 50 < found <= MOST_MB, f"{found:.0f} MB; the largest: " + ", ".join(
        f"{name} {megabytes([name]):.0f}" for name in sorted(light, key=lambda one: -megabytes([one]))[:5]
    )


def test_the_probe_sees_what_is_absent(absent: set[str]) -> None:
    pytest.importorskip("torch")
    assert {"torch", "transformers", "pytest"} <= absent
    done = python(absent, "import shopstill.types")
    assert done.returncode == 1
    assert "No module named 'torch'" in done.stderr


def test_a_catalogue_is_indexed_and_searched_with_the_base_package_alone(
    bundles: Callable[[str], Path], goods: list[Product], absent: set[str], tmp_path: Path
) -> None:
    written = TypeAdapter(Product).dump_json
    (tmp_path / "goods.jsonl").write_bytes(b"\n".join(map(written, goods)))
    query = goods[0].title.split()[0]
    got = served(absent, bundles("static towers, interaction"), tmp_path / "goods.jsonl", tmp_path / "index", query)
    assert got["status"] == 200
    assert got["answer"]["hits"]
    assert got["answer"]["reranked"]
    assert got["products"] == len(goods)
    assert {"numpy", "tantivy", "usearch", "fastapi", "uvicorn"} <= {*got["loaded"]}
    assert not {*got["loaded"]} & absent


def test_the_command_line_starts_with_the_base_package_alone(absent: set[str]) -> None:
    done = python(absent, "from shopstill.cli import main; main(['serve', '--help'])")
    assert done.returncode == 0, done.stderr
    assert "bundle" in done.stdout


def test_a_process_opens_a_large_index_and_answers(
    bundles: Callable[[str], Path], goods: list[Product], absent: set[str], tmp_path: Path
) -> None:
    many = [
        Product(id=f"{turn}-{one.id}", title=f"{one.title} {turn}", brand=one.brand, price=one.price)
        for turn in range(10)
        for one in goods
    ]
    bundle = bundles("static towers, interaction")
    create(tmp_path / "index", bundle, many, len(many))
    got = served(absent, bundle, "-", tmp_path / "index", goods[0].title.split()[0])
    assert (got["status"], got["products"]) == (200, len(many))
    assert got["answer"]["total"] >= 10
