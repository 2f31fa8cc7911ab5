"""The journal of changes: what was acknowledged is there after any kill, and what was torn is not.

A record is its length and its CRC-32, four bytes each, little-endian, and then JSON. The first record that is short or
does not match its sum ends the journal: it was being written when the power went, and nobody was told that it was done.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from zlib import crc32

from shopstill.core.errors import ArtifactError

_HEAD = struct.Struct("<II")
_LONGEST = 1 << 30

Record = dict[str, Any]


class Journal:
    """An append-only file of records, each on the disk before ``append`` returns.

    Args:
        path: the file; it is made where there is none, and cut where its last record is torn.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "changes"
    >>> with Journal(path) as journal:
    ...     journal.append({"delete": ["a"]})
    >>> [record["delete"] for record in records(path)]
    [['a']]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        sound = sum(_HEAD.size + length for length, _ in _whole(path)) if path.exists() else 0
        self._handle = path.open("ab", buffering=0)
        if self._handle.tell() > sound:
            self._handle.truncate(sound)
        os.fsync(self._handle.fileno())
        sync_folder(path.parent)

    def append(self, record: Record) -> None:
        """Write a record and wait until it is on the disk.

        Raises:
            ArtifactError: the disk took only a part of it, which was taken back.
        """
        payload = json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
        before = self.bytes
        try:
            left = memoryview(_HEAD.pack(len(payload), crc32(payload)) + payload)
            while left:
                left = left[self._handle.write(left) :]
            os.fsync(self._handle.fileno())
        except OSError as cause:
            self.cut(before)
            raise ArtifactError(
                f"{self.path}: the change could not be written ({cause}); free space and retry"
            ) from None

    @property
    def bytes(self) -> int:
        """How long the file is."""
        return self._handle.tell()

    def cut(self, length: int) -> None:
        """Take back what was written beyond a length."""
        self._handle.truncate(length)
        self._handle.seek(length)
        os.fsync(self._handle.fileno())

    def close(self) -> None:
        """Close the file."""
        self._handle.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def records(path: Path) -> Iterator[Record]:
    """The whole records of a journal, in order; none where there is no file."""
    for _, payload in _whole(path) if path.exists() else ():
        yield json.loads(payload)


def _whole(path: Path) -> Iterator[tuple[int, bytes]]:
    """Length and payload of each record up to the first torn one."""
    with open(path, "rb") as handle:
        while len(head := handle.read(_HEAD.size)) == _HEAD.size:
            length, checked = _HEAD.unpack(head)
            payload = handle.read(length) if length <= _LONGEST else b""
            if len(payload) != length or crc32(payload) != checked:
                return
            yield length, payload


def sync_folder(folder: Path) -> None:
    """Make the folder's own entries last, so that a new file is found again."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
