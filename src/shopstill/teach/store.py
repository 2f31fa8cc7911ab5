"""The label store: a teacher's outputs on disk, found again by the content of what it saw.

A question is what a teacher is asked: a pair of texts, a history, a picture. Shape legend: ``N`` questions, ``K``
outputs, ``D`` feature width.
"""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shopstill.core.errors import ArtifactError, DataError
from shopstill.core.fingerprint import fingerprint
from shopstill.teach.keys import Keys, checked, digests, sorted_once
from shopstill.teach.shard import FORMAT, SUFFIX, Identity, Shard, read_shard, sweep, sync, write_shard

log = logging.getLogger(__name__)

_MANIFEST = "store.json"
_DRAFT = ".draft"
_KEYS_AT_ONCE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What the store answers.

    Attributes:
        logits: [N] where the teacher has one output, else [N, K]; float32, unsquashed.
        features: name → [N, D].
    """

    logits: NDArray[np.float32]
    features: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class LabelStore:
    """Logits, and features where asked, of one teacher over questions prepared in one way.

    A question's key is the 128-bit BLAKE2b digest of its content (of a pair, its texts), under a folder for each
    (teacher, preparation), so that neither another teacher nor another preparation ever answers. Labels lie in shards,
    Arrow files that are written aside, synced and renamed to the digest of their bytes: a shard is whole or it is not
    there, any number of processes may append at the same time, and a file that is torn, changed or foreign is set aside
    in ``rejected``, not read.

    In memory it holds 12 bytes a pair; labels stay in the page cache.

    Args:
        root: folder of all stores.
        teacher: fingerprint of the teacher.
        preparation: fingerprint of what turns a pair's texts into the teacher's input: tokenizer, lengths, template.
        outputs: K.
        features: name → D of the features wanted; pairs that were labelled without them count as missing.

    Raises:
        ArtifactError: the folder holds labels with another number of outputs.

    >>> import tempfile
    >>> store = LabelStore(Path(tempfile.mkdtemp()), teacher="t1", preparation="p1")
    >>> keys = store.keys(["red mug", "red mug"], ["mug, red", "blue chair"])
    >>> store.append(keys[:1], [2.5])
    >>> store.missing(keys).tolist(), store.lookup(keys[:1]).logits.tolist()
    ([1], [2.5])
    """

    def __init__(
        self, root: Path, *, teacher: str, preparation: str, outputs: int = 1, features: Mapping[str, int] | None = None
    ) -> None:
        self.identity = Identity(
            teacher=teacher, preparation=preparation, outputs=outputs, features=dict(features or {})
        )
        self.folder = Path(root) / fingerprint([teacher, preparation])
        self.rejected: dict[str, str] = {}
        self._shards: list[Shard] = []
        self._seen: set[str] = {_MANIFEST}
        self._offsets = np.zeros(1, np.int64)
        self._high: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._rows: NDArray[np.uint32] = np.zeros(0, np.uint32)
        self._indexed = 0
        self.folder.mkdir(parents=True, exist_ok=True)
        self._agree()
        self.refresh()

    @property
    def count(self) -> int:
        """Distinct pairs stored, by any process so far."""
        self.refresh()
        return len(self._rows)

    def keys(self, query_texts: Sequence[str], product_texts: Sequence[str]) -> Keys:
        """``keys_N2`` of N pairs of texts: equal where, and only where, both texts are equal.

        Raises:
            DataError: the two are not of the same length.
        """
        if len(query_texts) != len(product_texts):
            raise DataError(
                f"keys: {len(query_texts)} query texts beside {len(product_texts)} product texts; give pairs"
            )
        # The query's length in front keeps ("ab", "c") apart from ("a", "bc") whatever characters the texts hold.
        return digests(
            f"{len(query)}:{query}{product}".encode("utf-8", "surrogatepass")
            for query, product in zip(query_texts, product_texts, strict=True)
        )

    def missing(self, keys: Keys) -> NDArray[np.int64]:
        """Positions, ascending, of the first occurrence of each key that is not stored."""
        keys = checked(keys)
        self.refresh()
        unknown = np.flatnonzero(self._find(keys) < 0)
        return np.sort(unknown[sorted_once(keys[unknown])])

    def append(self, keys: Keys, logits: ArrayLike, features: Mapping[str, ArrayLike] | None = None) -> None:
        """Store the labels of N pairs as one shard; they are on disk when this returns.

        Args:
            keys: [N, 2], from ``keys``.
            logits: [N], or [N, K] where the teacher has K > 1 outputs.
            features: name → [N, D], all that the store was opened with; of float16, int32 or else float32.

        Raises:
            DataError: a shape differs, a value is not finite, or a feature is missing.
        """
        keys = checked(keys)
        if not len(keys):
            return
        draft = self.folder / f".{os.getpid()}-{uuid.uuid4().hex}{_DRAFT}"
        try:
            digest = write_shard(draft, self.identity, keys, logits, features or {})
            path = self.folder / f"{digest}{SUFFIX}"
            draft.rename(path)
        finally:
            draft.unlink(missing_ok=True)
        sync(self.folder)
        self._take(path.name, trusted=True)

    def locate(self, keys: Keys) -> NDArray[np.int64]:
        """``row_N``: where each key's labels lie, for ``read``; stays valid as long as this object lives.

        Raises:
            ArtifactError: some keys are not stored; the message says how many.
        """
        keys = checked(keys)
        self._index()
        rows = self._find(keys)
        if (rows < 0).any():
            self.refresh()
            rows = self._find(keys)
        lacking = int((rows < 0).sum())
        if lacking:
            raise ArtifactError(
                f"{self.folder}: {lacking:,} of {len(keys):,} pairs have no labels from teacher "
                f"{self.identity.teacher!r}; label them first"
            )
        return rows

    def read(self, rows: NDArray[np.int64]) -> Labels:
        """The labels in the rows that ``locate`` gave."""
        logits = self._gather([shard.logits for shard in self._shards], rows)
        features = {
            name: self._gather([shard.features[name] for shard in self._shards], rows)
            for name in self.identity.features
        }
        return Labels(logits=logits, features=features)

    def lookup(self, keys: Keys) -> Labels:
        """The labels of N keys, in their order.

        Raises:
            ArtifactError: some keys are not stored; the message says how many.
        """
        return self.read(self.locate(keys))

    def refresh(self) -> None:
        """Take in the shards that other processes have appended."""
        for entry in sorted(os.scandir(self.folder), key=lambda e: e.name):
            if entry.name.endswith(_DRAFT):
                sweep(Path(entry.path))
            elif entry.name not in self._seen:
                self._take(entry.name)
        self._index()

    def _take(self, name: str, *, trusted: bool = False) -> None:
        if name in self._seen:
            return
        self._seen.add(name)
        try:
            shard = read_shard(self.folder / name, self.identity, verify=not trusted)
        except ArtifactError as cause:
            self.rejected[name] = str(cause)
            log.warning("%s; it is not read, and its pairs will be labelled again", cause)
            return
        if shard is None:
            log.info("%s holds none of the wanted features; its pairs will be labelled again", self.folder / name)
            return
        self._shards.append(shard)
        self._offsets = np.append(self._offsets, self._offsets[-1] + shard.rows)

    def _index(self) -> None:
        """Merge the rows of new shards into the sorted keys; of equal keys the first stays."""
        if self._indexed == len(self._shards):
            return
        keys = np.concatenate([shard.keys for shard in self._shards[self._indexed :]])
        rows = np.arange(self._offsets[self._indexed], self._offsets[-1])
        if len(self._high):
            fresh = self._find(keys) < 0
            keys, rows = keys[fresh], rows[fresh]
        order = sorted_once(keys)
        high, rows = keys[order, 0], rows[order].astype(np.uint32)
        if len(self._high):
            place = np.searchsorted(self._high, high)
            high, rows = np.insert(self._high, place, high), np.insert(self._rows, place, rows)
        self._high, self._rows = high, rows
        self._indexed = len(self._shards)

    def _find(self, keys: Keys) -> NDArray[np.int64]:
        """The row of each key among those indexed, or -1."""
        rows = np.full(len(keys), -1, np.int64)
        if not len(self._high):
            return rows
        low = [shard.keys[:, 1] for shard in self._shards]
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            asked = start + np.argsort(keys[start : start + _KEYS_AT_ONCE, 0])
            place = np.searchsorted(self._high, keys[asked, 0])
            while len(asked):
                inside = place < len(self._high)
                asked, place = asked[inside], place[inside]
                same = self._high[place] == keys[asked, 0]
                asked, place = asked[same], place[same]
                candidate = self._rows[place].astype(np.int64)
                right = self._gather(low, candidate) == keys[asked, 1]
                rows[asked[right]] = candidate[right]
                # Two keys may share their first half; then the next place is tried.
                asked, place = asked[~right], place[~right] + 1
        return rows

    def _gather(self, columns: list[NDArray[Any]], rows: NDArray[np.int64]) -> NDArray[Any]:
        if not columns:
            return np.zeros((0, *self.identity.shape), np.float32)
        out = np.empty((len(rows), *columns[0].shape[1:]), np.result_type(*{column.dtype for column in columns}))
        shard = np.searchsorted(self._offsets, rows, side="right") - 1
        order = np.argsort(shard, kind="stable")
        bounds = np.searchsorted(shard[order], np.arange(len(columns) + 1))
        for number in np.flatnonzero(np.diff(bounds)):
            where = order[bounds[number] : bounds[number + 1]]
            out[where] = columns[number][rows[where] - self._offsets[number]]
        return out

    def _agree(self) -> None:
        """State what the folder holds, or check that it holds what is asked for."""
        stated = {
            "format": FORMAT,
            "teacher": self.identity.teacher,
            "preparation": self.identity.preparation,
            "outputs": self.identity.outputs,
        }
        path = self.folder / _MANIFEST
        if not path.exists():
            draft = self.folder / f".{os.getpid()}-{uuid.uuid4().hex}{_DRAFT}"
            draft.write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")
            draft.rename(path)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as cause:
            raise ArtifactError(
                f"{path}: not readable as JSON ({cause}); delete this file alone and run again"
            ) from None
        for name, value in stated.items():
            if found.get(name) != value:
                raise ArtifactError(
                    f"{path}: {name} is {found.get(name)!r} where {value!r} is asked for; use another root"
                )
