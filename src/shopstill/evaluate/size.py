"""Size of a model: bytes on disk, parameters, and the memory it takes to answer."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopstill.core.errors import DataError

_HEADER_LIMIT = 100_000_000
_CHILD = """
import importlib, json, sys
from shopstill.core.hardware import peak_memory_bytes
module, name, args = json.loads(sys.stdin.read())
getattr(importlib.import_module(module), name)(*args)
sys.stdout.write(f"\\n{peak_memory_bytes()}")
"""


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a model weighs.

    Attributes:
        bytes: of its files on disk.
        parameters: numbers in its tensors; None where its files do not say.
        peak_memory_bytes: of a fresh process that loads it and answers; None where it was not measured.
        note: what is counted, in words for the report.
    """

    bytes: int
    parameters: int | None = None
    peak_memory_bytes: int | None = None
    note: str = ""


def size_of(paths: Path | Iterable[Path], *, peak_memory: int | None = None, note: str = "") -> Size:
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
        peak_memory_bytes=peak_memory,
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


def peak_memory(function: str, args: Sequence[object] = (), *, timeout: float = 600.0) -> int:
    """Largest resident memory, in bytes, of a fresh process that calls a function: imports and loading included.

    The process starts from nothing, so what this one has loaded does not count. Compare with the same call on a
    function that does nothing to know what Python itself takes.

    Args:
        function: ``"package.module:name"``, importable from a new process.
        args: JSON values that it is called with.
        timeout: seconds.

    Raises:
        DataError: the name has no colon, the call fails, or takes too long; says what it printed last.

    >>> peak_memory("math:sqrt", [2.0]) > 1_000_000
    True
    """
    module, colon, name = function.partition(":")
    if not colon:
        raise DataError(f"peak memory: {function!r} must be written 'package.module:name'")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD],
            input=json.dumps([module, name, list(args)]),
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"peak memory: {function} took more than {timeout} s; give it less to do") from None
    except subprocess.CalledProcessError as cause:
        last = (cause.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(f"peak memory: {function} failed with exit code {cause.returncode}: {last}") from None
    return int(done.stdout.rsplit("\n", 1)[1])
