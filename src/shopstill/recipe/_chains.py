"""Which networks the passes of a recipe's chains are given, as far as it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shopstill.compress.distil import Distil
from shopstill.models.families import AnyModel
from shopstill.recipe import Recipe
from shopstill.recipe.parts import Trained
from shopstill.tasks import TEACHER


def again(recipe: Recipe) -> dict[str, AnyModel]:
    """The models that chains distil once more, by their place in the recipe; all have a teacher with weights."""
    return {
        f"compress.{name}.passes.{at}.model": step.model
        for name, chain in recipe.compress.items()
        for at, step in enumerate(chain.passes)
        if isinstance(step, Distil)
    }


def ancestors(recipe: Recipe, name: str) -> list[str]:
    """The chains that a chain goes on from, nearest first; ends with the first that comes again."""
    found: list[str] = []
    at = recipe.compress[name].of
    while at in recipe.compress and at not in found:
        found.append(at)
        at = recipe.compress[at].of
    return found


def root(recipe: Recipe, name: str) -> str:
    """The teacher, the student, or whatever else it is that a chain begins with, by way of others or not."""
    return recipe.compress[[name, *ancestors(recipe, name)][-1]].of


def origin(recipe: Recipe, name: str) -> AnyModel | None:
    """The configuration of the model that a chain begins with; None where that is no single one."""
    first = root(recipe, name)
    if first in recipe.students:
        return recipe.students[first].model
    return recipe.teacher.model if first == TEACHER and isinstance(recipe.teacher, Trained) else None


def given(recipe: Recipe, name: str) -> Iterator[tuple[int, Any, AnyModel]]:
    """A chain's passes by number, each with the configuration of the network that it is given."""
    at = origin(recipe, name)
    for link in (*reversed(ancestors(recipe, name)), name):
        for number, step in enumerate(recipe.compress[link].passes):
            if at is not None and link == name:
                yield number, step, at
            at = step.model if isinstance(step, Distil) else at
