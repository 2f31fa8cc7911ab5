"""One recipe at work: its folder, its stages, and what several stages share."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import pyarrow.parquet as pq

from shopstill.core.artifact import Artifact
from shopstill.core.stages import Stages
from shopstill.data.shop import Shop
from shopstill.recipe import Recipe
from shopstill.tasks import Course, Labels

Part = Literal["student", "twin"]
MODEL, STORE = "model", "labels"


class Run:
    """One recipe at work in its folder; what several stages share is opened once, when first needed.

    Args:
        recipe: the run.
        make: False where its stages are only to be found.
    """

    def __init__(self, recipe: Recipe, *, make: bool = True) -> None:
        self.recipe = recipe
        self.folder = recipe.runs / recipe.name
        self.stages = Stages(self.folder, make=make)

    @cached_property
    def course(self) -> Course[Any]:
        """The task over the prepared shop."""
        folder, recipe = self.folder / "prepare", self.recipe
        split = pq.read_table(folder / "split.parquet")
        return recipe.task.open(Shop(folder / "shop"), split, recipe.split, recipe.seed)

    def labels(self, teacher: Artifact, asked: Artifact) -> Labels:
        """Where a teacher and what it said are found."""
        return Labels(teacher=teacher.path, store=self.recipe.runs / STORE, folder=asked.path)
