"""Every pass of the registry, held to the suite; and the suite, held to passes that break its rules."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from shopstill.compress import PASSES
from shopstill.core.config import config
from shopstill.models import build
from shopstill.models.build import TextModel
from shopstill.testing import passes
from shopstill.testing.passes import Outcome

OF_PICTURES = ("channels",)
"""Passes that take no model of texts alone: ``test_label_passes.py`` holds them to the rules."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """What became of every pass on every kind of model; one process is enough to load them all."""
    return passes.examine(folder=tmp_path_factory.mktemp("passes"))


@pytest.mark.slow
@pytest.mark.parametrize("name", PASSES.names())
def test_every_pass_of_the_registry_passes_the_suite(name: str, outcomes: list[Outcome]) -> None:
    own = [one for one in outcomes if one.given.kind == name]
    assert own, "the suite did not try it"
    assert not [(one.kind, one.failures) for one in own if one.failures]
    taken = [one.refused for one in own if one.refused is None]
    assert bool(taken) == (name not in OF_PICTURES), [one.refused for one in own]


def _copied(model: TextModel) -> TextModel:
    return replace(model, network=copy.deepcopy(model.network))


@config
class Whole:
    kind: str = "whole"
    stage: ClassVar[str] = "weights"

    def apply(self, model: TextModel, calibration: Any) -> TextModel:
        return _copied(model)


@config
class Spoils(Whole):
    kind: str = "spoils"

    def apply(self, model: TextModel, calibration: Any) -> TextModel:
        with torch.no_grad():
            next(model.network.parameters()).add_(1)
        return _copied(model)


@config
class Wanders(Whole):
    kind: str = "wanders"

    def apply(self, model: TextModel, calibration: Any) -> TextModel:
        made = _copied(model)
        with torch.no_grad():
            value = next(made.network.parameters())
            value.add_(torch.rand_like(value))
        return made


@config
class Swells(Whole):
    kind: str = "swells"

    def apply(self, model: TextModel, calibration: Any) -> TextModel:
        made = _copied(model)
        made.network.register_parameter("more", nn.Parameter(torch.zeros(1000)))
        return made


@config
class Breaks(Whole):
    kind: str = "breaks"

    def apply(self, model: TextModel, calibration: Any) -> TextModel:
        made = _copied(model)
        with torch.no_grad():
            for value in made.network.parameters():
                value.fill_(torch.nan)
        return made


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Spoils(), "leaves its input alone"),
        (Wanders(), "repeats under its seed"),
        (Swells(), "is not larger"),
        (Breaks(), "scores are sound"),
    ],
)
def test_the_suite_finds_what_a_pass_does_wrong(
    given: Any, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "rescored", lambda folders: {f: passes.models.scores(build.load(f)) for f in folders})
    monkeypatch.setattr(build, "load", _lenient(build.load))
    with pytest.raises(AssertionError, match=expected):
        passes.check_passes([given], folder=tmp_path)


def test_the_suite_takes_a_pass_that_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "rescored", lambda folders: {f: passes.models.scores(build.load(f)) for f in folders})
    found = passes.check_passes([Whole()], folder=tmp_path)
    assert {one.before for one in found} == {one.after for one in found}


def _lenient(load: Any) -> Any:
    """Loading that takes weights too many, so that the suite's own checks are met."""

    def loaded(folder: Path) -> TextModel:
        try:
            return load(folder)
        except ValueError:
            return load(folder.parent / "before")

    return loaded
