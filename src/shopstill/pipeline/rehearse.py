"""The rehearsal: each model that is still to be trained is created once, untrained, before anything is trained.

A start that is not to be had, or that does not fit the teacher, is found in seconds, and not behind hours of training.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from shopstill.compress.distil import Distil
from shopstill.core import artifact
from shopstill.core.artifact import Artifact
from shopstill.core.config import plain
from shopstill.core.errors import ArtifactError, ConfigError, ShopstillError
from shopstill.models import families
from shopstill.pipeline.flow import MODEL, Run
from shopstill.pipeline.stages import baseline, distil, label, teach
from shopstill.recipe.parts import members
from shopstill.tasks import TEACHER
from shopstill.teach import teacher as teachers

log = logging.getLogger(__name__)

T = TypeVar("T")
Pair = tuple[Artifact, Artifact]


def rehearse(flow: Run, shop: Artifact, wanted: Sequence[str]) -> None:
    """Create what is still to be trained, its chains' models too; nothing where all models of the stages are made.

    Args:
        flow: the run.
        shop: what ``prepare`` made.
        wanted: names of the stages that are asked for.

    Raises:
        ConfigError: a model cannot be created; all that cannot are named by their places in the recipe.
    """
    recipe, found = flow.recipe, Run(flow.recipe, make=False)
    teacher = _held(teach, found, shop)
    labels = _held(label, found, shop, teacher) if teacher else None
    students = {n: _held(distil, found, n, shop, teacher, labels) if labels else None for n in recipe.students}
    baselines = {n: _held(baseline, found, n, shop) for n in recipe.baselines}
    needed = {"teach": [teacher], "label": [labels], "distil": students.values(), "evaluate": baselines.values()}
    if not all(made for stage in wanted for made in needed.get(stage, ())):
        log.info("rehearsal: creating the models that are still to be trained")
        trial = _Rehearsal(flow)
        trial.refuse(_faults(trial, teacher, students, baselines))


def rehearse_chains(flow: Run, sources: Mapping[str, Path]) -> None:
    """Create what chains are still to distil once more.

    Args:
        flow: the run.
        sources: folders of the teacher and the students, by name.

    Raises:
        ConfigError: a model cannot be created; all that cannot are named by their places in the recipe.
    """
    trial = _Rehearsal(flow)
    trial.refuse(_chain_faults(trial, sources))


class _Rehearsal:
    """A folder for models that others start from, as long as it lasts."""

    def __init__(self, flow: Run) -> None:
        self.flow = flow
        self.folder = flow.stages.work("rehearsal", {}, {})

    def refuse(self, faults: Iterable[str]) -> None:
        """Collect all faults, and leave nothing behind."""
        try:
            told = list(faults)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
        if told:
            raise ConfigError("\n".join(told))

    def faults(self, place: str, wanted: Any, begun: Sequence[Path]) -> Iterator[str]:
        """Why a model cannot be created from members of a teacher; one that can is then in ``self.folder / place``."""
        try:
            model = self.flow.course.create(families.quick(wanted), begun, self.flow.recipe.seed)
        except ShopstillError as cause:
            yield f"{place}: {cause}"
        else:
            families.save(model, self.folder / place)


def _held(stage: Callable[..., T], *given: Any) -> T | None:
    """What a stage made of the same inputs; None where it is still to be made."""
    try:
        return stage(*given)
    except ArtifactError:
        return None


def _faults(
    trial: _Rehearsal,
    teacher: Artifact | None,
    students: Mapping[str, Pair | None],
    baselines: Mapping[str, Artifact | None],
) -> Iterator[str]:
    recipe = trial.flow.recipe
    places = {} if teacher else {f"{place}.model": member.model for place, member in members(recipe.teacher).items()}
    places |= {f"baselines.{n}.model": recipe.baselines[n].model for n, made in baselines.items() if made is None}
    told = [fault for place, model in places.items() for fault in trial.faults(place, model, ())]
    yield from told
    if told:
        return  # students may start from what is not there
    begun = teachers.folders(teacher.path) if teacher else [trial.folder / p for p in places if p.startswith(TEACHER)]
    sources = {TEACHER: begun[0]} if begun else {}
    for name, made in students.items():
        place = f"students.{name}.model"
        if made is None:
            yield from trial.faults(place, recipe.students[name].model, begun)
        sources[name] = made[0].path / MODEL if made else trial.folder / place
    yield from _chain_faults(trial, sources)


def _chain_faults(trial: _Rehearsal, sources: Mapping[str, Path]) -> Iterator[str]:
    for name, chain in trial.flow.recipe.compress.items():
        for at, step in enumerate(chain.passes):
            made = trial.flow.folder / "compress" / name / f"{at + 1}-{step.kind}"
            if not isinstance(step, Distil) or _made(made, step):
                continue
            first = sources.get(chain.of) if at == 0 else None
            begun = [first] if first is not None and first.is_dir() else []
            # What other passes leave of a network, from which this one may start, is known when they are done.
            if begun or TEACHER not in families.starts(step.model):
                yield from trial.faults(f"compress.{name}.passes.{at}.model", step.model, begun)


def _made(folder: Path, step: Distil) -> bool:
    try:
        return bool(artifact.load(folder).config["pass"] == plain(step))
    except ArtifactError:
        return False
