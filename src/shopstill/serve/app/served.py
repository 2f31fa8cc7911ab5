"""What the app asks of an engine: everything that the routes call, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from shopstill.data.images import ImageLimits
from shopstill.serve.categories import Categorise, Categorised
from shopstill.serve.forms import (
    Answer,
    Changed,
    Comparison,
    Hit,
    ModelState,
    Product,
    Search,
    Suggestion,
    Why,
)
from shopstill.serve.recommendations import Recommend, Recommended


class Engine(Protocol):
    """A thread-safe engine, every method of which blocks until it is done."""

    def search(self, asked: Search) -> Answer:
        """The answer to a search."""

    def suggest(self, text: str, limit: int = 8) -> list[Suggestion]:
        """Ways to go on typing."""

    def similar(self, product_id: str, limit: int = 12) -> list[Hit]:
        """Products near a product."""

    def recommend(self, asked: Recommend) -> Recommended:
        """Products that come next after a history."""

    def categorise(self, asked: Categorise, limits: ImageLimits) -> Categorised:
        """Classes of products that the caller shows."""

    def product(self, product_id: str) -> Product:
        """A product."""

    def score(self, query: str, texts: Sequence[str], model: str | None = None) -> list[float]:
        """Scores of texts that the caller brings."""

    def score_products(self, query: str, ids: Sequence[str], model: str | None = None) -> list[float]:
        """Scores of products of the catalogue."""

    def embed(self, texts: Sequence[str], side: Literal["query", "product"], model: str | None = None) -> np.ndarray:
        """Vectors [N, D] of texts."""

    def why(self, query: str, product_id: str, model: str | None = None) -> Why:
        """What moved a score."""

    def compare(self, query: str, one: str, other: str, limit: int = 10) -> Comparison:
        """Two models on one query."""

    def put(self, products: Sequence[Product]) -> Changed:
        """Add or replace products."""

    def delete(self, ids: Sequence[str]) -> Changed:
        """Delete products."""

    def change(self, put: Sequence[Product], delete: Sequence[str]) -> Changed:
        """Both in one step."""

    def models(self) -> list[ModelState]:
        """The loaded models."""

    def load(self, name: str, folder: Path) -> ModelState:
        """Load a bundle beside the others."""

    def activate(self, name: str) -> ModelState:
        """Answer with a loaded model from now on."""

    def roll_back(self) -> ModelState:
        """Answer with the model before."""

    def unload(self, name: str) -> None:
        """Let go of a model."""

    def facts(self) -> dict[str, Any]:
        """Numbers about the index and its models."""

    def disagreement(self) -> dict[str, Any]:
        """How far the shadow model differs."""

    def close(self) -> None:
        """Let go of everything."""
