"""Stages: artifacts that are made once from their inputs, found again, and made anew when an input changed."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shopstill.core import artifact
from shopstill.core.artifact import Artifact, Draft
from shopstill.core.errors import ArtifactError

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

    Args:
        folder: of the run.
        make: False where stages are only to be found.
    """

    def __init__(self, folder: Path, *, make: bool = True) -> None:
        self.folder, self._make = folder, make

    def make(self, name: str, config: Mapping[str, Any], parents: Parents, make: Callable[[Draft], None]) -> Artifact:
        """The artifact of a stage: the one at hand where its inputs are the same, else made now.

        Raises:
            ArtifactError: it is not at hand, and these stages make nothing.
        """
        path = self.folder / name
        about = _about(name, config, parents)
        found = artifact.fresh(path, **about)
        if not self._make:
            return _there(found, path)
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


def _there(found: Artifact | None, path: Path) -> Artifact:
    if found is None:
        raise ArtifactError(f"{path}: it is not made of these inputs yet; run its stage")
    return found


def _about(name: str, config: Mapping[str, Any], parents: Parents) -> dict[str, Any]:
    made_from = {k: v if isinstance(v, str) else v.content for k, v in parents.items()}
    return {"kind": name.partition("/")[0], "config": config, "parents": made_from}
