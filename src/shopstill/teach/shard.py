"""One file of a label store: written whole, named by the digest of its bytes, read by memory map."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from shopstill.core.errors import ArtifactError, DataError

SUFFIX = ".labels.arrow"
FORMAT = 1

_NAME = re.compile(rf"[0-9a-f]{{32}}{re.escape(SUFFIX)}")
_STATED = b"shopstill.labels"
_FEATURE = "feature:"
# A draft lives for the seconds that writing one shard takes.
_DRAFT_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose labels: a shard states it, and answers for nothing else.

    Attributes:
        teacher: fingerprint of the teacher.
        preparation: fingerprint of what turns a pair into the teacher's input.
        outputs: values a pair, K.
        features: name → width of each feature wanted.
    """

    teacher: str
    preparation: str
    outputs: int
    features: Mapping[str, int]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one pair's logits."""
        return () if self.outputs == 1 else (self.outputs,)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A shard's columns, over the mapped file.

    Attributes:
        keys: [N, 2].
        logits: [N] or [N, K].
        features: name → [N, D].
    """

    keys: NDArray[np.uint64]
    logits: NDArray[np.float32]
    features: Mapping[str, NDArray[Any]]

    @property
    def rows(self) -> int:
        """N."""
        return len(self.keys)


def write_shard(
    path: Path, identity: Identity, keys: NDArray[np.uint64], logits: ArrayLike, features: Mapping[str, ArrayLike]
) -> str:
    """Write a shard, sync it to disk, and return the digest of its bytes.

    Raises:
        DataError: a shape differs, a value is not finite, or a wanted feature is missing.
    """
    absent = sorted(set(identity.features) - set(features))
    if absent:
        raise DataError(f"labels lack the features {', '.join(absent)}, which the store was opened with; return them")
    columns = {"keys": _rows(np.ascontiguousarray(keys))}
    columns["logits"] = _rows(_numbers("logits", logits, (len(keys), *identity.shape), np.float32))
    for name, width in identity.features.items():
        own = np.asarray(features[name]).dtype
        kind = own.type if own in (np.float16, np.int32) else np.float32
        columns[f"{_FEATURE}{name}"] = _rows(_numbers(name, features[name], (len(keys), width), kind))
    stated = {"format": FORMAT, "teacher": identity.teacher, "preparation": identity.preparation}
    table = pa.table(columns).replace_schema_metadata({_STATED: json.dumps(stated).encode()})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    sync(path)
    return _digest(path)


def read_shard(path: Path, identity: Identity, *, verify: bool = True) -> Shard | None:
    """Map a shard into memory; None where it lacks a wanted feature.

    Args:
        path: the file.
        identity: whose labels it must hold.
        verify: compare the bytes with the digest in the name.

    Raises:
        ArtifactError: the file is torn, changed, or not a shard of this store.
    """
    if not _NAME.fullmatch(path.name):
        raise ArtifactError(f"{path}: foreign file in a label store")
    if verify and _digest(path) != path.name.removesuffix(SUFFIX):
        raise ArtifactError(f"{path}: torn or changed: its content differs from the digest in its name")
    try:
        with pa.memory_map(str(path)) as source:
            batch = pa.ipc.open_file(source).read_all().combine_chunks()
    except (pa.ArrowInvalid, OSError) as cause:
        raise ArtifactError(f"{path}: not readable as an Arrow file ({cause})") from None
    _same(path, batch.schema, identity)
    if not {f"{_FEATURE}{name}" for name in identity.features} <= set(batch.column_names):
        return None
    shard = Shard(
        keys=_array(batch, "keys"),
        logits=_array(batch, "logits"),
        features={name: _array(batch, f"{_FEATURE}{name}") for name in identity.features},
    )
    for name, width in identity.features.items():
        if shard.features[name].shape[1:] != (width,):
            raise ArtifactError(f"{path}: feature {name} is {shard.features[name].shape[1:]} wide, not {width}")
    if shard.logits.shape != (shard.rows, *identity.shape):
        raise ArtifactError(f"{path}: holds logits {shard.logits.shape}, not {identity.outputs} a pair")
    return shard


def sweep(draft: Path) -> None:
    """Remove a draft that a killed run left; one that may still be written stays."""
    try:
        if time.time() - draft.stat().st_mtime > _DRAFT_SECONDS:
            draft.unlink()
    except FileNotFoundError:
        pass


def sync(path: Path) -> None:
    """Bring a file's content, or a folder's list of names, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _same(path: Path, schema: pa.Schema, identity: Identity) -> None:
    stated = json.loads((schema.metadata or {}).get(_STATED, b"{}"))
    wanted = {"format": FORMAT, "teacher": identity.teacher, "preparation": identity.preparation}
    for name, value in wanted.items():
        if stated.get(name) != value:
            raise ArtifactError(f"{path}: foreign: its {name} is {stated.get(name)!r}, not {value!r}")


def _numbers(name: str, values: ArrayLike, shape: tuple[int, ...], kind: type) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != shape:
        raise DataError(f"{name} of shape {array.shape}: must be {shape}")
    finite = np.isfinite(array)
    if not finite.all():
        first = np.argwhere(~finite)[0]
        raise DataError(f"{name}: {array[tuple(first)]} in row {first[0]}; labels must be finite numbers")
    return np.ascontiguousarray(array, kind)


def _rows(array: NDArray[Any]) -> pa.Array:
    flat = pa.array(array.reshape(-1))
    return flat if array.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, array.shape[1])


def _array(batch: pa.Table, name: str) -> NDArray[Any]:
    column = batch.column(name).chunk(0)
    if not pa.types.is_fixed_size_list(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=True))
    return np.asarray(column.flatten().to_numpy(zero_copy_only=True)).reshape(len(column), column.type.list_size)


def _digest(path: Path) -> str:
    with open(path, "rb") as handle:
        return file_digest(handle, lambda: blake2b(digest_size=16)).hexdigest()
