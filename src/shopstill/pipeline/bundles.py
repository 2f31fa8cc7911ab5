"""Models as the bundles they ship as: written, scored as they are served, and judged side by side."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from shopstill.core.artifact import Artifact, Draft
from shopstill.core.config import plain
from shopstill.evaluate.compare import compare
from shopstill.evaluate.costs import load as load_costs
from shopstill.evaluate.latency import Latency
from shopstill.evaluate.results import Evaluation
from shopstill.evaluate.results import load as load_evaluation
from shopstill.evaluate.significance import Estimate
from shopstill.evaluate.steps import Step
from shopstill.export.bundle import About
from shopstill.models import families
from shopstill.models.families import Model
from shopstill.models.pretrained import licence
from shopstill.pipeline.flow import Run
from shopstill.recipe.parts import members
from shopstill.serve.bundle.load import load_bundle
from shopstill.tasks import TEACHER
from shopstill.tasks._course import Form, Part

PARTS: tuple[Part, ...] = ("valid", "test")
BUNDLE, _SCORES = "bundle", "scores.safetensors"
_GUARD = {"slice_resamples": 100, "permutations": 100, "disagreements": 0}


@dataclass(frozen=True, kw_only=True)
class Made:
    """A model with the bundle it ships as; ``step`` where a pass made it of another.

    Attributes:
        name: ``teacher``, a student's name, or ``CHAIN/NUMBER-PASS``.
        model: its model folder.
        bundle: the artifact that holds its bundle.
        scores: the artifact that holds what the bundle scores.
    """

    name: str
    model: Path
    bundle: Artifact
    scores: Artifact
    step: Step | None = None


def bundled(flow: Run, name: str, source: Artifact, model: Path, step: tuple[Made, Step] | None = None) -> Made:
    """A model's bundle, and what the bundle scores as it is served."""

    def score(draft: Draft) -> None:
        folder = bundle.path / BUNDLE
        scores: dict[str, np.ndarray] = {part: flow.course.served(part, folder) for part in PARTS}
        save_file(scores, draft.folder / _SCORES)

    bundle = bundle_of(flow, name, source, model, step)
    scores = flow.stages.make(f"scores/{name}", {"task": plain(flow.recipe.task)}, {"bundle": bundle}, score)
    return Made(name=name, model=model, bundle=bundle, scores=scores, step=step[1] if step else None)


def bundle_of(flow: Run, name: str, source: Artifact, model: Path, step: tuple[Made, Step] | None = None) -> Artifact:
    """The artifact that holds a model's bundle, which scores validation pairs as the model does."""
    lineage = _lineage(name, step, source)
    config = {"name": name, "lineage": lineage}

    def write(draft: Draft) -> None:
        loaded = families.load(model)
        flow.course.ship(loaded, draft.folder / BUNDLE, about(flow, name, source, loaded, step))
        draft.measurements["lineage"] = lineage

    return flow.stages.make(f"bundle/{name}", config, {"model": source}, write)


def about(flow: Run, name: str, source: Artifact, model: Model, step: tuple[Made, Step] | None = None) -> About:
    """What is told of a model before it is judged."""
    lineage = tuple(_lineage(name, step, source))
    return About(name=name, lineage=lineage, licences=_licences(flow, model), **_prints(source))


def scores_of(made: Made) -> dict[Part, np.ndarray]:
    """What a bundle said of the validation and the test part."""
    found = load_file(made.scores.path / _SCORES)
    return {part: found[part] for part in PARTS}


def kept(flow: Run, origin: Made, made: Made, metric: str) -> Estimate:
    """The part of the origin's quality over random order (or the commonest class) that a model keeps, on validation
    queries.

    Where the origin itself is not shown to be better than that, there is nothing to lose: it is 1.
    """
    quick = replace(flow.recipe.judging, metrics=(metric,), **_GUARD)
    said = {"origin": scores_of(origin)["valid"], "step": scores_of(made)["valid"]}
    # What is judged is the validation part; nothing else is looked at.
    judged = {name: flow.course.judged({"valid": outputs, "test": outputs}) for name, outputs in said.items()}
    truth = replace(flow.course.truth("valid"), slices={}, row_slices={})
    scores, predictions = ({name: part[at] for name, part in judged.items()} for at in (0, 1))
    found = compare(truth, scores, {"origin": "teacher", "step": "student"}, quick, predictions)
    part = found.kept_by("step", metric)
    return part.headroom if part and part.headroom else Estimate(value=1.0, low=None, high=None)


def stated(made: Made) -> About:
    """What a model's bundle tells of it."""
    found = load_bundle(made.bundle.path / BUNDLE).manifest
    return About(
        name=made.name,
        lineage=tuple(found.lineage),
        licences=tuple(found.licences),
        fingerprints=found.fingerprints,
    )


def ship(
    flow: Run, model: Model, told: About, judged: Artifact, folder: Path, form: Form, *, name: str | None = None
) -> Path:
    """A model in the form that is asked for; a bundle's manifest and card say how the model was judged.

    It goes by the ``name`` that it was asked for by: a chain's last step by the chain's.
    """
    shown = name or told.name
    if form != "onnx":
        return flow.course.ship(model, folder, About(name=shown), form)
    latency = load_costs(judged.path).latency
    metrics = _metrics(load_evaluation(judged.path), told.name, latency)
    machine = latency.machine if latency else {}
    return flow.course.ship(model, folder, replace(told, name=shown, metrics=metrics, machine=machine))


def _metrics(evaluation: Evaluation, name: str, latency: Latency | None) -> dict[str, Any]:
    """How a model was judged: each metric with its interval and what it keeps of the teacher, and times."""
    found: dict[str, Any] = {}
    for metric in evaluation.metrics:
        score, part = evaluation.score(name, metric), evaluation.kept_by(name, metric)
        if score is not None:
            kept = part.headroom if part else None
            found[metric] = {**asdict(score.estimate), "of the teacher's": asdict(kept) if kept else None}
    times = [cell for cell in (latency.cells if latency else ()) if cell.contender == name]
    return found | {f"p50 ms, {c.candidates} candidates, {c.threads} threads": c.p50 for c in times}


def _licences(flow: Run, model: Model) -> tuple[dict[str, str], ...]:
    """Of the weights a model began with; those of the teacher's, where it began with the teacher."""
    began = families.starts(model.network.config)
    if TEACHER in began:
        began += [s for member in members(flow.recipe.teacher).values() for s in families.starts(member.model)]
    names = dict.fromkeys(start for start in began if start not in (None, TEACHER))
    return tuple(licence(name) for name in names)


def _lineage(name: str, step: tuple[Made, Step] | None, source: Artifact) -> list[dict[str, Any]]:
    if step is None:
        return [{"model": name, "made": source.kind, "fingerprint": source.fingerprint}]
    parent, told = step
    before = list(parent.bundle.measurements.get("lineage", ()))
    return [*before, {**asdict(told), "model": name, "fingerprint": source.fingerprint}]


def _prints(source: Artifact) -> dict[str, Any]:
    return {"fingerprints": {source.kind: source.fingerprint, **source.parents}}
