"""Artifacts: folders that appear whole or not at all, and say what they were made from."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shopstill.core.errors import ArtifactError
from shopstill.core.fingerprint import file_sha256, fingerprint

MANIFEST = "artifact.json"
FORMAT = 1
MARK = ".shopstill"
"""An empty file in a folder that ``whole`` wrote, and may write anew."""


_KEYS = ("format", "kind", "fingerprint", "parents", "config", "measurements", "files")
_HERE: set[str] = set()
"""Names of the drafts that this process is writing: its own number alone may be that of one killed long ago."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A finished folder on disk.

    Attributes:
        path: the folder.
        kind: the stage that made it, such as ``"labels"``.
        fingerprint: digest of everything it was made from: configuration and parents.
        parents: name → fingerprint of each artifact or source it was made from.
        config: the resolved configuration.
        measurements: what was measured while it was made.
    """

    path: Path
    kind: str
    fingerprint: str
    parents: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    measurements: Mapping[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """Digest of what it holds, where its stage measured one; what follows then runs anew only if that changed."""
        return str(self.measurements.get("content", self.fingerprint))


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An artifact that is being written: files go into ``folder``, figures into ``measurements``."""

    folder: Path
    measurements: dict[str, Any] = field(default_factory=dict)


def identity(kind: str, config: Mapping[str, Any], parents: Mapping[str, str]) -> str:
    """The fingerprint that an artifact of this kind, configuration and parents has, known before it is made."""
    return fingerprint({"kind": kind, "config": config, "parents": dict(parents)})


