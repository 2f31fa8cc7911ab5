"""Conformance of readers: one call says whether a reader bears what shops really send.

>>> check_reader("wands")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from shopstill.core.errors import ConfigError, nearest
from shopstill.testing._reader_checks import CHECKS, HOSTILE, must
from shopstill.testing._reader_kit import Sample, SampleFile, edit
from shopstill.testing._reader_samples import SAMPLES

__all__ = ["CHECKS", "HOSTILE", "SAMPLES", "Sample", "SampleFile", "check_reader", "edit"]


def check_reader(name: str, write: Callable[[Path], Sample] | None = None) -> None:
    """Hold a reader to everything that a shop counts on.

    Args:
        name: its name in the registry.
        write: writes a tiny valid sample in its published format into a folder; None for the library's own.

    Raises:
        AssertionError: it fails; the message lists every check that failed, and how.
        ConfigError: no sample is given and none is known by that name.
    """
    write = write or SAMPLES.get(name)
    if write is None:
        raise ConfigError(f"reader {name!r} has no sample; give one that writes its format. {nearest(name, SAMPLES)}")
    failures = [f"- {check}: {failure}" for check, run in CHECKS.items() for failure in _failures(run, write)]
    must(not failures, f"reader {name!r} fails {len(failures)} of {len(CHECKS)} checks:\n" + "\n".join(failures))


def _failures(run: Callable[[Callable[[Path], Sample]], None], write: Callable[[Path], Sample]) -> Iterator[str]:
    try:
        run(write)
    except AssertionError as failure:
        yield str(failure)
    except Exception as failure:  # noqa: BLE001  (whatever a stranger's reader raises is its failure, not the suite's)
        yield f"raised {type(failure).__name__}: {failure}"
