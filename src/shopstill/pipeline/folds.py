"""Cross-validation: the run once per fold, and the test queries of all folds judged as one set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shopstill.core.artifact import Artifact, Draft
from shopstill.core.config import plain
from shopstill.core.errors import ConfigError
from shopstill.evaluate.costs import load as load_costs
from shopstill.evaluate.results import RANDOM
from shopstill.evaluate.results import load as load_evaluation
from shopstill.evaluate.scored import Scored, pooled
from shopstill.evaluate.scored import load as load_scored
from shopstill.pipeline.flow import Run
from shopstill.pipeline.stages import report
from shopstill.recipe import Recipe


def folds_of(recipe: Recipe, folds: int) -> list[Recipe]:
    """The recipe of each fold; only the first one's models are timed.

    Raises:
        ConfigError: there are fewer than two folds.
    """
    if folds < 2:
        raise ConfigError(f"folds: {folds} is too few; give 2 or more, such as 5")
    return [
        replace(
            recipe,
            name=f"{recipe.name}-fold-{fold + 1}-of-{folds}",
            split=replace(recipe.split, folds=folds, fold=fold),
            timing=recipe.timing if fold == 0 else None,
        )
        for fold in range(folds)
    ]


def together(recipe: Recipe, folds: Sequence[Recipe], made: Sequence[list[Artifact]]) -> list[Artifact]:
    """The test queries of all folds judged as one set, and the report of it, beside the first fold's artifacts."""
    flow = Run(replace(recipe, name=f"{recipe.name}-{len(folds)}-folds"))
    evaluations = [artifacts[-1] for artifacts in made]

    def make(draft: Draft) -> None:
        scores = [_scored(fold, evaluation) for fold, evaluation in zip(folds, evaluations, strict=True)]
        pooled(scores).judge(recipe.judging).save(draft.folder)
        if recipe.timing is not None:
            load_costs(evaluations[0].path).save(draft.folder)

    parents = {f"fold {number}": evaluation for number, evaluation in enumerate(evaluations, 1)}
    evaluated = flow.stages.make("evaluate", {"judging": plain(recipe.judging)}, parents, make)
    first = [*made[0][:-1], evaluated]
    return [*first, report(flow, first)]


def _scored(part: Recipe, evaluation: Artifact) -> Scored:
    roles = {
        name: f"{role.kind} of {role.of}" if role.of else role.kind
        for name, role in load_evaluation(evaluation.path).roles.items()
        if name != RANDOM
    }
    return load_scored(evaluation.path, Run(part).course.truth("test"), roles)
