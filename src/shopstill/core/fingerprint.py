"""Fingerprints: short digests of content, equal where and only where the content is equal."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_DIGEST_BYTES = 16


def fingerprint(value: Any) -> str:
    """Digest of a JSON-like value: 32 hexadecimal characters, independent of key order.

    Raises:
        TypeError: the value holds something JSON cannot say.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def source_fingerprint(path: Path) -> str:
    """Digest of a file, or of every file under a folder with its relative name."""
    path = Path(path)
    if path.is_file():
        return file_sha256(path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return fingerprint([[str(p.relative_to(path)), file_sha256(p)] for p in files])
