"""What was acknowledged is there; what was torn is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopstill.serve.index.journal import Journal, records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Journal(tmp_path / "changes") as journal:
        for number in range(3):
            journal.append({"number": number, "put": [{"id": "杯", "title": "mug 😀"}], "delete": []})
    return tmp_path / "changes"


def test_records_come_back_in_order(path: Path) -> None:
    assert [record["number"] for record in records(path)] == [0, 1, 2]
    assert next(records(path))["put"] == [{"id": "杯", "title": "mug 😀"}]


def test_wherever_the_file_ends_only_whole_records_count(path: Path) -> None:
    whole = path.read_bytes()
    each = len(whole) // 3
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert len(list(records(path))) == cut // each


@pytest.mark.parametrize("at", [0, 5, 20, -1])
def test_a_flipped_bit_ends_the_journal_there(path: Path, at: int) -> None:
    broken = bytearray(path.read_bytes())
    each = len(broken) // 3
    broken[(2 * each + at) if at >= 0 else at] ^= 1
    path.write_bytes(broken)
    assert [record["number"] for record in records(path)] == [0, 1]


def test_a_torn_end_is_cut_before_more_is_written(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    with Journal(path) as journal:
        journal.append({"number": 7})
    assert [record["number"] for record in records(path)] == [0, 1, 7]


def test_an_empty_or_missing_journal_has_no_records(tmp_path: Path) -> None:
    assert list(records(tmp_path / "none")) == []
    (tmp_path / "empty").touch()
    assert list(records(tmp_path / "empty")) == []
