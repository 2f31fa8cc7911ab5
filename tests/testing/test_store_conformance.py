"""The suite passes the real store, and fails each store that is wrong in one way."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest

from shopstill.teach import shard as shards
from shopstill.teach import store as stores
from shopstill.teach.store import LabelStore
from shopstill.testing.store import CHECKS, check_store


def _real(root: Path, teacher: str, preparation: str) -> LabelStore:
    return LabelStore(root, teacher=teacher, preparation=preparation)


def _blind_to_teacher(root: Path, teacher: str, preparation: str) -> LabelStore:
    return LabelStore(root, teacher="any", preparation=preparation)


def _blind_to_preparation(root: Path, teacher: str, preparation: str) -> LabelStore:
    return LabelStore(root, teacher=teacher, preparation="any")


def _fingerprints_run_together(root: Path, teacher: str, preparation: str) -> LabelStore:
    return LabelStore(root, teacher=f"{teacher}-{preparation}", preparation="")


class _NoSeparator(LabelStore):
    def keys(self, query_texts, product_texts):
        texts = [(q + p).encode("utf-8", "surrogatepass") for q, p in zip(query_texts, product_texts, strict=True)]
        digests = [blake2b(text, digest_size=16).digest() for text in texts]
        return np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2)


class _ProductOnly(LabelStore):
    def keys(self, query_texts, product_texts):
        return super().keys([""] * len(query_texts), product_texts)


class _Trusting(LabelStore):
    """Takes any file for a whole shard."""

    def _take(self, name, *, trusted=False):
        super()._take(name, trusted=True)


class _Silent(LabelStore):
    """Sets files aside without a word."""

    def _take(self, name, *, trusted=False):
        super()._take(name, trusted=trusted)
        self.rejected.clear()


class _Alone(LabelStore):
    """Does not see what others append."""

    def refresh(self):
        if not self._shards:
            super().refresh()


class _Forgetful(LabelStore):
    """Keeps labels in memory only."""

    def append(self, keys, logits, features=None):
        super().append(keys, logits, features)
        for file in self.folder.glob("*.arrow"):
            file.unlink()


def _opens(kind):
    return lambda root, teacher, preparation: kind(root, teacher=teacher, preparation=preparation)


@pytest.mark.parametrize("name", CHECKS)
def test_the_label_store_conforms(name: str, tmp_path: Path) -> None:
    CHECKS[name](_real, tmp_path)


@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        (_blind_to_teacher, "tells_teachers_apart"),
        (_blind_to_preparation, "tells_preparations_apart"),
        (_fingerprints_run_together, "tells_joined_fingerprints_apart"),
        (_opens(_NoSeparator), "tells_pairs_apart"),
        (_opens(_ProductOnly), "tells_pairs_apart"),
        (_opens(_Trusting), "reads_no_torn_shard"),
        (_opens(_Silent), "reads_no_torn_shard"),
        (_opens(_Silent), "reads_no_foreign_file"),
        (_opens(_Alone), "keeps_what_two_append"),
        (_opens(_Forgetful), "answers_in_order"),
    ],
)
def test_the_suite_fails_a_mutant(mutant, check: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        CHECKS[check](mutant, tmp_path)


def test_one_call_reports_every_failure(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="tells_teachers_apart") as failure:
        check_store(_blind_to_teacher, tmp_path)
    assert "reads_no_torn_shard" not in str(failure.value)


def test_the_suite_fails_a_store_that_reads_another_teachers_shard(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(shards, "_same", lambda *arguments: None)
    with pytest.raises(AssertionError, match="another teacher"):
        CHECKS["reads_no_foreign_file"](_real, tmp_path)


def test_the_suite_fails_a_store_that_takes_nan(tmp_path: Path, monkeypatch) -> None:
    def lenient(draft, identity, keys, logits, features):
        return shards.write_shard(draft, identity, keys, np.nan_to_num(np.resize(logits, len(keys))), features)

    monkeypatch.setattr(stores, "write_shard", lenient)
    with pytest.raises(AssertionError, match="append took"):
        CHECKS["refuses_what_is_no_label"](_real, tmp_path)
