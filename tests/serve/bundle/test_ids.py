"""Names of items and their numbers."""

from __future__ import annotations

import pyarrow as pa
import pytest

from shopstill.serve.bundle import ids
from shopstill.serve.bundle.ids import Ids

NAMES = ["b", "a", "", "红色杯子", "a ", *map(str, range(200))]


@pytest.mark.parametrize("colliding", [False, True])
def test_every_name_has_its_number_and_no_other_has_one(colliding: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if colliding:
        monkeypatch.setattr(ids, "hash", len, raising=False)
    monkeypatch.setattr(ids, "_AT_ONCE", 7)
    found = Ids(pa.array(NAMES))
    assert found.numbers(NAMES) == list(range(1, len(NAMES) + 1))
    assert found.numbers(["c", "0", "200", "A", "红"]) == [0, 6, 0, 0, 0]
    assert found.numbers([]) == []
    assert found.repeated() is None
    assert Ids(pa.array(["x", "a", "b", "a"])).repeated() == "a"


def test_they_are_a_sequence() -> None:
    found = Ids(pa.array(NAMES))
    assert list(found) == NAMES
    assert (len(found), found[0], found[-1], found[1:3]) == (len(NAMES), "b", "199", ["a", ""])
    assert "红色杯子" in found
