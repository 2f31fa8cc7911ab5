"""Chains: passes over the teacher or a student. Each step is a model, with the bundle that it ships as.

A guard looks at validation queries alone, and at the bundle: what it lets through is what is served.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopstill.compress import Pass, Softens
from shopstill.compress._calibration import Calibration
from shopstill.core.artifact import Artifact, Draft
from shopstill.core.config import plain, schema
from shopstill.core.errors import ConfigError, QualityLoss
from shopstill.evaluate.significance import Estimate
from shopstill.evaluate.steps import Step
from shopstill.models import families
from shopstill.pipeline.bundles import Made, bundled, kept
from shopstill.pipeline.flow import MODEL, Run
from shopstill.recipe import Chain
from shopstill.recipe.parts import guard_of, imitation
from shopstill.tasks import TEACHER
from shopstill.teach import teacher as teachers
from shopstill.train.batches import TrainingSet
from shopstill.train.objective import Objective
from shopstill.types import Term

log = logging.getLogger(__name__)

_RECOVERY = "recover"


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What every chain stands on."""

    flow: Run
    shop: Artifact
    teacher: Artifact
    labels: Artifact

    @property
    def parents(self) -> dict[str, Artifact | str]:
        """The artifacts, as parents of what is made from them."""
        return {"prepare": self.shop, "teach": self.teacher, "label": self.labels}


def origins(ground: Ground, students: Mapping[str, Artifact]) -> dict[str, Made]:
    """The teacher, where it is one model, and the students, each with its bundle."""
    found = sources(ground.teacher, students)
    return {name: bundled(ground.flow, name, made, folder) for name, (made, folder) in found.items()}


def sources(teacher: Artifact, students: Mapping[str, Artifact]) -> dict[str, tuple[Artifact, Path]]:
    """The artifact and the model folder of the teacher, where it is one model, and of the students."""
    folders = {name: (artifact, artifact.path / MODEL) for name, artifact in students.items()}
    own = teachers.folders(teacher.path)
    return {TEACHER: (teacher, own[0]), **folders} if len(own) == 1 else folders


def chains(ground: Ground, start: Mapping[str, Made]) -> list[Made]:
    """Every step of every chain, in the order they are made."""
    recipe = ground.flow.recipe
    ends, made = dict(start), list(start.values())
    waiting = dict(recipe.compress)
    while waiting:
        name = next(n for n, chain in waiting.items() if chain.of in ends)
        steps = _chain(ground, name, waiting.pop(name), ends)
        ends[name] = steps[-1] if steps else ends[recipe.compress[name].of]
        made += steps
    return made


def _chain(ground: Ground, name: str, chain: Chain, ends: Mapping[str, Made]) -> list[Made]:
    steps = [ends[chain.of]]
    for first, portion in _portions(chain.passes):
        steps += _guarded(_Try(ground, name, chain, first), steps[-1], ends[chain.of], portion)
    return steps[1:]


def _guarded(tries: _Try, at: Made, origin: Made, portion: list[Pass]) -> list[Made]:
    """The steps of a portion, as mild as the guard asks for; none where even the mildest keeps too little."""
    chain, flow = tries.chain, tries.ground.flow
    metric = guard_of(chain, flow.recipe.judging.metrics)
    for attempt, passes in enumerate(_milder(portion)):
        try:
            done = tries.apply(at, passes, attempt)
        except ConfigError:
            if not attempt:
                raise
            break  # so mild that the pass finds nothing to do
        quality = kept(flow, origin, done[-1], metric) if chain.keep else None
        if quality is None or quality.value >= (chain.keep or 0):
            return done
        _refused(f"compress.{tries.name}: {_told(passes[0])}", chain, metric, quality)
    log.warning("%s: %s is left out: even at its mildest it keeps too little", tries.name, _told(portion[0]))
    return []


def _portions(passes: Sequence[Pass]) -> Iterator[tuple[int, list[Pass]]]:
    """Passes that are guarded together, with the number of the first: a pass, and the recovery that follows it."""
    start = 0
    for at in range(1, len(passes) + 1):
        if at == len(passes) or passes[at].kind != _RECOVERY:
            yield start + 1, list(passes[start:at])
            start = at


