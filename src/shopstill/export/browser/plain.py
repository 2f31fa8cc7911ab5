"""Files that a browser reads: arrays as safetensors, packed since hosts leave them as they are; the rest as JSON."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays, in gzip; equal arrays are equal bytes."""
    from safetensors.numpy import save

    path.parent.mkdir(parents=True, exist_ok=True)
    held = save({name: np.ascontiguousarray(value) for name, value in arrays.items()})
    path.write_bytes(gzip.compress(held, mtime=0))


def write_json(path: Path, value: Any) -> None:
    """Write a value with no white space; a lone surrogate becomes a question mark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8", errors="replace")


def narrow(values: np.ndarray) -> np.ndarray:
    """Whole numbers in as few bytes as they fit."""
    most = int(values.max(initial=0))
    return values.astype(np.uint8 if most < 1 << 8 else np.uint16 if most < 1 << 16 else np.uint32)
