"""What a pass must do, each a check of one trial: a pass, a model that it was given, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from shopstill.compress import Stage
from shopstill.compress._chain import misfit
from shopstill.core.config import build as build_config
from shopstill.core.config import plain
from shopstill.core.errors import ConfigError
from shopstill.models import build
from shopstill.models.build import TextModel
from shopstill.testing import _pass_models

Exported = Callable[[TextModel, Path], np.ndarray]
"""A model and an empty folder → the scores of ``_pass_models.pairs`` as its exported graph gives them."""

COMPANY, EXPORTED = 1e-4, 1e-4
"""How far a score may move with the batch it is in, and by export."""

ROUNDED = 1e-2
"""The same where integers are computed: what the last bit of a sum pushes over an edge is rounded to another step,
which in a network as narrow as these shows in the score."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One pass on one model.

    Attributes:
        given: the pass.
        before: the model that it was given.
        untouched: the same model, made anew.
        after: what came out, or the refusal.
        again: what came out of it a second time.
        folder: where ``before`` and ``after`` are saved.
        smaller: whether the pass promises not to enlarge the file.
    """

    given: Any
    before: TextModel
    untouched: TextModel
    after: TextModel | ConfigError
    again: TextModel | ConfigError
    folder: Path
    smaller: bool

    @property
    def made(self) -> TextModel:
        """What came out, where it was not refused."""
        assert isinstance(self.after, TextModel)
        return self.after


def must(holds: bool, message: str) -> None:
    """Raise an ``AssertionError`` that python -O keeps."""
    if not holds:
        raise AssertionError(message)


def stored_bytes(folder: Path) -> int:
    """Bytes of a saved model's weights and tokenizer; a file's own table of contents is left out."""
    weights = sum(value.numel() * value.element_size() for value in load_file(folder / "model.safetensors").values())
    return weights + (folder / "tokenizer.json").stat().st_size


def leaves_its_input_alone(trial: Trial) -> None:
    """The model given has the weights, sizes and tokenizer it had."""
    differs = _differences(trial.before.network.state_dict(), trial.untouched.network.state_dict())
    must(not differs, f"changed {differs} of the model it was given")
    must(
        trial.before.tokenizer.path == trial.untouched.tokenizer.path, "changed the tokenizer of the model it was given"
    )
    must(not any(m.training for m in trial.before.network.modules()), "left the model it was given in training")


def repeats(trial: Trial) -> None:
    """The same pass on the same model with the same seed gives the same."""
    again = trial.again
    must(isinstance(again, TextModel), f"was refused the second time alone: {again}")
    assert isinstance(again, TextModel)
    differs = _differences(trial.made.network.state_dict(), again.network.state_dict())
    must(not differs, f"gave another {differs} the second time")


def scores_are_sound(trial: Trial) -> None:
    """Every score is finite, and does not move with its company unless a part says that it may."""
    together = _pass_models.scores(trial.made)
    must(bool(np.isfinite(together).all()), "some score is not finite")
    if all(getattr(module, "batch_invariant", True) for module in trial.made.network.modules()):
        moved = max(float(np.abs(_pass_models.scores(trial.made, rows) - together).max()) for rows in (1, 5))
        most = ROUNDED if trial.given.stage == "arithmetic" else COMPANY
        must(moved <= most, f"scores move by {moved:.2g} with their company; {most} at most")


def is_not_larger(trial: Trial) -> None:
    """The saved model takes no more bytes than before, where the pass promises it."""
    before, after = (stored_bytes(trial.folder / name) for name in ("before", "after"))
    must(not trial.smaller or after <= before, f"takes {after:,} bytes; it took {before:,}")


def loads_as_it_was(trial: Trial) -> None:
    """Saved and loaded, it has the same weights, sizes and scores, and saves to the same bytes."""
    loaded = build.load(trial.folder / "after")
    must(not _differences(trial.made.network.state_dict(), loaded.network.state_dict()), "loads with other weights")
    build.save(loaded, trial.folder / "twice")
    for name in ("model.json", "tokenizer.json"):
        one, two = ((trial.folder / folder / name).read_bytes() for folder in ("after", "twice"))
        must(one == two, f"writes another {name} after it was loaded")


def refuses_clearly(trial: Trial) -> None:
    """A model that the pass does not fit is refused in words that say what is wrong, and what to do."""
    must(";" in str(trial.after), f"refuses without saying what to do: {trial.after}")
    must(isinstance(trial.again, ConfigError), "refuses the first time alone")


def is_a_configuration(given: Any, name: str) -> None:
    """A frozen dataclass that plain values describe; its kind is its name, its stage one of those there are."""
    must(is_dataclass(given), "is no dataclass")
    must(type(given).__dataclass_params__.frozen, "is not frozen")
    must(given.kind == name, f"its kind is {given.kind!r}; the registry knows it as {name!r}")
    must(given.stage in get_args(Stage), f"its stage {given.stage!r} is none of {', '.join(get_args(Stage))}")
    must(build_config(type(given), plain(given)) == given, "is not what its plain values build")


def needs_what_it_says(trial: Trial) -> None:
    """A model that lacks all that the pass says it needs is refused, so that a recipe may be refused before it runs."""
    told = misfit(trial.given, trial.before.network.config)
    must(told is None or isinstance(trial.after, ConfigError), f"takes a model that it says it cannot: {told}")


def is_exported(trial: Trial, exported: Exported) -> None:
    """The exported graph gives the scores of the model."""
    apart = float(np.abs(exported(trial.made, trial.folder / "export") - _pass_models.scores(trial.made)).max())
    must(apart <= EXPORTED, f"exported, a score differs by {apart:.2g}; {EXPORTED} at most")


CHECKS: Mapping[str, Callable[[Trial], None]] = {
    "leaves its input alone": leaves_its_input_alone,
    "repeats under its seed": repeats,
    "scores are sound": scores_are_sound,
    "is not larger": is_not_larger,
    "loads as it was": loads_as_it_was,
}


def _differences(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    names = sorted(one.keys() ^ other.keys())
    names += [name for name, value in one.items() if name in other and not torch.equal(value, other[name])]
    return names[:3]