def _milder(portion: list[Pass]) -> Iterator[list[Pass]]:
    """The portion as it is, then with its first pass milder and milder."""
    at: Pass | None = portion[0]
    while at is not None:
        yield [at, *portion[1:]]
        at = at.milder() if isinstance(at, Softens) else None


def _refused(step: str, chain: Chain, metric: str, quality: Estimate) -> None:
    bounds = "" if quality.low is None else f" [{quality.low:.3f}, {quality.high:.3f}]"
    told = f"{step} keeps {quality.value:.3f}{bounds} of {chain.of}'s {metric}"
    if chain.on_loss == "refuse":
        raise QualityLoss(
            f"{told}, where keep asks for {chain.keep}; soften the pass, put recover behind it, lower keep, or set "
            "on_loss: back_off (all told on validation queries)"
        )
    log.warning("%s: too little", told)


@dataclass(frozen=True)
class _Try:
    """Makes some passes of a chain, the first of which is number ``first``."""

    ground: Ground
    name: str
    chain: Chain
    first: int

    def apply(self, at: Made, passes: Sequence[Pass], attempt: int) -> list[Made]:
        """Each pass's model, made from the one before."""
        done = []
        for number, step in enumerate(passes, self.first):
            at = self._step(at, f"{number}-{step.kind}" + (f"~{attempt}" if attempt else ""), step)
            done.append(at)
        return done

    def _step(self, at: Made, own: str, step: Pass) -> Made:
        flow, name = self.ground.flow, f"{self.name}/{own}"
        config = {"pass": plain(step), "objective": [plain(t) for t in self._objective], "seed": flow.recipe.seed}
        config |= {"training": plain(self.chain.training), "task": plain(flow.recipe.task)}
        parents = {**self.ground.parents, "model": at.bundle}

        def make(draft: Draft) -> None:
            work = flow.stages.work(f"compress/{name}", config, parents)
            calibration = self._calibration(work)
            model = step.apply(families.load(at.model), calibration)
            families.save(model, draft.folder / MODEL)
            draft.measurements.update({"parameters": model.parameters, "found": calibration.notes})

        made = flow.stages.make(f"compress/{name}", config, parents, make)
        return bundled(flow, name, made, made.path / MODEL, (at, Step(name=name, parent=at.name, told=_told(step))))

    @property
    def _objective(self) -> tuple[Term, ...]:
        recipe = self.ground.flow.recipe
        if self.chain.objective is not None:
            return self.chain.objective
        origin = self.chain.of
        while origin in recipe.compress:
            origin = recipe.compress[origin].of
        return recipe.students[origin].objective if origin in recipe.students else imitation(recipe.task)

    def _calibration(self, folder: Path) -> Calibration:
        flow, ground, objective = self.ground.flow, self.ground, Objective(self._objective)
        course, where = flow.course, flow.labels(ground.teacher, ground.labels)

        def examples(model: Any, rows: int | None) -> TrainingSet:
            return course.taught(model, objective, where, rows)

        return Calibration(
            examples=examples,
            objective=self._objective,
            judge=lambda model: course.validation(model, flow.recipe.judging),
            texts=course.texts,
            create=lambda wanted, assistant: course.create(wanted, [assistant], flow.recipe.seed),
            training=self.chain.training,
            folder=folder,
            seed=flow.recipe.seed,
        )


def _told(step: Pass) -> str:
    """A pass and what it was told to do, in words: what differs from its defaults.

    >>> from shopstill.compress import PASSES
    >>> _told(PASSES.get("recover")())
    'recover'
    """
    known = schema(type(step))["properties"]
    given = {k: v for k, v in plain(step).items() if k != "kind" and v != known[k].get("default")}
    return " ".join([step.kind, *(f"{k}={_short(v)}" for k, v in given.items())])


def _short(value: Any) -> str:
    """A value in words; of a part's configuration only what it is."""
    return str(value.get("kind", "…")) if isinstance(value, dict) else str(value)
