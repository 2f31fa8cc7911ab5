"""The reference page and the map say what the code holds."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import fields
from pathlib import Path

import pytest

from shopstill.data.readers._table_file import TableFile
from shopstill.data.schema import SCHEMAS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "shopstill"

_spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
assert _spec is not None
assert _spec.loader is not None
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)


def test_the_reference_is_in_step_with_the_code() -> None:
    assert reference.main(["--check"]) == 0, "write it anew: make docs"


def test_a_stale_reference_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "reference.md"
    stale.write_text(reference.text().replace("`soft`", "`sof`"), encoding="utf-8")
    monkeypatch.setattr(reference, "FILE", stale)
    assert reference.main(["--check"]) == 1


@pytest.mark.parametrize("title", reference.REGISTRIES)
def test_every_registered_name_is_documented(title: str) -> None:
    documented = reference.FILE.read_text(encoding="utf-8")
    entries = reference.entries(reference.REGISTRIES[title])
    assert not [name for name in entries if f"- `{name}`: " not in documented]
    assert not [name for name, about in entries.items() if about == "(no docstring)"]


@pytest.mark.parametrize("cls", [TableFile, *reference.SECTIONS.values()], ids=lambda cls: cls.__name__)
def test_every_option_of_a_section_is_documented(cls: type) -> None:
    documented = reference.FILE.read_text(encoding="utf-8")
    assert not [f.name for f in fields(cls) if f.name != "kind" and not re.search(rf"^- `{f.name}\b", documented, re.M)]


def test_the_columns_of_every_table_and_all_kinds_are_documented() -> None:
    documented = reference.FILE.read_text(encoding="utf-8")
    for table, columns in SCHEMAS.items():
        own = documented.partition(f"### `{table}`")[2].partition("###")[0]
        assert not [name for name in columns.names if f"- `{name}`" not in own]
    assert all(f"### `kind: {kind}`" in documented for kind in ("cross", "model", "ensemble", "scores"))
    assert all(f"- `{kind}`: " in documented for kind in ("towers", "joint", "sasrec", "resnet", "both"))


def test_the_map_shows_every_part_and_no_other() -> None:
    tree = re.search(r"^```text\nsrc/shopstill/\n(.*?)^```", _map(), re.MULTILINE | re.DOTALL)
    assert tree, "docs/architecture.md: the block that starts with src/shopstill/ is gone"
    shown = set(re.findall(r"^  ([\w/]+(?:\.py)?)", tree.group(1), re.MULTILINE))
    packages = {f"{part.name}/" for part in PACKAGE.iterdir() if part.is_dir() and any(part.glob("*.py"))}
    modules = {part.name for part in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert shown == packages | modules


def _map() -> str:
    return (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
