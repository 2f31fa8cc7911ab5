"""Stages: artifacts that are made once from their inputs, found again, and made anew when an input changed."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shopstill.core import artifact
from shopstill.core.artifact import Artifact, Draft

log = logging.getLogger(__name__)

Parents = Mapping[str, Artifact | str]
"""What a stage is made from: artifacts, or fingerprints of what lies outside."""


class Stages:
    """The stages of one run, each in a folder of its name; a name such as ``student/fast`` is of the kind ``student``.

    >>> import tempfile
    >>> stages = Stages(Path(tempfile.mkdtemp()))
    >>> def make(draft):
    ...     draft.measurements["made"] = True
    >>> stages.make("prepare", {"seed": 1}, {}, make).measurements
    {'made': True}
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, name: str, config: Mapping[str, Any], parents: Parents, make: Callable[[Draft], None]) -> Artifact:
        """The artifact of a stage: the one at hand where its inputs are the same, else made now."""
        path = self.folder / name
        about = _about(name, config, parents)
        found = artifact.fresh(path, **about)
        if found is None:
            log.info("%s: making it", name)
            with artifact.create(path, **about) as draft:
                make(draft)
            found = artifact.load(path)
        else:
            log.info("%s: unchanged", name)
        shutil.rmtree(self.work(name, config, parents), ignore_errors=True)
        return found

    def work(self, name: str, config: Mapping[str, Any], parents: Parents) -> Path:
        """Where a stage keeps what it needs to go on after a kill; with other inputs it has another place."""
        about = _about(name, config, parents)
        return self.folder / ".work" / f"{name.replace('/', '-')}-{artifact.identity(**about)[:12]}"


def _about(name: str, config: Mapping[str, Any], parents: Parents) -> dict[str, Any]:
    made_from = {k: v if isinstance(v, str) else v.content for k, v in parents.items()}
    return {"kind": name.partition("/")[0], "config": config, "parents": made_from}
