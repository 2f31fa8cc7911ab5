"""Models of every kind, small, and pairs of texts for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from shopstill.data.lexical import LexicalIndex
from shopstill.data.pairs import PairTexts
from shopstill.models import build
from shopstill.models.build import TextModel

PRODUCTS = [
    "red steel mug 12 oz",
    "blue chair",
    "mug",
    "a very long title of a garden hose 50 ft with a brass nozzle and much more than will fit in the limit",
    "保温杯 500ml",
    "led bulb",
]
QUERIES = ["red mug", "garden hose 50 ft brass", "杯", ""]


def kinds(start: Path) -> dict[str, dict[str, Any]]:
    """A configuration of every kind of model."""
    cross = {"kind": "cross", "start": str(start), "max_tokens": 20}
    static = {"kind": "static", "start": str(start), "max_tokens": 12}
    reader = {"kind": "transformer", "start": str(start), "layers": [0, 2], "max_tokens": 12}
    towers = {"kind": "towers", "width": 8, "hidden": 8, "query": static, "product": static}
    interaction = {**towers, "head": "interaction"}
    return {
        "cross, both sides": cross,
        "cross, first token": {**cross, "pooling": "first", "layers": [0, 1]},
        "static towers": towers,
        "shared static towers": {**towers, "shared": True},
        "static towers, tokens shared": {**towers, "shared": "tokens"},
        "static towers, interaction": interaction,
        "transformer towers": {**towers, "query": reader, "product": reader},
        "shared transformer towers, interaction": {**interaction, "query": reader, "product": reader, "shared": True},
        "transformer towers, tokens shared": {**towers, "query": reader, "product": reader, "shared": "tokens"},
        "static query, transformer product": {**interaction, "product": reader, "width": 16},
        "joint": {"kind": "joint", "cross": cross, "towers": interaction},
    }


KINDS = list(kinds(Path()))


@pytest.fixture(scope="session")
def make(tiny_start: Path) -> Any:
    """Name of a kind → a model of it whose every weight has some part in its scores."""

    def model(kind: str, seed: int = 0) -> TextModel:
        import torch

        made = build.create(TypeAdapter(build.Text).validate_python(kinds(tiny_start)[kind]), None, seed)
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, value in made.network.named_parameters():
                if "importance" in name or "head" in name:
                    value.add_(0.3 * torch.randn(value.shape, generator=draw))
        wants = getattr(made.network, "lexical", 0)
        index = LexicalIndex.build(PRODUCTS) if wants else None
        made.network.eval()
        return TextModel(network=made.network, tokenizer=made.tokenizer, lexical=index)

    return model


def pairs(model: TextModel) -> PairTexts:
    """Every query with every product."""
    query_N = np.repeat(np.arange(len(QUERIES)), len(PRODUCTS))
    product_N = np.tile(np.arange(len(PRODUCTS)), len(QUERIES))
    lexical = None if model.lexical is None else model.lexical.others(PRODUCTS).pairs(QUERIES, query_N, product_N)
    return PairTexts(queries=QUERIES, products=PRODUCTS, query_N=query_N, product_N=product_N, lexical_NF=lexical)
