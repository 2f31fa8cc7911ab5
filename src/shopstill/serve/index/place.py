"""Where an index lies on the disk: its generations, their journals, and which generation counts."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import TextIO

from shopstill.core.errors import ArtifactError
from shopstill.serve.index.journal import sync_folder

_CURRENT, _LOCK = "CURRENT", "LOCK"
FIRST = "generation-000001"


def exists(folder: Path) -> bool:
    """Whether there is an index."""
    return (folder / _CURRENT).exists()


def current(folder: Path) -> str:
    """The name of the generation that an index is at.

    Raises:
        ArtifactError: there is no index.
    """
    try:
        return (folder / _CURRENT).read_text(encoding="utf-8").strip()
    except OSError as cause:
        raise ArtifactError(f"{folder}: no index here ({cause}); make one with shopstill serve --products") from None


def journal_of(generation: Path) -> Path:
    """The journal of what was changed since a generation was made."""
    return generation.with_name(f"{generation.name}.journal")


def live_of(generation: Path) -> Path:
    """The lexical index of a generation with all changes; made anew at each start."""
    return generation.with_name(f"{generation.name}.live")


def following(name: str) -> str:
    """The name of the next generation."""
    return f"generation-{int(name.rpartition('-')[2]) + 1:06d}"


def point(folder: Path, name: str) -> None:
    """Say which generation counts, in one step."""
    aside = folder / f".{_CURRENT}"
    with open(aside, "w", encoding="utf-8") as handle:
        handle.write(name + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(aside, folder / _CURRENT)
    sync_folder(folder)


def hold(folder: Path) -> TextIO:
    """Keep other processes out, for as long as this file is open."""
    handle = (folder / _LOCK).open("w", encoding="utf-8")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise ArtifactError(f"{folder}: another process serves this index; stop it, or give this one its own") from None
    return handle


def sweep(folder: Path, name: str) -> None:
    """Remove what an interrupted rebuild left."""
    for path in folder.glob("generation-*"):
        if path.is_dir() and not path.name.startswith(name):
            drop(path)


def drop(generation: Path) -> None:
    """Remove a generation that no longer counts; who still reads it has its files open."""
    journal_of(generation).unlink(missing_ok=True)
    for folder in (generation, live_of(generation)):
        shutil.rmtree(folder, ignore_errors=True)
