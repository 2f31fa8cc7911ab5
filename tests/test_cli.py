"""The command line: exit statuses, messages without traceback, help."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors import SafetensorError

from shopstill import __version__, cli, pipeline
from shopstill.core.errors import ConfigError

Values = Callable[..., dict[str, Any]]


@pytest.fixture
def recipe(tmp_path: Path, tiny_recipe: Values) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_recipe(tmp_path / "runs")), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """The command sets up logging; what pytest had comes back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], _ = handlers, root.setLevel(level)


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, "-m", "shopstill", *arguments]
    return subprocess.run(asked, capture_output=True, text=True, check=False)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    for name in ("run", *pipeline.STAGES, "compress", "export", "serve", "key", "recipe"):
        assert f"\n    {name} " in shown


@pytest.mark.parametrize(
    "arguments", [[name] for name in ("run", *pipeline.STAGES, "compress", "export")] + [["recipe", "check"]]
)
def test_every_command_has_a_help_of_its_own(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([*arguments, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert "recipe file (YAML)" in shown
    assert "--set KEY=VALUE" in shown


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"shopstill {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["recipe"], ["rum", "x.yaml"], ["run"], ["run", "x.yaml", "--nonsense"]])
def test_a_command_that_is_none_is_status_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("usage: shopstill")


def test_a_recipe_without_fault_is_said_to_be_so(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipe", "check", str(recipe), "--set", "name=other"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{recipe}: no fault found; it makes {recipe.parent / 'runs' / 'other'}\n"
    assert not (recipe.parent / "runs").exists()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("students.fast.training.epohs=3", "students.fast.training.epohs: unknown key; did you mean 'epochs'?"),
        ("students.fast.objective.0.loss=soft_bec", "did you mean 'soft_bce'?"),
        ("seed", "write it as key=value"),
    ],
)
@pytest.mark.parametrize("command", [["recipe", "check"], ["run"]])
def test_a_fault_is_told_in_words_on_the_error_stream(
    recipe: Path, capsys: pytest.CaptureFixture[str], command: list[str], change: str, fault: str
) -> None:
    assert cli.main([*command, str(recipe), "--set", change]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("shopstill: ")
    assert fault in said.err
    assert "Traceback" not in said.err
    assert not (recipe.parent / "runs").exists()


@pytest.mark.parametrize(
    ("cause", "status", "told"),
    [
        (ConfigError("a fault"), 1, "shopstill: a fault\n"),
        (FloatingPointError("the loss is nan"), 1, "shopstill: the loss is nan\n"),
        (OSError(28, "No space left on device", "/runs"), 1, "No space left on device: '/runs'"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), 1, "No space left on device"),
        (KeyboardInterrupt(), 130, "the same command goes on from here"),
    ],
)
def test_what_ends_a_run_is_told_without_a_traceback(
    recipe: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    cause: BaseException,
    status: int,
    told: str,
) -> None:
    def fail(*given: object, **more: object) -> None:
        raise cause

    monkeypatch.setattr(pipeline, "run", fail)
    assert cli.main(["run", str(recipe)]) == status
    assert told in capsys.readouterr().err


def test_a_mistake_of_ours_keeps_its_traceback(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object, **more: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(pipeline, "run", fail)
    with pytest.raises(KeyError):
        cli.main(["run", str(recipe)])


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipe", "schema"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert "students" in made["properties"]


def test_a_stage_and_then_the_rest(
    recipe: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    made = recipe.parent / "runs" / "tiny"
    assert cli.main(["prepare", str(recipe)]) == 0
    assert capsys.readouterr().out == f"prepare: {made / 'prepare'}\n"
    with caplog.at_level(logging.INFO):
        assert cli.main(["run", str(recipe)]) == 0
    assert "prepare: unchanged" in caplog.messages
    assert "student/fast: making it" in caplog.messages
    shown = capsys.readouterr().out
    for word in ("teacher", "bm25", "fast", "exact", "ndcg@10", "spearman", "rmse", "report.html"):
        assert word in shown.lower(), word
    assert shown.splitlines()[-1] == f"report: {made / 'report'}"


def test_as_a_process_it_is_quiet_when_asked_and_tells_faults_by_its_status(recipe: Path) -> None:
    done = _command("prepare", str(recipe), "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"prepare: {recipe.parent / 'runs' / 'tiny' / 'prepare'}\n"
    lost = _command("run", str(recipe.parent / "none.yaml"))
    assert (lost.returncode, lost.stdout) == (1, "")
    assert lost.stderr.startswith(f"shopstill: {recipe.parent / 'none.yaml'}: no such recipe")


def test_a_reader_that_leaves_early_is_no_fault() -> None:
    shown = subprocess.Popen(
        [sys.executable, "-m", "shopstill", "recipe", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert shown.stdout is not None
    assert shown.stderr is not None
    shown.stdout.close()
    told = shown.stderr.read()
    shown.stderr.close()
    assert shown.wait() == 0
    assert told == b""


def test_without_torch_it_says_what_to_install(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert cli.main(["run", str(recipe)]) == 1
    assert "pip install 'shopstill[train]'" in capsys.readouterr().err


def test_what_cannot_be_compressed_or_exported_is_told_with_the_fix(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compress", str(recipe)]) == 1
    assert "the recipe has no chain; add one" in capsys.readouterr().err
    assert cli.main(["export", str(recipe), "fsat"]) == 1
    assert "model 'fsat': did you mean 'fast'? Allowed: exact, fast, teacher" in capsys.readouterr().err
    assert not (recipe.parent / "runs").exists(), "nothing is made for what cannot be done"


def test_a_run_ends_with_answers_where_nobody_watches(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(recipe), "--serve"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("products in") == 3
    assert "  1. " in shown
    assert cli.main(["run", str(recipe), "--serve"]) == 0, "an index of an earlier run is no obstacle"


def test_a_student_is_exported_for_a_browser(recipe: Path, tmp_path: Path) -> None:
    assert cli.main(["export", str(recipe), "fast", "--format", "browser", "--to", str(tmp_path / "page")]) == 0
    assert (tmp_path / "page" / "index.html").exists()
