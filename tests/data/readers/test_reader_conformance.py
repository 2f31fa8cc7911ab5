from __future__ import annotations

from pathlib import Path

import pytest

from shopstill.core.errors import ConfigError
from shopstill.data.readers import READERS
from shopstill.testing.readers import SAMPLES, Sample, check_reader


@pytest.mark.parametrize("name", READERS.names())
def test_every_reader_passes_the_conformance_suite(name: str) -> None:
    check_reader(name)


def test_every_reader_has_a_sample() -> None:
    assert sorted(SAMPLES) == READERS.names()
    with pytest.raises(ConfigError, match="has no sample"):
        check_reader("letor")


class _Lossy:
    """A reader that keeps quiet about its rejects, and reads on where a file is missing."""

    def __init__(self, whole: object) -> None:
        self._whole = whole

    def read(self):
        from dataclasses import replace

        return (replace(chunk, rejects=()) for chunk in self._whole.read())

    def sources(self):
        return []


def test_the_suite_fails_a_reader_that_hides_its_rejects() -> None:
    def write(folder: Path) -> Sample:
        sample = SAMPLES["wands"](folder)
        return Sample(reader=_Lossy(sample.reader), files=sample.files, counts=sample.counts)

    with pytest.raises(AssertionError) as failure:
        check_reader("lossy", write)
    message = str(failure.value)
    assert "passed over in silence" in message
    assert "sources() leaves out" in message or "be_a_configuration" in message


def test_the_suite_fails_a_reader_that_counts_another_shop() -> None:
    def write(folder: Path) -> Sample:
        sample = SAMPLES["homedepot"](folder)
        return Sample(reader=sample.reader, files=sample.files, counts={**sample.counts, "products": 9})

    with pytest.raises(AssertionError, match="a valid sample gives"):
        check_reader("homedepot", write)
