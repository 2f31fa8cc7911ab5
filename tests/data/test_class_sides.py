"""The sides that a publisher names: which are needed, and what is said where they are not there."""

from __future__ import annotations

import pytest

from shopstill.core.errors import ConfigError, DataError

from .test_classes import SIDED, folders, sides


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (("train", "Val"), "the products name no test side, as folders of these names would; set it to false"),
        (("Val", "test"), "the products name no train side"),
        (("Val",), "the products name no train and no test side"),
    ],
)
def test_sides_of_a_publisher_that_lack_one_are_refused_and_not_advised(take_in, caplog, there, told: str) -> None:
    rows = folders(take_in, [name for name in SIDED if name.startswith(there)], -1)
    with pytest.raises(ConfigError, match=rf"split\.publisher: true, but {told}"):
        sides(rows, publisher=True)
    sides(rows)
    assert "are not kept; products are parted by chance" in caplog.text
    assert "set split.publisher: true" not in caplog.text


def test_sides_of_a_publisher_that_leave_nothing_to_learn_from_or_choose_by_are_refused(take_in) -> None:
    rows = folders(take_in, [name for name in SIDED if "Val" not in name], -1)
    with pytest.raises(
        ConfigError, match=r"split\.valid: 0, but the publisher names no validation side; give it a share"
    ):
        sides(rows, publisher=True, valid=0)
    with pytest.raises(
        DataError, match="every product of the training side is the same as one that the publisher holds"
    ):
        sides(rows, [b"same"] * len(rows), publisher=True)
