"""What the stages of teacher and students do: train them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from shopstill.core.artifact import Artifact
from shopstill.pipeline.flow import Part, Run
from shopstill.recipe import Student, Trained
from shopstill.recipe.parts import twin_of
from shopstill.teach import teacher as teachers
from shopstill.train.fit import fit
from shopstill.train.objective import Objective


def train_teacher(flow: Run, wanted: Trained, work: Path, seed: int) -> tuple[Any, dict[str, Any]]:
    """A model trained on the truth, or as it is; with its history."""
    course = flow.course
    model = course.create(wanted.model, (), seed)
    if wanted.training is None:
        return model, {}
    objective = Objective(wanted.objective)
    examples, judge = course.direct(model, objective), course.validation(model, flow.recipe.judging)
    history = fit(model.network, examples, objective, wanted.training, judge=judge, folder=work, seed=seed)
    return model, asdict(history)


def train_student(
    flow: Run, wanted: Student, part: Part, teacher: Artifact, labels: Artifact, work: Path
) -> tuple[Any, dict[str, Any]]:
    """One student; or its twin, which learns from the truth alone, for as many rows."""
    course, recipe = flow.course, flow.recipe
    model = course.create(wanted.model, teachers.folders(teacher.path), recipe.seed, taught=part == "student")
    objective, training = Objective(wanted.objective), wanted.training
    examples = course.taught(model, objective, flow.labels(teacher, labels))
    if part == "twin":
        objective, taught = Objective(twin_of(wanted, recipe.task)), len(examples.group_N)
        examples = course.direct(model, objective)
        training = replace(training, epochs=max(1, round(training.epochs * taught / len(examples.group_N))))
    judge = course.validation(model, recipe.judging)
    history = fit(model.network, examples, objective, training, judge=judge, folder=work, seed=recipe.seed)
    return model, asdict(history)
