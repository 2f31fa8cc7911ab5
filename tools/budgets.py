"""The size budgets of the house style: files of at most 300 lines, functions of at most 40, nesting of at most 3.

Run as ``python tools/budgets.py``; prints what is over, and exits with 1 if anything is. A function's lines are those
of its body without the docstring. Parameters (7 at most) and branches are ruff's to count.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("src", "tests", "tools", "benchmarks", "examples")
FILE_LINES = 300
FUNCTION_LINES = 40
NESTING = 3

ALLOWED: dict[str, str] = {}
"""What may be over, and why: ``path`` for a file's lines, ``path:function`` for a function. A needless entry fails."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_NESTS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


def findings(path: Path, name: str) -> Iterator[tuple[str, str]]:
    """What is over a budget in a file: the key that would allow it, and a line that says so.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "long.py"
    >>> _ = file.write_text("def f(x):" + " x += 1;" * 3 + chr(10) + "y = 1" + chr(10) * 300)
    >>> list(findings(file, "long.py"))
    [('long.py', 'long.py: 301 lines; 300 at most. Split it where the subject changes')]
    """
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield name, f"{name}: {lines} lines; {FILE_LINES} at most. Split it where the subject changes"
    for node in ast.walk(ast.parse(text, filename=name)):
        if isinstance(node, Function):
            yield from _function(node, name)


def _function(node: Function, name: str) -> Iterator[tuple[str, str]]:
    key, place = f"{name}:{node.name}", f"{name}:{node.lineno}: {node.name}"
    lines = body_lines(node)
    if lines > FUNCTION_LINES:
        yield key, f"{place} has {lines} lines; {FUNCTION_LINES} at most. Give its parts names of their own"
    depth = nesting(node)
    if depth > NESTING:
        yield key, f"{place} nests {depth} deep; {NESTING} at most. Return early, or name the inner part"


def body_lines(function: Function) -> int:
    """Lines of a function's body, its docstring aside.

    >>> body_lines(ast.parse('def f():\\n    "One."\\n    x = 1\\n    return x').body[0])
    2
    """
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def nesting(node: ast.AST) -> int:
    """How deep the blocks of a function go; ``elif`` stays on the level of its ``if``, an inner function starts anew.

    >>> nesting(ast.parse("if a:\\n  pass\\nelif b:\\n  pass\\nelse:\\n  for c in d:\\n    pass"))
    2
    """
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _SCOPES):
            continue
        elif_ = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, nesting(child) + (isinstance(child, _NESTS) and not elif_))
    return deepest


def main() -> int:
    """Check every Python file of the project."""
    root = Path(__file__).resolve().parent.parent
    files = [file for folder in FOLDERS for file in sorted((root / folder).rglob("*.py"))]
    found = [pair for file in files for pair in findings(file, file.relative_to(root).as_posix())]
    over = [line for key, line in found if key not in ALLOWED]
    over += [f"{key}: within its budget by now; take it out of ALLOWED" for key in ALLOWED.keys() - dict(found).keys()]
    print("\n".join(over) or f"Budgets: {len(files)} files, all within.")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
