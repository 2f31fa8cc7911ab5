"""The command line: parse, call, print."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from shopstill import __version__
from shopstill.cli import serving
from shopstill.core.errors import ShopstillError, require

if TYPE_CHECKING:
    from shopstill.core.artifact import Artifact

_STAGES = {
    "run": "all stages, from the shop to the report",
    "prepare": "read, clean and split the shop",
    "teach": "train the teacher, or take in what was made elsewhere",
    "label": "mine pairs and have the teacher label them",
    "distil": "train the students and their twins",
    "evaluate": "judge all models on the test queries, and time them",
    "report": "write the report",
}


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="shopstill", description="Distil heavy e-commerce models into small students, and prove what they kept."
    )
    top.add_argument("--version", action="version", version=f"shopstill {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in _STAGES.items():
        text = what if name == "run" else f"{what}; stages before it are made where they are missing"
        one = commands.add_parser(name, help=what, description=text[0].upper() + text[1:] + ".")
        one.set_defaults(do=_run)
        one.add_argument("recipe", type=Path, help="recipe file (YAML)")
        _add_set(one)
        if name == "run":
            one.add_argument("--folds", type=int, metavar="K", help="cross-validate: run on K folds, judged as one")
            one.add_argument(
                "--serve",
                action=argparse.BooleanOptionalAction,
                help="serve a page of the shop and its models afterwards, until Ctrl-C (on a terminal)",
            )
        one.add_argument("-q", "--quiet", action="store_true", help="warnings and the result only")
    _add_compression(commands)
    serving.add(commands)
    recipe = commands.add_parser("recipe", help="check a recipe, or print the schema", description="Work on recipes.")
    kinds = recipe.add_subparsers(dest="what", required=True, metavar="WHAT")
    check = kinds.add_parser("check", help="name every fault in a recipe", description="Name every fault in a recipe.")
    check.add_argument("recipe", type=Path, help="recipe file (YAML)")
    _add_set(check)
    check.set_defaults(do=_check)
    schema = kinds.add_parser("schema", help="print the JSON schema, for editors", description="Print the JSON schema.")
    schema.set_defaults(do=_schema)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 a fault in what was given, 130 interrupted."""
    options = parser().parse_args(arguments)
    quiet = getattr(options, "quiet", False)
    level = logging.WARNING if quiet else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for handler in logging.getLogger().handlers:
        handler.setLevel(level)  # some libraries set their own loggers to DEBUG
    try:
        options.do(options)
    except BrokenPipeError:
        # Whoever read the output has left; what Python still holds back must not be written at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ShopstillError, FloatingPointError, OSError, SafetensorError) as fault:
        sys.stderr.write(f"shopstill: {fault}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("shopstill: interrupted; the same command goes on from here\n")
        return 130
    return 0


def _add_compression(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    squeeze = commands.add_parser(
        "compress",
        help="run the recipe's chains of passes, and judge every step as it is served",
        description="Run the recipe's chains of passes, and judge every step as it is served; what they start from is "
        "made where it is missing.",
    )
    squeeze.set_defaults(do=_compress)
    ship = commands.add_parser(
        "export",
        help="write a model as a folder to ship",
        description="Write a model of a run as a folder to ship; what is missing is made.",
    )
    ship.set_defaults(do=_export)
    for one in (squeeze, ship):
        one.add_argument("recipe", type=Path, help="recipe file (YAML)")
        _add_set(one)
        one.add_argument("-q", "--quiet", action="store_true", help="warnings and the result only")
    ship.add_argument("model", help="teacher, a student, a chain, or a step of one, such as small/2-tables")
    ship.add_argument("--to", type=Path, metavar="FOLDER", help="where it will be (default: bundles/RECIPE/MODEL)")
    ship.add_argument(
        "--format",
        choices=("onnx", "hf", "executorch", "browser"),
        default="onnx",
        help="onnx: a bundle; hf: for transformers or sentence-transformers; executorch: for phones; "
        "browser: a page that searches its catalogue in a tab, with no server",
    )
    ship.add_argument("--products", type=Path, help="catalogue of a browser's page (default: the run's shop)")


def _add_set(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value of the recipe, such as seed=2 or students.fast.training.epochs=3; may be given again",
    )


def _run(options: argparse.Namespace) -> None:
    require("torch", "train")
    from shopstill import pipeline, recipe

    wanted = recipe.read(options.recipe, options.set)
    if getattr(options, "folds", None) is not None:
        made = pipeline.cross_validate(wanted, options.folds)
    else:
        made = pipeline.run(wanted, until="report" if options.command == "run" else options.command)
    if made[-1].kind in ("evaluate", "report"):
        _show(made)
    sys.stdout.write(f"{made[-1].kind}: {made[-1].path}\n")
    if getattr(options, "serve", None):
        from shopstill.cli import showcase

        showcase.show(wanted, made)


def _compress(options: argparse.Namespace) -> None:
    require("torch", "train")
    from rich.console import Console

    from shopstill import pipeline, recipe
    from shopstill.evaluate.report import terminal_tables

    done = pipeline.compress(recipe.read(options.recipe, options.set))
    steps = [made.step for made in done.models if made.step is not None]
    console = Console()
    for table in terminal_tables(*done.found, steps):
        console.print(table)
    console.print(f"The report: {done.report.path / 'report.html'}", soft_wrap=True)


def _export(options: argparse.Namespace) -> None:
    require("torch", "train")
    from shopstill import pipeline, recipe

    wanted = recipe.read(options.recipe, options.set)
    folder = options.to or Path("bundles") / wanted.name / options.model.replace("/", "-")
    if options.format == "browser":
        folder = pipeline.export_browser(wanted, options.model, folder, options.products)
    else:
        folder = pipeline.export(wanted, options.model, folder, options.format)
    sys.stdout.write(f"{options.model}: {folder}\n")


def _show(made: Sequence[Artifact]) -> None:
    from rich.console import Console

    from shopstill import pipeline
    from shopstill.evaluate.report import terminal_tables

    evaluation, latency, sizes, _ = pipeline.findings(made)
    console = Console()
    for table in terminal_tables(evaluation, latency, sizes):
        console.print(table)
    if made[-1].kind == "report":
        console.print(f"The report: {made[-1].path / 'report.html'}", soft_wrap=True)


def _check(options: argparse.Namespace) -> None:
    require("torch", "train")
    from shopstill import recipe
    from shopstill.recipe.check import check

    wanted = recipe.read(options.recipe, options.set)
    check(wanted)
    sys.stdout.write(f"{options.recipe}: no fault found; it makes {wanted.runs / wanted.name}\n")


def _schema(options: argparse.Namespace) -> None:
    require("torch", "train")
    from shopstill import recipe

    sys.stdout.write(json.dumps(recipe.recipe_schema(), indent=2, ensure_ascii=False) + "\n")
