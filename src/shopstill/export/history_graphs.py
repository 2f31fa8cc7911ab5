"""Networks of histories as ONNX graphs: histories to queries, items to vectors, and the scan over all items in int8.

Shapes: ``B`` histories, ``T`` places of the longest, ``N`` items of some, ``V`` of all, ``L`` attributes of one item at
most, ``D`` width, ``R`` numbers that a query and an item are compared by.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shopstill.core.errors import require
from shopstill.export.graphs import OPSET, Graph
from shopstill.models.compact.low_rank_table import LowRankTable
from shopstill.models.sequence import SequenceNetwork
from shopstill.models.sequence.items import Items

SCAN_ZERO, SCAN_MOST = 64, 63
"""A query's codes are within ±63, and stored with 64 added as uint8: a chip without VNNI adds two products of uint8 and
int8 in 16 bits, which hold 2 · 127 · 127."""

_CODE = 127
_CELLS = 1 << 22
_ROWS, _PLACES = 3, 5
"""Sizes of the rows a graph is traced with; both are dynamic."""


def graphs(network: SequenceNetwork) -> dict[str, Graph]:
    """``history``: items of histories, from the oldest, and how many there are, to queries [B, R]; and ``items``:
    numbers of items, from 1, to the vectors [N, R] that queries are compared with.

    Both hold the table as the network does. Where it is of low rank, and nothing is added to its rows, R is the rank.
    """
    held = _fixed(network)
    item_BT = torch.ones(_ROWS, _PLACES, dtype=torch.int64)
    asked = {"item_BT": item_BT, "length_B": torch.tensor([_PLACES, 2, 3])}
    return {
        "history": Graph(
            module=_History(held),
            inputs=asked,
            axes={"item_BT": {0: "histories", 1: "places"}, "length_B": {0: "histories"}},
            outputs=("query",),
        ),
        "items": Graph(
            module=_Vectors(held),
            inputs={"item_N": torch.ones(_ROWS, dtype=torch.int64)},
            axes={"item_N": {0: "items"}},
            outputs=("vector",),
        ),
    }


def codes(network: SequenceNetwork) -> tuple[np.ndarray, np.ndarray]:
    """Codes int8 [R, V] of all items' vectors, and the scale [V] of each.

    What all items have in common is taken off first: it is the same for all in every comparison, and would cost codes.
    Vectors are made piece by piece.
    """
    vectors = _Vectors(_fixed(network))
    items = network.sizes.items
    width = vectors(torch.ones(1, dtype=torch.int64)).shape[1]
    step = max(1, _CELLS // width)
    mean_R = sum(piece.double().sum(0) for piece in _pieces(vectors, items, step)) / items
    code_RV, scale_V = np.empty((width, items), np.int8), np.empty(items, np.float32)
    for at, piece in enumerate(_pieces(vectors, items, step)):
        span = slice(at * step, at * step + len(piece))
        apart_NR = (piece - mean_R).float().numpy()
        scale_V[span] = np.maximum(np.abs(apart_NR).max(1) / _CODE, np.float32(1e-12))
        code_RV[:, span] = np.rint(apart_NR / scale_V[span, None]).T
    return code_RV, scale_V


def scan(code_RV: np.ndarray, scale_V: np.ndarray) -> Any:
    """The graph that compares queries' codes uint8 [B, R] with all items, as ``onnx_ir`` has it: scores [B, V], each to
    within what hangs on the query alone."""
    ir = require("onnx_ir", "train")

    def constant(name: str, array: np.ndarray) -> Any:
        return ir.Value(name=name, const_value=ir.tensor(array, name=name))

    asked = ir.Value(name="code", shape=ir.Shape(["queries", len(code_RV)]), type=ir.TensorType(ir.DataType.UINT8))
    score = ir.Value(name="score", shape=ir.Shape(["queries", len(scale_V)]), type=ir.TensorType(ir.DataType.FLOAT))
    held = [constant("network.code_RV", code_RV), constant("network.scale_V", scale_V)]
    zero = constant("zero", np.array(SCAN_ZERO, np.uint8))
    product = ir.node("MatMulInteger", [asked, held[0], zero])
    number = ir.node("Cast", [product.outputs[0]], {"to": int(ir.DataType.FLOAT)})
    scaled = ir.node("Mul", [number.outputs[0], held[1]], outputs=[score])
    graph = ir.Graph(
        [asked],
        [score],
        nodes=[product, number, scaled],
        initializers=[*held, zero],
        opset_imports={"": OPSET},
        name="scan",
    )
    return ir.Model(graph, ir_version=10)


class _Items(nn.Module):
    """Items as a graph reads them: an item has a fixed number of places for attributes, some of which are empty."""

    code_L: Tensor
    start_V: Tensor

    def __init__(self, items: Items) -> None:
        super().__init__()
        self.table, self.attributes = items.table, items.attributes
        if self.attributes is not None:
            self.register_buffer("code_L", items.code_L)
            self.register_buffer("start_V", items.start_V.int())
            self.most = int(items.start_V.diff().max())

    def forward(self, item: Tensor) -> Tensor:
        row = (item - 1).clamp(min=0)
        found = self.table(row)
        return found if self.attributes is None else found + self._described(row)

    def _described(self, row: Tensor) -> Tensor:
        assert self.attributes is not None
        first, count = self.start_V[row], self.start_V[row + 1] - self.start_V[row]
        place_L = torch.arange(self.most)
        place = (first.unsqueeze(-1).long() + place_L).clamp(max=len(self.code_L) - 1)
        weight = (place_L < count.unsqueeze(-1)).float() / count.unsqueeze(-1).clamp(min=1)
        return (weight.unsqueeze(-2) @ self.attributes(self.code_L[place].long())).squeeze(-2)


class _History(nn.Module):
    def __init__(self, network: SequenceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, item_BT: Tensor, length_B: Tensor) -> Tensor:
        state_BD = self.network.last(item_BT, length_B)
        table = _narrow(self.network)
        return state_BD if table is None else state_BD @ table.widen.weight


class _Vectors(nn.Module):
    def __init__(self, network: SequenceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, item_N: Tensor) -> Tensor:
        table = _narrow(self.network)
        found: Tensor = self.network.items(item_N) if table is None else table.narrow(item_N - 1)
        return found


def _narrow(network: SequenceNetwork) -> LowRankTable | None:
    """The table, where comparing by its rank is the same as comparing by its width."""
    items = network.items
    return items.table if isinstance(items.table, LowRankTable) and items.attributes is None else None


def _fixed(network: SequenceNetwork) -> SequenceNetwork:
    """The same network, its weights too, with items whose graph no attribute changes the shapes of."""
    held = copy.copy(network)
    held._modules = {**network._modules, "items": _Items(network.items)}
    return held.eval()


def _pieces(vectors: Callable[[Tensor], Tensor], items: int, step: int) -> Any:
    with torch.inference_mode():
        for at in range(1, items + 1, step):
            yield vectors(torch.arange(at, min(at + step, items + 1)))
