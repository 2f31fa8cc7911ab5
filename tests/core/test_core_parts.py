"""Errors, fingerprints, the machine, progress, registries, stages."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopstill.core import progress as progress_module
from shopstill.core.artifact import Draft
from shopstill.core.errors import ArtifactError, ConfigError, MissingDependency, nearest, require
from shopstill.core.fingerprint import file_sha256, fingerprint, source_fingerprint
from shopstill.core.hardware import cores, machine, peak_memory_bytes
from shopstill.core.progress import Progress, progress
from shopstill.core.registry import Registry
from shopstill.core.stages import Stages

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def test_the_nearest_name_is_offered_only_where_it_is_near() -> None:
    assert nearest("sofft", ["soft", "mse"]) == "did you mean 'soft'? Allowed: mse, soft"
    assert nearest("zzz", ["soft", "mse"]) == "Allowed: mse, soft"
    assert nearest("x", []) == "Allowed: (none)"


def test_a_missing_package_is_answered_with_the_line_that_installs_it() -> None:
    assert require("json", "train").__name__ == "json"
    with pytest.raises(MissingDependency, match=r"pip install 'shopstill\[train\]'"):
        require("a_package_that_is_not_there", "train")


@given(st.dictionaries(st.text(), JSON, max_size=4), st.text())
def test_fingerprints_follow_the_values_and_not_the_order_of_keys(values: dict[str, Any], key: str) -> None:
    assert fingerprint(values) == fingerprint(dict(reversed(values.items())))
    assert fingerprint(values) != fingerprint({**values, key: [values.get(key)]})


def test_fingerprints_tell_types_and_order_apart() -> None:
    assert len({fingerprint(v) for v in (1, "1", [1], None, True, 1.5, [1, 2], [2, 1], {"1": 1})}) == 9
    with pytest.raises(ValueError, match="JSON"):
        fingerprint(float("nan"))
    with pytest.raises(TypeError):
        fingerprint(Path("x"))


def test_the_fingerprint_of_a_folder_follows_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = source_fingerprint(tmp_path)
    assert source_fingerprint(tmp_path / "a") == file_sha256(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = source_fingerprint(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({before, renamed, source_fingerprint(tmp_path)}) == 3


def test_the_machine_says_what_it_is() -> None:
    found = machine()
    assert found["processor"]
    assert 1 <= found["cores"] == cores()
    assert found["memory_gib"] > 0.1
    assert 2**20 < peak_memory_bytes() < 2**45


def test_progress_knows_rate_and_what_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    bar = Progress("work", total=100, unit="rows")
    assert bar.line() == "work: 0/100 rows, 0/s, ? left"
    bar.resume(40)
    now[0] = 10.0
    bar.advance(20, "loss 0.1")
    assert bar.rate == 2.0
    assert bar.line() == "work: 60/100 rows, 2/s, 0:20 left  loss 0.1"


def test_progress_in_a_log_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO), progress("work", total=1000) as bar:
        for _ in range(1000):
            now[0] += 0.05
            bar.advance(1)
    assert 4 <= len(caplog.records) <= 6
    assert caplog.messages[-1] == "work: 1,000 rows, 20/s"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    package = tmp_path / "a_registry_of_tests"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "red.py").write_text("red = 'an entry'")
    (package / "_shared.py").write_text("raise RuntimeError('not an entry')")
    (package / "broken.py").write_text("raise RuntimeError('not asked for')")
    monkeypatch.syspath_prepend(str(tmp_path))
    return Registry("a_registry_of_tests", "colour")


def test_a_file_is_an_entry_and_only_what_is_asked_for_is_imported(registry: Registry) -> None:
    assert registry.names() == ["broken", "red"]
    assert registry.get("red") == "an entry"
    with pytest.raises(ConfigError, match="unknown colour 'rde': did you mean 'red'"):
        registry.get("rde")
    for name in ("_shared", "os", "../red", "red.red", ""):
        with pytest.raises(ConfigError, match="unknown colour"):
            registry.get(name)


def test_a_stage_is_made_once_and_anew_when_an_input_changed(tmp_path: Path) -> None:
    stages, made = Stages(tmp_path), []

    def make(draft: Draft) -> None:
        made.append(draft)
        draft.measurements["content"] = "same"

    first = stages.make("prepare", {"seed": 1}, {"file": "f0"}, make)
    assert stages.make("prepare", {"seed": 1}, {"file": "f0"}, make) == first
    assert len(made) == 1
    after = stages.make("student/fast", {}, {"prepare": first}, make)
    assert (after.kind, after.parents) == ("student", {"prepare": "same"})
    again = stages.make("prepare", {"seed": 2}, {"file": "f0"}, make)
    assert len(made) == 3
    assert again.fingerprint != first.fingerprint
    # It was made anew, with the same content: what follows is not made again.
    stages.make("student/fast", {}, {"prepare": again}, make)
    assert len(made) == 3


def test_stages_that_make_nothing_find_what_is_made(tmp_path: Path) -> None:
    def make(draft: Draft) -> None:
        draft.measurements["content"] = "same"

    found = Stages(tmp_path, make=False)
    with pytest.raises(ArtifactError, match="it is not made of these inputs yet; run its stage"):
        found.make("prepare", {"seed": 1}, {}, make)
    made = Stages(tmp_path).make("prepare", {"seed": 1}, {}, make)
    assert found.make("prepare", {"seed": 1}, {}, make) == made
    with pytest.raises(ArtifactError, match="not made of these inputs"):
        found.make("prepare", {"seed": 2}, {}, make)


def test_what_a_stage_needs_to_go_on_is_gone_when_it_is_done(tmp_path: Path) -> None:
    stages = Stages(tmp_path)
    work = stages.work("twin/fast", {"seed": 1}, {})
    assert work != stages.work("twin/fast", {"seed": 2}, {})

    def killed(draft: Draft) -> None:
        work.mkdir(parents=True)
        (work / "state").write_text("half way")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.make("twin/fast", {"seed": 1}, {}, killed)
    assert os.listdir(work) == ["state"]
    stages.make("twin/fast", {"seed": 1}, {}, lambda draft: None)
    assert not work.exists()
