"""Bundles of several kinds of models: tracing takes seconds, so each is written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.conftest import PRODUCTS, QUERIES, make

from shopstill.data.pairs import PairTexts
from shopstill.models.build import TextModel

__all__ = ["PRODUCTS", "QUERIES", "make"]

KINDS = [
    "joint",
    "cross, first token",
    "static towers",
    "static towers, tokens shared",
    "shared transformer towers, interaction",
]
"""Between them: both poolings, both heads, both kinds of towers, shared weights, and tokens, and a sum of networks."""

_WRITTEN: dict[str, tuple[TextModel, Path]] = {}

ROWS = PairTexts(
    queries=QUERIES,
    products=PRODUCTS,
    query_N=np.repeat(np.arange(len(QUERIES)), len(PRODUCTS)),
    product_N=np.tile(np.arange(len(PRODUCTS)), len(QUERIES)),
)


PLACED = {f"p{at}": text for at, text in enumerate(PRODUCTS)}


@pytest.fixture(scope="session")
def written(make: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[TextModel, Path]]:
    """Name of a kind → a model of it, and its bundle."""
    from shopstill.export.bundle import About, write_bundle

    def bundle(kind: str) -> tuple[TextModel, Path]:
        if kind not in _WRITTEN:
            model = make(kind)
            about = About(name=kind, licences=({"what": "weights", "licence": "none", "source": "random"},))
            folder = tmp_path_factory.mktemp("bundles") / "bundle"
            _WRITTEN[kind] = (model, write_bundle(model, folder, about=about, rows=ROWS, products=PLACED))
        return _WRITTEN[kind]

    return bundle
