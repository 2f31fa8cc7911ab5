"""Conformance of passes: one call says whether passes do to every kind of model what a chain counts on.

It takes minutes rather than seconds for many passes: every one meets every kind of model, twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shopstill.compress import PASSES
from shopstill.core.errors import ConfigError
from shopstill.models import build
from shopstill.models.build import TextModel
from shopstill.testing import _pass_checks as checks
from shopstill.testing import _pass_models as models
from shopstill.testing._pass_checks import CHECKS, Exported, Trial, must
from shopstill.testing._pass_reload import rescored

__all__ = ["CASES", "CHECKS", "LARGER", "Outcome", "check_passes", "examine"]

CASES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "clusters": [{}, {"bits": 2, "tables": False}],
    "distil": [{"model": {"kind": "cross", "start": "teacher", "layers": [0], "max_tokens": 20}}],
    "feed_forward": [{"multiple": 1}, {"importance": "magnitude"}, {"importance": "activation", "scope": "layer"}],
    "hashed": [{"rows": 16}, {"codes": "digits"}],
    "heads": [{}, {"importance": "magnitude"}, {"importance": "activation", "scope": "layer"}],
    "layers": [{"count": 1}, {"keep": [0, 2]}],
    "low_rank": [{"rank": 2, "tables": True}, {"share": 0.3, "importance": "none"}, {"energy": 0.6}],
    "share_layers": [{}, {"groups": 2, "start": "first"}],
    "vocabulary": [{}, {"characters": "used"}],
    "weights": [
        {"sparsity": 0.8},
        {"pattern": "2:4", "scope": "layer"},
        {"method": "movement", "schedule": "gradual", "until": 0.5},
    ],
    "width": [{"width": 8}, {"width": 5, "importance": "taylor"}, {"width": 8, "importance": "magnitude"}],
}
"""The library's own passes as they are tried; one that is not here is tried with its defaults."""

EVERYTHING = "joint"
"""The kind of model that has every part; a pass meets the others once alone, however many options it is tried with."""

LARGER = ("recover",)
"""Passes that do not promise a smaller file."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one pass on one kind of model.

    Attributes:
        given: the pass.
        kind: the kind of model.
        refused: why the pass did not take it, or None.
        before: bytes of weights and tokenizer.
        after: the same of what came out.
        failures: the checks that failed, and how.
    """

    given: Any
    kind: str
    refused: str | None
    before: int
    after: int
    failures: tuple[str, ...]


def check_passes(
    passes: Sequence[Any] | None = None, *, folder: Path, exported: Exported | None = None
) -> list[Outcome]:
    """Hold passes to everything that a chain counts on, on every kind of model.

    Args:
        passes: configured passes; None for every one of the registry, as ``CASES`` has them.
        folder: an empty folder to work in.
        exported: scores by the exported graph of a model; None leaves that check out.

    Returns:
        what became of each pass on each kind of model, with its size before and after.

    Raises:
        AssertionError: a pass fails; the message lists every check that failed, on what, and how.
    """
    found = examine(passes, folder=folder, exported=exported)
    failures = [f"- {one.given.kind} on {one.kind}: {why}" for one in found for why in one.failures]
    must(not failures, f"{len(failures)} checks fail:\n" + "\n".join(failures))
    return found


def examine(passes: Sequence[Any] | None = None, *, folder: Path, exported: Exported | None = None) -> list[Outcome]:
    """What became of each pass on each kind of model; failures are told, not raised. Arguments as ``check_passes``."""
    given = list(_known() if passes is None else passes)
    kinds = models.configurations(models.start(folder / "start"))
    tried: set[str] = set()
    trials = {}
    for at, one in enumerate(given):
        for number, (kind, stated) in enumerate(kinds.items()):
            if kind == EVERYTHING or one.kind not in tried:
                trials[at, kind] = _trial(one, stated, folder / f"{at}" / f"{number}")
        tried.add(one.kind)
    made = [trial for trial in trials.values() if isinstance(trial.after, TextModel)]
    scores = rescored([trial.folder / "after" for trial in made])
    return [_outcome(trial, kind, scores.get(trial.folder / "after"), exported) for (_, kind), trial in trials.items()]


def _known() -> Iterator[Any]:
    for name in PASSES.names():
        yield from (PASSES.get(name)(**options) for options in CASES.get(name, [{}]))


def _trial(given: Any, stated: Mapping[str, Any], folder: Path) -> Trial:
    before, untouched = models.model(stated), models.model(stated)
    build.save(before, folder / "before")
    after, again = (_applied(given, before, folder / name) for name in ("first", "second"))
    if isinstance(after, TextModel):
        build.save(after, folder / "after")
    return Trial(
        given=given,
        before=before,
        untouched=untouched,
        after=after,
        again=again,
        folder=folder,
        smaller=given.kind not in LARGER,
    )


def _applied(given: Any, model: TextModel, folder: Path) -> TextModel | ConfigError:
    try:
        found: TextModel = given.apply(model, models.calibration(folder))
    except ConfigError as refusal:
        return refusal
    return found


def _outcome(trial: Trial, kind: str, reloaded: np.ndarray | None, exported: Exported | None) -> Outcome:
    refused = trial.after if isinstance(trial.after, ConfigError) else None
    failures = list(_failures("is a configuration", lambda: checks.is_a_configuration(trial.given, trial.given.kind)))
    failures += _failures("needs what it says", lambda: checks.needs_what_it_says(trial))
    if refused is None:
        for name, run in CHECKS.items():
            failures += _failures(name, lambda run=run: run(trial))  # type: ignore[misc]
        failures += _failures("scores the same in a new process", lambda: _same(trial, reloaded))
        if exported is not None:
            failures += _failures("is exported", lambda: checks.is_exported(trial, exported))
    else:
        failures += _failures("leaves its input alone", lambda: checks.leaves_its_input_alone(trial))
        failures += _failures("refuses clearly", lambda: checks.refuses_clearly(trial))
    before = checks.stored_bytes(trial.folder / "before")
    return Outcome(
        given=trial.given,
        kind=kind,
        refused=None if refused is None else str(refused),
        before=before,
        after=before if refused is not None else checks.stored_bytes(trial.folder / "after"),
        failures=tuple(failures),
    )


def _same(trial: Trial, reloaded: np.ndarray | None) -> None:
    own = models.scores(trial.made)
    must(reloaded is not None and np.array_equal(reloaded, own), "scores differ after a new process loaded it")


def _failures(check: str, run: Callable[[], None]) -> Iterator[str]:
    try:
        run()
    except AssertionError as failure:
        yield f"{check}: {failure}"
    except Exception as failure:  # noqa: BLE001  (whatever a stranger's pass raises is its failure, not the suite's)
        yield f"{check}: raised {type(failure).__name__}: {failure}"
