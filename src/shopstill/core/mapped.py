"""Arrays of a safetensors file, mapped into memory: opening takes no longer for a large file than for a small one."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from shopstill.core.errors import ArtifactError

_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}


def mapped(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; none may be written to.

    Source: https://github.com/huggingface/safetensors#format

    Raises:
        ArtifactError: it is no safetensors file, or is torn.

    >>> import tempfile
    >>> from safetensors.numpy import save_file
    >>> file = Path(tempfile.mkdtemp()) / "arrays.safetensors"
    >>> save_file({"a": np.arange(3)}, file)
    >>> mapped(file)["a"].tolist()
    [0, 1, 2]
    """
    try:
        with open(path, "rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            header = json.loads(handle.read(length))
        whole = np.asarray(np.memmap(path, np.uint8, "r"))
        return {name: _array(whole[8 + length :], about) for name, about in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, struct.error, MemoryError, OverflowError) as cause:
        raise ArtifactError(f"{path}: not a whole safetensors file ({cause}); write it again") from None


def _array(data: np.ndarray, about: dict[str, Any]) -> np.ndarray:
    start, stop = about["data_offsets"]
    found: np.ndarray = data[start:stop].view(_TYPES[about["dtype"]]).reshape(about["shape"])
    return found


def fetch(path: Path) -> None:
    """Have a file in memory before it is mapped, or all files of a folder, so that nobody waits for the disk later.

    Other threads run meanwhile, as they do not while a library looks through what is mapped.
    """
    piece = bytearray(1 << 20)
    files = [one for one in sorted(path.rglob("*")) if one.is_file()] if path.is_dir() else [path]
    for one in files:
        with open(one, "rb", buffering=0) as handle:
            while handle.readinto(piece):
                pass
