"""The files of an index of tantivy's: kept while they are read, and copied without taking room."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


class Files:
    """The files of a folder, kept in being while an index reads them.

    A merge takes away the names of the pieces that it replaces; what goes with their last reader is the files
    themselves, which takes milliseconds for each of them. tantivy would wait for this while it holds the interpreter.
    """

    def __init__(self, folder: Path) -> None:
        self._open: list[int] = []
        for path in folder.iterdir():
            with suppress(OSError):
                self._open.append(os.open(path, os.O_RDONLY))

    def __del__(self) -> None:
        for one in self._open:
            os.close(one)


def copied(source: Path, target: Path) -> None:
    """A copy of an index that takes no room: its pieces are never written to again, so files are linked.

    What an index replaces (its list of pieces) it writes anew under the same name, so that the original stays.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.name.endswith(".lock"):
            continue
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copy2(path, target / path.name)
