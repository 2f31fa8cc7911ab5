"""Write docs/reference.md from the code: every command, and every entry of every registry.

Run as ``python tools/reference.py``, or as ``make docs``. With ``--check`` nothing is written; it exits with 1 where
the file is out of step with the code.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shopstill.core.registry import Registry

FILE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
REGISTRIES = {
    "Readers": Registry("shopstill.data.readers", "reader"),
    "Losses": Registry("shopstill.losses", "loss"),
    "Passes": Registry("shopstill.compress", "pass"),
    "Tasks": Registry("shopstill.tasks", "task"),
}
_HEAD = """\
# Reference

Every command and every name that a recipe may use. An option without a value must be given. `make docs` writes
this page from the code.
"""


def text() -> str:
    """The whole page."""
    parts = [_HEAD, *_commands()]
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


def _about(entry: Any) -> str:
    first = " ".join((inspect.getdoc(entry) or "").partition("\n\n")[0].split()).replace("``", "`")
    options = [f"`{_option(p)}`" for p in inspect.signature(entry).parameters.values() if _is_option(p)]
    return (first or "(no docstring)") + (f" Options: {', '.join(options)}." if options else "")


def _is_option(parameter: inspect.Parameter) -> bool:
    return parameter.kind is parameter.KEYWORD_ONLY and not parameter.name.endswith("_B")


def _option(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return parameter.name
    made = repr(parameter.default) == "<factory>"
    return f"{parameter.name}={'…' if made else repr(parameter.default)}"


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
