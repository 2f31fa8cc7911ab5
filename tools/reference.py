"""Write docs/reference.md from the code: every command, and every entry of every registry.

Run as ``python tools/reference.py``, or as ``make docs``. With ``--check`` nothing is written; it exits with 1 where
the file is out of step with the code.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from shopstill.core.registry import Registry
from shopstill.data.readers._table_file import TableFile
from shopstill.data.schema import SCHEMAS
from shopstill.data.split import SplitConfig
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.latency import Timing
from shopstill.models.families import AnyModel
from shopstill.recipe import Chain, Recipe, Student, Teacher
from shopstill.teach.mine import Mine
from shopstill.train.training import Training

FILE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
REGISTRIES = {
    "Readers": Registry("shopstill.data.readers", "reader"),
    "Losses": Registry("shopstill.losses", "loss"),
    "Passes": Registry("shopstill.compress", "pass"),
    "Tasks": Registry("shopstill.tasks", "task"),
}
SECTIONS = {
    "The recipe": Recipe,
    "`split`": SplitConfig,
    "`mine`": Mine,
    "A student": Student,
    "`training`": Training,
    "A chain of `compress`": Chain,
    "`judging`": Judging,
    "`timing`": Timing,
}
_HEAD = """\
# Reference

Every command and every name that a recipe may use; [your shop](your-shop.md) puts them together. An option without a
value must be given. `make docs` writes this page from the code.
"""


def text() -> str:
    """The whole page."""
    parts = [_HEAD, *_commands(), "## Sections of a recipe\n"]
    parts += [_section(title, cls) for title, cls in SECTIONS.items()]
    parts += ["## Teachers\n", *(_section(f"`kind: {kind}`", cls) for kind, cls in kinds(Teacher).items())]
    parts += ["## Models\n", "\n".join(f"- `{kind}`: {_about(cls)}" for kind, cls in kinds(AnyModel).items()) + "\n"]
    parts += ["## Tables of a shop\n", _section("A table of the reader `columns`", TableFile), *_tables()]
    for title, registry in REGISTRIES.items():
        if entries(registry):
            parts.append(f"## {title}\n")
            parts.append("\n".join(f"- `{name}`: {about}" for name, about in entries(registry).items()) + "\n")
    return "\n".join(parts)


def entries(registry: Registry) -> dict[str, str]:
    """What each entry does, by name: its docstring's first paragraph, and its options; empty where there is no package.

    >>> entries(Registry("shopstill.losses", "loss"))["soft"]
    "KL divergence of the student's softened classes from the teacher's. Options: `temperature=1.0`."
    """
    try:
        names = registry.names()
    except ModuleNotFoundError:
        return {}
    return {name: _about(registry.get(name)) for name in names}


def kinds(union: Any) -> dict[str, type]:
    """The configurations of a union, by the ``kind`` that a recipe names.

    >>> sorted(kinds(Teacher))
    ['cross', 'ensemble', 'model', 'scores']
    """
    if isinstance(union, type):
        return {str(inspect.signature(union).parameters["kind"].default): union}
    return {kind: cls for part in get_args(union) for kind, cls in kinds(part).items()}


def _section(title: str, cls: type) -> str:
    """What a configuration is, and a line for each of its options."""
    told, _, attributes = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    meanings = dict(re.findall(r"^ {4}(\w+): ((?:.+\n?)(?:^ {8}.+\n?)*)", attributes, re.MULTILINE))
    options = inspect.signature(cls).parameters
    rows = [
        f"- `{_option(options[field.name])}`" + _meant(meanings.get(field.name) or _described(field))
        for field in dataclasses.fields(cls)
        if field.name != "kind"
    ]
    paragraphs = [_line(paragraph) for paragraph in told.split("\n\n") if paragraph.strip() and ">>>" not in paragraph]
    return "\n\n".join([f"### {title}", *paragraphs, "\n".join(rows)]) + "\n"


def _described(field: dataclasses.Field[Any]) -> str:
    return getattr(field.default, "description", None) or ""


def _meant(text: str) -> str:
    return f": {_line(text)}" if text else ""


def _tables() -> Iterator[str]:
    for table, columns in SCHEMAS.items():
        rows = [
            f"- `{f.name}`{'' if f.nullable else ' (required)'}: {f.metadata[b'meaning'].decode()}" for f in columns
        ]
        yield f"### `{table}`\n\n" + "\n".join(rows) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


def _about(entry: Any) -> str:
    first = _line((inspect.getdoc(entry) or "").partition("\n\n")[0])
    options = [f"`{_option(p)}`" for p in inspect.signature(entry).parameters.values() if _is_option(p)]
    return (first or "(no docstring)") + (f" Options: {', '.join(options)}." if options else "")


def _is_option(parameter: inspect.Parameter) -> bool:
    return parameter.kind is parameter.KEYWORD_ONLY and not parameter.name.endswith("_B")


def _option(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return parameter.name
    made = repr(parameter.default) == "<factory>"
    value = str(parameter.default) if isinstance(parameter.default, Path) else parameter.default
    return f"{parameter.name}={'…' if made else repr(value)}"


def _commands() -> Iterator[str]:
    if importlib.util.find_spec("shopstill.cli"):
        yield "## Commands\n"
        yield from _command(importlib.import_module("shopstill.cli").parser(), "shopstill")


def _command(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    # argparse tells of its parts only through names with an underscore; its printed help differs between Pythons.
    subs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not subs:
        rows = [_argument(action) for action in parser._actions if not isinstance(action, argparse._HelpAction)]
        yield f"### `{name}`\n\n{parser.description or ''}\n"
        yield from (["\n".join(rows) + "\n"] if rows else [])
    for action in subs:
        for sub, child in action.choices.items():
            yield from _command(child, f"{name} {sub}")


def _argument(action: argparse.Action) -> str:
    value = action.metavar or action.dest.upper()
    spelled = ", ".join(action.option_strings) or str(value).lower()
    takes = f" {value}" if action.option_strings and action.nargs != 0 else ""
    choices = f" One of {', '.join(map(str, action.choices))}." if action.choices else ""
    return f"- `{spelled}{takes}`: {action.help or ''}{choices}"


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    if "--check" not in arguments:
        FILE.write_text(text(), encoding="utf-8")
        return 0
    if FILE.exists() and FILE.read_text(encoding="utf-8") == text():
        return 0
    print("docs/reference.md is out of step with the code; write it anew: make docs")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
