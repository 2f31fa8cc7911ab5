"""Artifacts appear whole or not at all."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from shopstill.core import artifact
from shopstill.core.artifact import MANIFEST
from shopstill.core.errors import ArtifactError

MADE = {"kind": "demo", "config": {"a": 1}, "parents": {"shop": "f00"}}


def _make(path: Path, text: str = "one") -> None:
    with artifact.create(path, **MADE) as draft:
        (draft.folder / "inside").mkdir()
        (draft.folder / "inside" / "text.txt").write_text(text, encoding="utf-8")
        draft.measurements["seconds"] = 0.5


def _crash(path: Path) -> None:
    with artifact.create(path, **MADE) as draft:
        (draft.folder / "text.txt").write_text("half", encoding="utf-8")
        raise RuntimeError("boom")


def _text(path: Path) -> str:
    return (path / "inside" / "text.txt").read_text(encoding="utf-8")


def _leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


def test_it_says_what_it_was_made_from(tmp_path: Path) -> None:
    _make(tmp_path / "x")
    found = artifact.load(tmp_path / "x", kind="demo", verify=True)
    assert (found.config, found.parents, found.measurements) == ({"a": 1}, {"shop": "f00"}, {"seconds": 0.5})
    assert found.fingerprint == artifact.identity(**MADE) == found.content


def test_the_fingerprint_is_known_before_and_follows_every_input() -> None:
    changed = [{"kind": "other"}, {"config": {"a": 2}}, {"parents": {"shop": "f01"}}, {"parents": {"mall": "f00"}}]
    prints = {artifact.identity(**{**MADE, **change}) for change in ({}, *changed)}
    assert len(prints) == 1 + len(changed)


def test_fresh_finds_only_what_was_made_from_the_same(tmp_path: Path) -> None:
    _make(tmp_path / "x")
    assert artifact.fresh(tmp_path / "x", **MADE) is not None
    assert artifact.fresh(tmp_path / "x", **{**MADE, "config": {"a": 2}}) is None
    assert artifact.fresh(tmp_path / "x", **{**MADE, "kind": "other"}) is None
    assert artifact.fresh(tmp_path / "y", **MADE) is None


def test_content_that_was_measured_stands_for_the_artifact(tmp_path: Path) -> None:
    with artifact.create(tmp_path / "x", **MADE) as draft:
        draft.measurements["content"] = "c0ffee"
    assert artifact.load(tmp_path / "x").content == "c0ffee"


def test_a_crash_inside_leaves_the_old_one_and_no_trace(tmp_path: Path) -> None:
    _make(tmp_path / "x", "old")
    with pytest.raises(RuntimeError, match="boom"):
        _crash(tmp_path / "x")
    assert artifact.load(tmp_path / "x", verify=True)
    assert _text(tmp_path / "x") == "old"
    assert _leftovers(tmp_path) == []


def test_a_new_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    _make(tmp_path / "x", "old")
    _make(tmp_path / "x", "new")
    assert _text(tmp_path / "x") == "new"
    assert _leftovers(tmp_path) == []


@pytest.mark.parametrize("keep", [0, 1, 40, -3])
def test_a_torn_manifest_is_refused(tmp_path: Path, keep: int) -> None:
    _make(tmp_path / "x")
    manifest = tmp_path / "x" / MANIFEST
    manifest.write_bytes(manifest.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=MANIFEST):
        artifact.load(tmp_path / "x")
    assert artifact.fresh(tmp_path / "x", **MADE) is None


@pytest.mark.parametrize("text", ["[]", "{}", "null", '"demo"', '{"format": 1, "kind": "demo"}'])
def test_json_that_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    _make(tmp_path / "x")
    (tmp_path / "x" / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match="lacks"):
        artifact.load(tmp_path / "x")
    assert artifact.fresh(tmp_path / "x", **MADE) is None


def test_another_kind_a_later_format_and_nothing_are_refused(tmp_path: Path) -> None:
    _make(tmp_path / "x")
    with pytest.raises(ArtifactError, match="'demo' artifact where 'labels' is expected"):
        artifact.load(tmp_path / "x", kind="labels")
    with pytest.raises(ArtifactError, match="no artifact here"):
        artifact.load(tmp_path / "nothing")
    (tmp_path / "file").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(ArtifactError, match="no artifact here"):
        artifact.load(tmp_path / "file")
    manifest = tmp_path / "x" / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}), encoding="utf-8")
    with pytest.raises(ArtifactError, match="format 99"):
        artifact.load(tmp_path / "x")


def test_verify_names_the_file_that_changed_or_is_gone(tmp_path: Path) -> None:
    _make(tmp_path / "x")
    inside = tmp_path / "x" / "inside" / "text.txt"
    inside.write_text("0ne", encoding="utf-8")
    assert artifact.load(tmp_path / "x")
    with pytest.raises(ArtifactError, match=r"inside/text\.txt: content differs"):
        artifact.load(tmp_path / "x", verify=True)
    inside.unlink()
    with pytest.raises(ArtifactError, match=r"inside/text\.txt: missing"):
        artifact.load(tmp_path / "x", verify=True)


def test_drafts_of_threads_and_processes_do_not_disturb_each_other(tmp_path: Path) -> None:
    path, inside = tmp_path / "x", threading.Barrier(4)

    def write(number: int) -> None:
        with artifact.create(path, **MADE) as draft:
            inside.wait(timeout=10)
            (draft.folder / "number").write_text(str(number), encoding="utf-8")
            inside.wait(timeout=10)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert artifact.load(path, verify=True)
    assert (path / "number").read_text() in "0123"
    assert _leftovers(tmp_path) == []


def _dead_process() -> int:
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    assert process.pid is not None
    return process.pid


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    _make(tmp_path / "x")
    gone = [f".x.{_dead_process()}-0a1b2c3d.draft", f".x.{os.getpid()}-0a1b2c3d.draft", ".x.0a1b2c3d.old"]
    kept = [f".x.{os.getppid()}-0a1b2c3d.draft", ".x.notes", ".x.y.0a1b2c3d.old", ".xy.0a1b2c3d.old"]
    for name in (*gone, *kept):
        (tmp_path / name).mkdir()
    _make(tmp_path / "x")
    assert _leftovers(tmp_path) == sorted(kept)


def test_killed_between_two_renames_the_old_one_comes_back(tmp_path: Path) -> None:
    _make(tmp_path / "x", "old")
    (tmp_path / "x").rename(tmp_path / ".x.0a1b2c3d.old")
    with pytest.raises(RuntimeError, match="boom"):
        _crash(tmp_path / "x")
    assert artifact.load(tmp_path / "x", verify=True)
    assert _text(tmp_path / "x") == "old"


def test_a_folder_written_whole_takes_the_place_of_its_like_and_of_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for text in ("one", "two"):
        with artifact.whole(folder) as aside:
            (aside / "said.txt").write_text(text)
    assert (folder / "said.txt").read_text() == "two"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "note").write_text("of mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for taken in ("mine", "note", "link"):
        with pytest.raises(ArtifactError, match=f"{taken}: .*give"), artifact.whole(tmp_path / taken) as aside:
            pytest.fail(f"would have written {aside}")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert (tmp_path / "note").read_text() == "of mine"
