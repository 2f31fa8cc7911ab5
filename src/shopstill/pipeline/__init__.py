"""The whole flow: shop → teacher → labels → students and twins → evaluation → report.

Each stage is a function of the run so far (``stages.py``). Its artifact carries the fingerprint of everything it was
made from; a stage whose inputs did not change is not run again, and one that was killed goes on where it was.
"""

from __future__ import annotations

from shopstill.core.artifact import Artifact
from shopstill.core.errors import ConfigError, nearest
from shopstill.pipeline.flow import Run
from shopstill.pipeline.folds import folds_of, together
from shopstill.pipeline.stages import distil, evaluate, findings, label, prepare, report, teach
from shopstill.recipe import Recipe, check

__all__ = ["STAGES", "cross_validate", "findings", "run"]

STAGES = ("prepare", "teach", "label", "distil", "evaluate", "report")


def run(recipe: Recipe, until: str = "report") -> list[Artifact]:
    """All stages of a recipe, in order, up to one of them.

    Returns:
        the artifacts, in the order they were made.

    Raises:
        ConfigError: the stage is unknown, or ``check`` finds a fault in the recipe.
    """
    if until not in STAGES:
        raise ConfigError(f"unknown stage {until!r}: {nearest(until, STAGES)}")
    check(recipe)
    flow = Run(recipe)
    wanted = STAGES[: STAGES.index(until) + 1]
    shop = prepare(flow)
    made = [shop]
    if "teach" in wanted:
        teacher = teach(flow, shop)
        made.append(teacher)
    if "label" in wanted:
        labels = label(flow, shop, teacher)
        made.append(labels)
    if "distil" in wanted:
        students = {name: distil(flow, name, shop, teacher, labels) for name in recipe.students}
        made += [a for pair in students.values() for a in pair]
    if "evaluate" in wanted:
        made.append(evaluate(flow, shop, teacher, students))
    if "report" in wanted:
        made.append(report(flow, made))
    return made


def cross_validate(recipe: Recipe, folds: int) -> list[Artifact]:
    """Run a recipe on each of several folds, and judge every query by the models that did not learn from it.

    Folds share the label store; times and sizes are the first fold's.

    Args:
        recipe: the run; of its split, ``valid`` and ``seed`` count.
        folds: how many parts the queries are dealt into; each is the test part once.

    Returns:
        The first fold's artifacts, with the evaluation and report of all folds in place of its own.

    Raises:
        ConfigError: there are fewer than two folds, or ``check`` finds a fault in the recipe.
    """
    parts = folds_of(recipe, folds)
    return together(recipe, parts, [run(part, "evaluate") for part in parts])