@contextmanager
def create(path: Path, *, kind: str, config: Mapping[str, Any], parents: Mapping[str, str]) -> Iterator[Draft]:
    """Write an artifact aside, then put it in its place in one step.

    When the body raises, or the process dies, nothing appears at ``path`` and an older artifact there stays.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "demo"
    >>> with create(folder, kind="demo", config={"a": 1}, parents={}) as draft:
    ...     _ = (draft.folder / "hello.txt").write_text("hello")
    >>> load(folder, kind="demo").config
    {'a': 1}
    """
    with _aside(Path(path)) as folder:
        draft = Draft(folder=folder)
        yield draft
        _finish(folder, kind, config, parents, draft.measurements)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write a folder aside, then put it in its place in one step, as ``create`` does for an artifact.

    It may be anywhere, so it takes the place of nothing but a folder that was written so: see ``check_place``.

    Raises:
        ArtifactError: something else is there.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "demo"
    >>> with whole(folder) as aside:
    ...     _ = (aside / "hello.txt").write_text("hello")
    >>> (folder / "hello.txt").read_text()
    'hello'
    """
    path = Path(path).absolute()
    check_place(path)
    with _aside(path) as folder:
        yield folder
        (folder / MARK).touch()


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    folder = path.parent / f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.draft"
    _HERE.add(folder.name)
    folder.mkdir()
    try:
        yield folder
        for part in (*sorted(folder.rglob("*")), folder):
            _sync(part)
        _replace(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _HERE.discard(folder.name)


def check_place(path: Path) -> None:
    """Refuse a place where something lies that ``whole`` did not write: it would be lost.

    Raises:
        ArtifactError: there is a file, or a folder with other things in it.
    """
    path = Path(path)
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise ArtifactError(f"{path}: is a file or a link where a folder is to be written; give another folder")
    if path.is_dir() and any(path.iterdir()) and not (path / MARK).exists():
        raise ArtifactError(f"{path}: holds things that shopstill did not write; give a new folder, or empty this one")


def load(path: Path, *, kind: str | None = None, verify: bool = False) -> Artifact:
    """Read an artifact's manifest.

    Args:
        path: the folder.
        kind: refuse an artifact of another kind.
        verify: also compare every file with its SHA-256.

    Raises:
        ArtifactError: there is none, it is of another kind or a newer format, or a file does not match.
    """
    path = Path(path)
    manifest = path / MANIFEST
    try:
        stated = json.loads(manifest.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ArtifactError(f"{path}: no artifact here ({MANIFEST} is missing); run the stage that makes it") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as cause:
        raise ArtifactError(f"{manifest}: not readable as JSON ({cause}); delete the folder and run again") from None
    _known(manifest, stated)
    if kind is not None and stated["kind"] != kind:
        raise ArtifactError(f"{path}: holds a {stated['kind']!r} artifact where {kind!r} is expected")
    if verify:
        _verify(path, stated["files"])
    return Artifact(
        path=path,
        kind=stated["kind"],
        fingerprint=stated["fingerprint"],
        parents=stated["parents"],
        config=stated["config"],
        measurements=stated["measurements"],
    )


def fresh(path: Path, *, kind: str, config: Mapping[str, Any], parents: Mapping[str, str]) -> Artifact | None:
    """The artifact at ``path`` if it was made from exactly these inputs, else None."""
    try:
        found = load(path, kind=kind)
    except ArtifactError:
        return None
    return found if found.fingerprint == identity(kind, config, parents) else None


def _known(manifest: Path, stated: Any) -> None:
    """Refuse a manifest that lacks something, or that a later version wrote."""
    lacking = [key for key in _KEYS if key not in stated] if isinstance(stated, dict) else list(_KEYS)
    if lacking:
        raise ArtifactError(f"{manifest}: lacks {', '.join(lacking)}; delete the folder and run again")
    if stated["format"] != FORMAT:
        raise ArtifactError(f"{manifest}: format {stated['format']} where {FORMAT} is read; update shopstill")


def _finish(
    folder: Path, kind: str, config: Mapping[str, Any], parents: Mapping[str, str], measurements: Mapping[str, Any]
) -> None:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    manifest = {
        "format": FORMAT,
        "kind": kind,
        "fingerprint": identity(kind, config, parents),
        "parents": dict(parents),
        "config": config,
        "measurements": measurements,
        "files": {
            p.relative_to(folder).as_posix(): {"sha256": file_sha256(p), "bytes": p.stat().st_size} for p in files
        },
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _replace(folder: Path, path: Path) -> None:
    """Put a finished draft in its place; whoever comes last stays, where several do so at once."""
    moved = []
    while not _renamed(folder, path):
        moved.append(path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.old")
        with suppress(FileNotFoundError):
            path.rename(moved[-1])
    _sync(path.parent)
    for old in moved:
        shutil.rmtree(old, ignore_errors=True)


def _renamed(folder: Path, path: Path) -> bool:
    """Rename; False where something is in the way."""
    try:
        folder.rename(path)
    except OSError as cause:
        if cause.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise
    return True


def _sweep(path: Path) -> None:
    """Remove what a killed run left beside ``path``; drafts that are being written and the last whole artifact stay."""
    mine = re.compile(rf"\.{re.escape(path.name)}\.(?:[0-9a-f]{{8}}\.old|(\d+)-[0-9a-f]{{8}}\.draft)")
    for leftover in sorted(path.parent.iterdir()):
        found = mine.fullmatch(leftover.name)
        if found is None or (found[1] and _alive(leftover.name, int(found[1]))):
            continue
        if found[1] is None and not path.exists():
            # Killed between the two renames: the older artifact had made room, and nothing had come.
            leftover.rename(path)
        else:
            shutil.rmtree(leftover, ignore_errors=True)


def _alive(draft: str, pid: int) -> bool:
    if pid == os.getpid():
        return draft in _HERE
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _verify(path: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    for name, stated in files.items():
        file = path / name
        if not file.is_file():
            raise ArtifactError(f"{file}: missing from the {path.name} artifact; restore it or run the stage again")
        if file_sha256(file) != stated["sha256"]:
            raise ArtifactError(f"{file}: content differs from its SHA-256 in {MANIFEST}; restore it or run again")
