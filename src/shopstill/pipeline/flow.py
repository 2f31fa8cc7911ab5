"""One recipe at work: its folder, its stages, and what several stages share."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import pyarrow.parquet as pq

from shopstill.core.stages import Stages
from shopstill.data.shop import Shop
from shopstill.recipe import Recipe
from shopstill.tasks.relevance import Catalogue

Part = Literal["student", "twin"]
MODEL, PAIRS, QUERIES, STORE = "model", "pairs.parquet", "queries.parquet", "labels"


class Run:
    """One recipe at work in its folder; what several stages share is opened once, when first needed."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = recipe.runs / recipe.name
        self.stages = Stages(self.folder)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The prepared shop's texts and judged pairs."""
        folder = self.folder / "prepare"
        return Catalogue(Shop(folder / "shop"), pq.read_table(folder / "split.parquet"), self.recipe.task)
