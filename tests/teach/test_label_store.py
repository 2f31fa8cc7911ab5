"""The label store beyond its conformance: features, outputs, colliding keys, drafts, two processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from shopstill.core.errors import ArtifactError, DataError
from shopstill.teach.store import LabelStore


def _store(root: Path, **options) -> LabelStore:
    return LabelStore(root, teacher="t", preparation="p", **options)


def test_features_and_several_outputs_come_back_in_order(tmp_path: Path) -> None:
    store = _store(tmp_path, outputs=3, features={"pooled": 4, "last": 2})
    keys = store.keys(list("abcde"), ["x"] * 5)
    logits = np.arange(15, dtype=np.float32).reshape(5, 3)
    pooled, last = np.arange(20.0).reshape(5, 4), np.arange(10, dtype=np.float16).reshape(5, 2)
    store.append(keys[:2], logits[:2], {"pooled": pooled[:2], "last": last[:2]})
    store.append(keys[2:], logits[2:], {"pooled": pooled[2:], "last": last[2:], "unasked": [1, 2, 3]})
    got = _store(tmp_path, outputs=3, features={"pooled": 4, "last": 2}).lookup(keys[[4, 0, 2]])
    assert np.array_equal(got.logits, logits[[4, 0, 2]])
    assert np.array_equal(got.features["pooled"], pooled[[4, 0, 2]])
    assert got.features["pooled"].dtype == np.float32
    assert np.array_equal(got.features["last"], last[[4, 0, 2]])
    assert got.features["last"].dtype == np.float16


def test_pairs_labelled_without_a_wanted_feature_are_missing(tmp_path: Path) -> None:
    plain = _store(tmp_path)
    keys = plain.keys(["a"], ["x"])
    plain.append(keys, [1.0])
    wanting = _store(tmp_path, features={"pooled": 2})
    assert wanting.missing(keys).tolist() == [0]
    assert not wanting.rejected
    with pytest.raises(DataError, match="lack the features pooled"):
        wanting.append(keys, [1.0])
    wanting.append(keys, [1.0], {"pooled": [[1, 2]]})
    assert wanting.lookup(keys).features["pooled"].tolist() == [[1, 2]]
    assert _store(tmp_path).lookup(keys).logits.tolist() == [1.0]


def test_another_number_of_outputs_is_refused(tmp_path: Path) -> None:
    _store(tmp_path)
    with pytest.raises(ArtifactError, match="outputs is 1 where 4"):
        _store(tmp_path, outputs=4)


def test_keys_that_share_half_of_their_bits_are_told_apart(tmp_path: Path) -> None:
    keys = np.array([[7, 1], [7, 2], [7, 3], [8, 1], [7, 2], [0, 0], [2**64 - 1, 5]], np.uint64)
    store = _store(tmp_path)
    assert store.missing(keys).tolist() == [0, 1, 2, 3, 5, 6]
    store.append(keys[[1, 3, 6]], [2, 4, 7])
    assert store.missing(keys).tolist() == [0, 2, 5]
    store.append(keys[[0, 2, 5, 1]], [1, 3, 6, 99])
    for opened in (store, _store(tmp_path)):
        assert opened.count == 6
        assert opened.lookup(keys[[0, 2, 3, 5, 6]]).logits.tolist() == [1, 3, 4, 6, 7]
    assert store.lookup(keys[[1, 4]]).logits.tolist() == [2, 2]


def test_rows_that_were_located_stay_valid_when_more_is_appended(tmp_path: Path) -> None:
    store = _store(tmp_path)
    keys = store.keys([str(i) for i in range(50)], ["x"] * 50)
    store.append(keys[20:], np.arange(20, 50))
    rows = store.locate(keys[20:])
    store.append(keys[:20], np.arange(20))
    assert store.read(rows).logits.tolist() == list(range(20, 50))
    assert store.read(store.locate(keys)).logits.tolist() == list(range(50))


def test_empty_questions_have_empty_answers(tmp_path: Path) -> None:
    store = _store(tmp_path, outputs=2, features={"f": 3})
    none = store.keys([], [])
    store.append(none, np.zeros((0, 2)))
    assert none.shape == (0, 2)
    assert store.count == 0
    assert not len(store.missing(none))
    assert store.lookup(none).logits.shape == (0, 2)


def test_a_draft_of_a_killed_run_is_swept_and_a_fresh_one_stays(tmp_path: Path) -> None:
    folder = _store(tmp_path).folder
    old, fresh = folder / ".1-dead.draft", folder / ".2-live.draft"
    for draft in (old, fresh):
        draft.write_bytes(b"half a shard")
    long_ago = time.time() - 7200
    os.utime(old, (long_ago, long_ago))
    store = _store(tmp_path)
    assert not old.exists()
    assert fresh.exists()
    assert not store.rejected
    assert store.count == 0


def test_two_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from shopstill.teach.store import LabelStore
store = LabelStore(Path(sys.argv[1]), teacher="t", preparation="p")
first = int(sys.argv[2])
for start in range(first, first + 400, 20):
    names = [str(i) for i in range(start, start + 20)]
    store.append(store.keys(names, names), range(start, start + 20))
"""
    runs = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(first)]) for first in (0, 300)]
    assert [run.wait() for run in runs] == [0, 0]
    store = _store(tmp_path)
    names = [str(i) for i in range(700)]
    assert store.count == 700
    assert store.lookup(store.keys(names, names)).logits.tolist() == list(range(700))


def test_unequal_lengths_and_foreign_keys_are_refused(tmp_path: Path) -> None:
    store = _store(tmp_path)
    with pytest.raises(DataError, match="2 query texts beside 1"):
        store.keys(["a", "b"], ["x"])
    with pytest.raises(DataError, match="must be"):
        store.missing(np.zeros((3, 2)))
