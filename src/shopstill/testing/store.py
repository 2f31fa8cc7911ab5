"""The conformance suite of label stores: what every store must do, and what no store may answer.

>>> import tempfile
>>> from shopstill.teach.store import LabelStore
>>> check_store(lambda root, t, p: LabelStore(root, teacher=t, preparation=p), Path(tempfile.mkdtemp()))
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shopstill.core.errors import ShopstillError


class Store(Protocol):
    """What a label store offers."""

    @property
    def count(self) -> int: ...

    @property
    def rejected(self) -> Mapping[str, str]: ...

    def keys(self, query_texts: Sequence[str], product_texts: Sequence[str]) -> NDArray[Any]: ...

    def missing(self, keys: NDArray[Any]) -> NDArray[np.int64]: ...

    def append(
        self, keys: NDArray[Any], logits: ArrayLike, features: Mapping[str, ArrayLike] | None = None
    ) -> None: ...

    def lookup(self, keys: NDArray[Any]) -> Any: ...


OpenStore = Callable[[Path, str, str], Store]
Check = Callable[[OpenStore, Path], None]

_QUERIES = ["red mug", "red mug", "mug", "", "保温杯 500ml", "a\x00b", "\ud800"]
_PRODUCTS = ["Mug, red", "Chair", "Mug, red", "", "不锈钢保温杯 500ml", "c", "\n"]
_LOGITS = [2.5, -1.0, 0.25, 0.0, 7.0, 1e-8, -3e4]
_EXPECTED = np.array(_LOGITS, np.float32)


def answers_in_order(open_store: OpenStore, root: Path) -> None:
    """What was appended is found again, in the order asked, also by a store opened later."""
    store = open_store(root, "t", "p")
    keys = _filled(store)
    asked = np.array([3, 0, 6, 3, 1])
    for opened in (store, open_store(root, "t", "p")):
        assert opened.count == len(_LOGITS), f"count is {opened.count} after {len(_LOGITS)} pairs were appended"
        assert not len(opened.missing(keys)), "pairs that were appended are called missing"
        got = np.asarray(opened.lookup(keys[asked]).logits)
        assert np.array_equal(got, _EXPECTED[asked]), f"lookup gave {got}"


def knows_what_is_missing(open_store: OpenStore, root: Path) -> None:
    """``missing`` names the first occurrence of each unknown pair; ``lookup`` of an unknown pair raises and counts."""
    store = open_store(root, "t", "p")
    keys = store.keys(["a", "b", "a", "c", "b"], ["x"] * 5)
    store.append(keys[3:4], [1.0])
    assert store.missing(keys).tolist() == [0, 1], f"missing gave {store.missing(keys).tolist()} where [0, 1] are"
    try:
        store.lookup(keys)
    except ShopstillError as error:
        assert "4" in str(error), f"the error does not say that 4 pairs are missing: {error}"
    else:
        raise AssertionError("lookup answered pairs that were never appended")


def tells_teachers_apart(open_store: OpenStore, root: Path) -> None:
    """One teacher never answers for another."""
    keys = _filled(open_store(root, "teacher-1", "p"))
    _knows_nothing(open_store(root, "teacher-2", "p"), keys, "another teacher's labels")


def tells_preparations_apart(open_store: OpenStore, root: Path) -> None:
    """Labels of pairs prepared in one way never answer for another."""
    keys = _filled(open_store(root, "t", "length=64"))
    _knows_nothing(open_store(root, "t", "length=128"), keys, "labels of another preparation")


def tells_joined_fingerprints_apart(open_store: OpenStore, root: Path) -> None:
    """Teacher and preparation are kept apart, whatever characters they hold."""
    keys = _filled(open_store(root, "a-b", "c"))
    for teacher, preparation in (("a", "b-c"), ("a-", "bc"), ("c", "a-b")):
        _knows_nothing(open_store(root, teacher, preparation), keys, f"({teacher!r}, {preparation!r}): other labels")


def tells_pairs_apart(open_store: OpenStore, root: Path) -> None:
    """Different pairs have different keys, also where their joined texts are equal; equal pairs have equal keys."""
    queries = ["ab", "a", "", "abc", "a\x00b", "a", "1:a", "a\tb", "a", "b", "c"]
    products = ["c", "bc", "abc", "", "c", "b\x00c", "bc", "c", "b\tc", "ac", "ab"]
    store = open_store(root, "t", "p")
    keys = store.keys(queries, products)
    distinct = {bytes(key) for key in keys}
    assert len(distinct) == len(queries), f"{len(queries)} different pairs have only {len(distinct)} keys"
    assert np.array_equal(keys, store.keys(queries, products)), "the keys of a pair differ from call to call"


def reads_no_torn_shard(open_store: OpenStore, root: Path) -> None:
    """A file that was cut or changed is not read, and is reported; the pairs in it are missing."""
    for number, damage in enumerate((_cut_in_half, _cut_a_byte, _change_a_byte, _empty)):
        folder = root / str(number)
        keys = _filled(open_store(folder, "t", "p"))
        for file in _shards(folder):
            damage(file)
        store = open_store(folder, "t", "p")
        what = f"a shard after {damage.__name__.strip('_').replace('_', ' ')}"
        _knows_nothing(store, keys, what)
        assert store.rejected, f"{what} is not reported in rejected"
        store.append(keys, _LOGITS)
        assert np.array_equal(open_store(folder, "t", "p").lookup(keys).logits, _EXPECTED), f"{what} cannot be mended"


def reads_no_foreign_file(open_store: OpenStore, root: Path) -> None:
    """A shard of another teacher that was copied in, and a file that is no shard, are not read, and are reported."""
    keys = _filled(open_store(root / "other", "teacher-1", "p"))
    mine = open_store(root / "mine", "teacher-2", "p")
    first = mine.keys(["own"], ["pair"])
    mine.append(first, [1.0])
    home = _shards(root / "mine")[0].parent
    for file in _shards(root / "other"):
        shutil.copy(file, home / file.name)
    (home / "notes.txt").write_text("not a shard")
    store = open_store(root / "mine", "teacher-2", "p")
    assert store.missing(keys).tolist() == list(range(len(keys))), "a shard of another teacher was read"
    assert store.lookup(first).logits.tolist() == [1.0], "a foreign file hides the store's own labels"
    assert len(store.rejected) >= 2, f"foreign files are not reported: {dict(store.rejected)}"


def keeps_what_two_append(open_store: OpenStore, root: Path) -> None:
    """Two stores over one folder lose nothing of each other, also where both label the same pair."""
    one, two = open_store(root, "t", "p"), open_store(root, "t", "p")
    keys = one.keys(_QUERIES, _PRODUCTS)
    one.append(keys[:4], _LOGITS[:4])
    two.append(keys[3:], _LOGITS[3:])
    for store in (one, two, open_store(root, "t", "p")):
        assert not len(store.missing(keys)), "what another process appended is missing"
        assert store.count == len(keys), f"count is {store.count} for {len(keys)} distinct pairs"
        assert np.array_equal(store.lookup(keys).logits, _EXPECTED), "labels of two writers were mixed up"


def refuses_what_is_no_label(open_store: OpenStore, root: Path) -> None:
    """NaN, infinity and a wrong number of labels are refused, and nothing of them is stored."""
    store = open_store(root, "t", "p")
    keys = store.keys(["a", "b"], ["x", "y"])
    for wrong in ([1.0, float("nan")], [float("inf"), 0.0], [1.0], [[1.0, 2.0], [3.0, 4.0]]):
        try:
            store.append(keys, wrong)
        except ShopstillError:
            continue
        raise AssertionError(f"append took {wrong} as the labels of two pairs")
    assert store.count == 0, "something was stored of labels that were refused"


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        answers_in_order,
        knows_what_is_missing,
        tells_teachers_apart,
        tells_preparations_apart,
        tells_joined_fingerprints_apart,
        tells_pairs_apart,
        reads_no_torn_shard,
        reads_no_foreign_file,
        keeps_what_two_append,
        refuses_what_is_no_label,
    )
}


def check_store(open_store: OpenStore, folder: Path) -> None:
    """Hold a label store to everything that a run counts on.

    Args:
        open_store: opens the store of a root folder, a teacher and a preparation.
        folder: an empty folder.

    Raises:
        AssertionError: it fails; the message lists every check that failed, and how.
    """
    failures = [
        f"- {name}: {failure}"
        for name, check in CHECKS.items()
        for failure in _failures(check, open_store, folder / name)
    ]
    assert not failures, f"the store fails {len(failures)} of {len(CHECKS)} checks:\n" + "\n".join(failures)


def _failures(check: Check, open_store: OpenStore, folder: Path) -> Iterator[str]:
    folder.mkdir()
    try:
        check(open_store, folder)
    except AssertionError as failure:
        yield str(failure)
    except Exception as failure:  # noqa: BLE001  (whatever a stranger's store raises is its failure, not the suite's)
        yield f"raised {type(failure).__name__}: {failure}"


def _filled(store: Store) -> NDArray[Any]:
    keys = store.keys(_QUERIES, _PRODUCTS)
    store.append(keys, _LOGITS)
    return keys


def _knows_nothing(store: Store, keys: NDArray[Any], what: str) -> None:
    missing = store.missing(keys)
    assert len(missing) == len(keys), f"{what}: {len(keys) - len(missing)} of {len(keys)} pairs were answered"
    try:
        store.lookup(keys[:1])
    except ShopstillError:
        return
    raise AssertionError(f"{what}: lookup answered")


def _shards(root: Path) -> list[Path]:
    """The files that hold labels: all that do not state, in JSON, what the folder is."""
    found = [p for p in sorted(root.rglob("*")) if p.is_file() and p.suffix != ".json"]
    assert found, f"no file was written under {root}"
    return found


def _cut_in_half(file: Path) -> None:
    _replace(file, file.read_bytes()[: file.stat().st_size // 2])


def _cut_a_byte(file: Path) -> None:
    _replace(file, file.read_bytes()[:-1])


def _change_a_byte(file: Path) -> None:
    """The last place that holds one of the labels gets another bit, so that the file stays readable."""
    content = file.read_bytes()
    at = content.rfind(np.float32(_LOGITS[4]).tobytes())
    at = len(content) // 2 if at < 0 else at
    _replace(file, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


def _empty(file: Path) -> None:
    _replace(file, b"")


def _replace(file: Path, content: bytes) -> None:
    """Put another file in its place; cutting one that is still mapped would end the process."""
    file.unlink()
    file.write_bytes(content)
