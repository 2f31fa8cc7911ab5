"""Size of a model: bytes on disk, parameters, operations, and what a fresh process takes to answer."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopstill.core.errors import DataError
from shopstill.evaluate.alone import Alone

_HEADER_LIMIT = 100_000_000


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a model weighs.

    Attributes:
        bytes: of its files on disk.
        parameters: numbers in its tensors; None where its files do not say.
        flops: floating point operations of one answer; None where they were not counted.
        alone: what a fresh process takes that loads it and answers once; None where it was not measured.
        note: what is counted, in words for the report.
    """

    bytes: int
    parameters: int | None = None
    flops: int | None = None
    alone: Alone | None = None
    note: str = ""


def size_of(
    paths: Path | Iterable[Path], *, flops: int | None = None, alone: Alone | None = None, note: str = ""
) -> Size:
    """Size of a model's folder or files; parameters are read from the safetensors files among them.

    Raises:
        DataError: a path does not exist, or a safetensors file is torn.
    """
    files = files_of(paths)
    tensors = [tensor_shapes(file) for file in files if file.suffix == ".safetensors"]
    parameters = sum(math.prod(shape) for shapes in tensors for shape in shapes.values())
    return Size(
        bytes=sum(file.stat().st_size for file in files),
        parameters=parameters if tensors else None,
        flops=flops,
        alone=alone,
        note=note,
    )


def files_of(paths: Path | Iterable[Path]) -> list[Path]:
    """Every file of a folder, or of several files and folders; one that is linked twice is counted once.

    Raises:
        DataError: a path does not exist.
    """
    found: dict[tuple[int, int], Path] = {}
    for path in [paths] if isinstance(paths, Path) else list(paths):
        if not path.exists():
            raise DataError(f"{path}: does not exist; give the folder or files of a model")
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in (p for p in inside if p.is_file()):
            stat = file.stat()
            found.setdefault((stat.st_dev, stat.st_ino), file)
    return list(found.values())


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name → shape of every tensor of a safetensors file, from its header alone.

    Raises:
        DataError: the file is not whole or is no safetensors file.
    """
    with open(path, "rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if not 0 < length <= min(_HEADER_LIMIT, os.fstat(handle.fileno()).st_size - 8):
            raise DataError(f"{path}: no safetensors file: its header claims {length} bytes; write it again")
        text = handle.read(length)
    try:
        header = json.loads(text)
        return {name: _shape(stated) for name, stated in header.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise DataError(f"{path}: header is not safetensors' JSON ({type(cause).__name__}: {cause})") from None


def _shape(stated: Mapping[str, Any]) -> tuple[int, ...]:
    shape = tuple(int(width) for width in stated["shape"])
    if any(width < 0 for width in shape):
        raise ValueError(f"shape {shape}")
    return shape
