"""shopstill: distil heavy e-commerce models into small students, and prove what they kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from shopstill.serve.bundle.load import AnyBundle

__version__ = "0.1.0"


def load_bundle(path: str | Path, threads: int = 1) -> AnyBundle:
    """A bundle that ``shopstill export`` wrote, verified and ready to answer; see ``shopstill.serve.bundle.load``."""
    from shopstill.serve.bundle import load

    return load.load_bundle(path, threads)
