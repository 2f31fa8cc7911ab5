"""The page around the student: its files, the runtime it needs, and the service worker that keeps all of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files as resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from shopstill.core.fingerprint import file_sha256
from shopstill.export.browser.npm import Package

GRAPHS = Package(
    name="onnxruntime-web",
    version="1.30.0",
    integrity="sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    licence="MIT",
)
CHINESE = Package(
    name="jieba-wasm",
    version="2.4.0",
    integrity="sha512-ZvQdS+FGifrFXZIXSgOyOgEz+1wdy1P4vSvwe37FVtku9ycSdHTZbHqF5i9tMN1JucoAmeiLBeI6/YaqcGD+KA==",
    licence="MIT",
)
FILES = {
    GRAPHS: ("dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm"),
    CHINESE: ("pkg/web/jieba_rs_wasm.js", "pkg/web/jieba_rs_wasm_bg.wasm"),
}
"""What runs graphs in a browser, and what cuts Chinese as the server does: packages, and the files that are used."""

SHARED = ("address.js", "card.js", "dom.js", "facets.css", "facets.js", "words.js")
"""What the page has of the served one: files of ``serve/page``."""

_STUDENT, _WORKER, _LICENCES = "student/student.json", "service-worker.js", "LICENCES.txt"
_PARTS = {"student": ("student/", "runtime/"), "catalogue": ("catalogue/",), "values": ("catalogue/values.",)}
_MARKER = re.compile(r"^const VERSION = \"\";\nconst FILES = \{\};$", re.MULTILINE)


def write(
    folder: Path,
    facts: dict[str, Any],
    parts: Mapping[Package, Mapping[str, bytes]],
    licences: Sequence[Mapping[str, Any]],
) -> None:
    """Write everything beside the student and its products, which are there already; with files of packages."""
    _copy(resources("shopstill.export.browser") / "static", folder)
    for name in SHARED:
        (folder / "page" / name).write_bytes((resources("shopstill.serve") / "page" / name).read_bytes())
    for held in parts.values():
        (folder / "runtime").mkdir(exist_ok=True)
        for name, content in held.items():
            (folder / "runtime" / name.rpartition("/")[2]).write_bytes(content)
    (folder / _LICENCES).write_text(_licences(licences, parts), encoding="utf-8")
    stated = facts | {"bytes": _sizes(folder)}
    (folder / _STUDENT).write_text(json.dumps(stated, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    _precache(folder)


def _licences(stated: Sequence[Mapping[str, Any]], packages: Iterable[Package]) -> str:
    lines = [f"{one.get('what', '')}: {one.get('licence', '')} ({one.get('source', '')})" for one in stated]
    for one in packages:
        source = f"https://www.npmjs.com/package/{one.name}/v/{one.version}"
        lines.append(f"{one.name} {one.version}: {one.licence} ({source})")
    return "\n".join(["the pages and modules of this folder: Apache-2.0 (shopstill)", *lines]) + "\n"


def _precache(folder: Path) -> None:
    """Write the list of all files into the service worker: what it keeps is named by its content."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _WORKER)
    listed = {path.relative_to(folder).as_posix(): file_sha256(path) for path in paths}
    version = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()[:16]
    worker = folder / _WORKER
    text = worker.read_text(encoding="utf-8")
    made = f"const VERSION = {json.dumps(version)};\nconst FILES = {json.dumps(listed, indent=1)};"
    text, times = _MARKER.subn(lambda _: made, text)
    assert times == 1
    worker.write_text(text, encoding="utf-8")


def _sizes(folder: Path) -> dict[str, int]:
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    own = {part: sum(size for name, size in sizes.items() if name.startswith(at)) for part, at in _PARTS.items()}
    return own | {"all": sum(sizes.values())}


def _copy(source: Traversable, to: Path) -> None:
    to.mkdir(exist_ok=True)
    for part in source.iterdir():
        if part.is_dir():
            _copy(part, to / part.name)
        else:
            (to / part.name).write_bytes(part.read_bytes())
