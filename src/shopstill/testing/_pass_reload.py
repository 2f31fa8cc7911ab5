"""A process that only loads saved models and scores: ``python -m shopstill.testing._pass_reload FOLDER …``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shopstill.models import build
from shopstill.testing import _pass_models


def rescored(folders: Sequence[Path]) -> dict[Path, np.ndarray]:
    """The scores of saved models as a new process computes them.

    Raises:
        AssertionError: the process failed; the message is what it wrote.
    """
    asked = [sys.executable, "-m", __name__, *map(str, folders)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"a new process could not load them: {done.stderr.strip().splitlines()[-1:]}")
    return {
        f: np.asarray(json.loads(line), np.float32) for f, line in zip(folders, done.stdout.splitlines(), strict=True)
    }


def main(folders: Sequence[str]) -> None:
    """Write the scores of each folder's model, a line each."""
    for folder in folders:
        sys.stdout.write(json.dumps(_pass_models.scores(build.load(Path(folder))).tolist()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
