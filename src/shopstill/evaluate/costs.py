"""What an answer of each model costs, as one file: its time, its memory, its operations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from shopstill.core.errors import DataError
from shopstill.evaluate.alone import Alone
from shopstill.evaluate.latency import Latency

COSTS_FILE = "costs.json"


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What an answer costs.

    Attributes:
        latency: times of an answer, interleaved in one run; None where none were taken.
        alone: model → what a fresh process takes that loads it and answers once.
        flops: model → floating point operations of one answer, with as many candidates as ``alone``.
    """

    latency: Latency | None = None
    alone: Mapping[str, Alone] = field(default_factory=dict)
    flops: Mapping[str, int] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write them into a folder."""
        (folder / COSTS_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def load(folder: Path) -> Costs:
    """What ``Costs.save`` wrote; nothing where the folder has none.

    Raises:
        DataError: the file is not what it must be.

    >>> import tempfile
    >>> load(Path(tempfile.mkdtemp()))
    Costs(latency=None, alone={}, flops={})
    """
    path = folder / COSTS_FILE
    if not path.exists():
        return Costs()
    try:
        return TypeAdapter(Costs).validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as cause:
        raise DataError(f"{path}: not the costs of models ({cause}); run evaluate again") from None
