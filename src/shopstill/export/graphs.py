"""Networks as ONNX graphs: what they compute from ids alone, with pooling and heads inside.

Shapes: ``B`` pairs, ``Q`` queries, ``P`` products, ``N`` candidates of one query, ``T`` tokens of a padded text, ``U``
tokens of the one query, ``D`` width of the vectors, ``F`` lexical features, ``K`` outputs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from shopstill.core.errors import require
from shopstill.models._sides import Side
from shopstill.models.build import Network
from shopstill.models.cross import CrossEncoder
from shopstill.models.joint import JointModel
from shopstill.models.lean import arrays, fits
from shopstill.models.towers import TokenTower, TwoTowers

OPSET = 20
"""The first in which GELU is one operator: twice as fast as the five that stand for it before, and read since 2023."""

_FOLDED = 512
"""Numbers of a constant that is worked out ahead, at most: weights stay as small as they are stored."""

_ROWS, _TOKENS = 3, 7
"""Sizes of the rows a graph is traced with; both are dynamic."""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A part of a network to export: what is traced, with which inputs, and what they are called.

    Attributes:
        module: returns the outputs, in order; its ``network`` is the part of the whole.
        inputs: name → an example.
        axes: name of an input → number of an axis → the name of that dynamic size.
        outputs: names.
        prefix: where ``network`` stands in the whole network, such as ``cross.``; names the weights.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    axes: dict[str, dict[int, str]] = field(default_factory=dict)
    prefix: str = ""


def graphs(network: Network) -> dict[str, Graph]:
    """Every graph of a network, by name: ``pair``; ``query``, ``product``, ``head`` and ``lean``; or all of them.

    Towers that share their weights have no ``product``: ``query`` reads both sides. ``lean`` takes nothing, and gives
    what scoring in numpy needs, unpacked from however it is stored.
    """
    if isinstance(network, JointModel):
        return {"pair": _pair(network.cross, "cross."), **_towers(network.towers, "towers.")}
    return {"pair": _pair(network, "")} if isinstance(network, CrossEncoder) else _towers(network, "")


def trace(graph: Graph) -> Any:
    """The graph in ONNX's own form (an ``onnx_ir`` model), its weights under their names in the whole network.

    Raises:
        MissingDependency: onnx or onnxscript is not installed.
    """
    optimizer = require("onnxscript.optimizer", "train")
    with torch.inference_mode(), _quiet():
        program = torch.onnx.export(
            graph.module.eval(),
            kwargs=graph.inputs,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes={name: graph.axes[name] for name in graph.inputs},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
            optimize=False,
        )
        assert program is not None
        return optimizer.optimize(program.model, input_size_limit=_FOLDED, output_size_limit=_FOLDED)


class _Pair(nn.Module):
    def __init__(self, network: CrossEncoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        second_B = (token_type_ids.cumsum(1) == 0).sum(1)
        pooled = self.network.pool(input_ids, attention_mask.bool(), second_B)
        return self.network.head(pooled).squeeze(-1)


class _Texts(nn.Module):
    def __init__(self, network: TokenTower) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return tuple(self.network.padded(input_ids, attention_mask.bool()))  # type: ignore[return-value]


class _Interaction(nn.Module):
    def __init__(self, network: TwoTowers) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        query_tokens: Tensor,
        query_weight: Tensor,
        query_pooled: Tensor,
        product_tokens: Tensor,
        product_weight: Tensor,
        product_pooled: Tensor,
        lexical: Tensor,
    ) -> Tensor:
        query = Side(query_tokens, query_weight, query_pooled)
        product = Side(product_tokens, product_weight, product_pooled)
        mean_F = self.network.head.norm.running_mean
        assert mean_F is not None
        known = torch.where(lexical.isnan(), mean_F[-self.network.lexical :], lexical)
        return self.network.score(query, product, known).logits


class _Dot(nn.Module):
    def __init__(self, network: TwoTowers) -> None:
        super().__init__()
        self.network = network

    def forward(self, query_pooled: Tensor, product_pooled: Tensor) -> Tensor:
        return (query_pooled * product_pooled).sum(-1) * self.network.scale + self.network.bias


class _Lean(nn.Module):
    def __init__(self, network: TwoTowers, head: bool) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self) -> tuple[Tensor, ...]:
        return tuple(arrays(self.network, self.head).values())


def _pair(network: CrossEncoder, prefix: str) -> Graph:
    ids = torch.ones(_ROWS, _TOKENS, dtype=torch.int64)
    types = ids.clone()
    types[:, : _TOKENS // 2] = 0
    inputs = {"input_ids": ids, "attention_mask": ids.clone(), "token_type_ids": types}
    axes = {name: {0: "pairs", 1: "tokens"} for name in inputs}
    return Graph(module=_Pair(network), inputs=inputs, axes=axes, outputs=("score",), prefix=prefix)


def _towers(network: TwoTowers, prefix: str) -> dict[str, Graph]:
    found = {"query": _texts(network.query, f"{prefix}query.")}
    if network.config.shared is not True:
        found["product"] = _texts(network.product, f"{prefix}product.")
    found["head"] = _interaction(network, prefix) if network.config.head == "interaction" else _dot(network, prefix)
    head = fits(network)
    if names := tuple(arrays(network, head)):
        found["lean"] = Graph(module=_Lean(network, head), inputs={}, outputs=names, prefix=prefix)
    return found


def _texts(tower: TokenTower, prefix: str) -> Graph:
    ids = torch.ones(_ROWS, _TOKENS, dtype=torch.int64)
    inputs = {"input_ids": ids, "attention_mask": ids.clone()}
    axes = {name: {0: "texts", 1: "tokens"} for name in inputs}
    return Graph(module=_Texts(tower), inputs=inputs, axes=axes, outputs=("tokens", "weight", "pooled"), prefix=prefix)


def _interaction(network: TwoTowers, prefix: str) -> Graph:
    width = network.config.width
    inputs = {
        "query_tokens": torch.ones(1, _TOKENS - 2, width),
        "query_weight": torch.ones(1, _TOKENS - 2),
        "query_pooled": torch.ones(1, width),
        "product_tokens": torch.ones(_ROWS, _TOKENS, width),
        "product_weight": torch.ones(_ROWS, _TOKENS),
        "product_pooled": torch.ones(_ROWS, width),
        "lexical": torch.ones(_ROWS, network.lexical),
    }
    many, words, asked = {0: "candidates"}, {0: "candidates", 1: "tokens"}, {1: "query_tokens"}
    axes = dict(zip(inputs, (asked, asked, {}, words, words, many, many), strict=True))
    return Graph(module=_Interaction(network), inputs=inputs, axes=axes, outputs=("score",), prefix=prefix)


def _dot(network: TwoTowers, prefix: str) -> Graph:
    width = network.config.width
    inputs = {"query_pooled": torch.ones(1, width), "product_pooled": torch.ones(_ROWS, width)}
    axes: dict[str, dict[int, str]] = {"query_pooled": {}, "product_pooled": {0: "candidates"}}
    return Graph(module=_Dot(network), inputs=inputs, axes=axes, outputs=("score",), prefix=prefix)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells its own developers much that no user can act on."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
