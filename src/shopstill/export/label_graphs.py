"""Networks of classes as ONNX graphs: uint8 pixels and ids go in, logits come out.

Shapes: ``B`` products, ``H`` × ``W`` pixels, ``T`` ids of the longest text.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shopstill.export.graphs import Graph
from shopstill.models.label import BothNetwork, ImageNetwork, LabelNetwork, TextNetwork

_ROWS, _IDS = 3, 7
"""Sizes of the rows a graph is traced with; both are dynamic."""


def graphs(network: LabelNetwork, size: tuple[int, int] | None) -> dict[str, Graph]:
    """``classes``: pixels [B, H, W, 3] as files have them, ids [B, T] with where one stands, or all; to logits.

    What scales pixels and pictures is in the graph, and the height and width are fixed.

    Args:
        network: in evaluation mode.
        size: H and W, where it looks at pictures.
    """
    inputs: dict[str, Tensor] = {}
    axes: dict[str, dict[int, str]] = {}
    if size is not None and not isinstance(network, TextNetwork):
        inputs["image_BHWC"] = torch.zeros(_ROWS, *size, 3, dtype=torch.uint8)
        axes["image_BHWC"] = {0: "products"}
    if not isinstance(network, ImageNetwork):
        inputs["ids_BT"] = torch.ones(_ROWS, _IDS, dtype=torch.int64)
        inputs["mask_BT"] = torch.ones(_ROWS, _IDS, dtype=torch.bool)
        axes |= {name: {0: "products", 1: "ids"} for name in ("ids_BT", "mask_BT")}
    return {"classes": Graph(module=_module(network), inputs=inputs, axes=axes, outputs=("logits",))}


class _Seeing(nn.Module):
    def __init__(self, network: ImageNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image_BHWC: Tensor) -> Tensor:
        return self.network.padded(image_BHWC)


class _Reading(nn.Module):
    def __init__(self, network: TextNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        return self.network.padded(ids_BT, mask_BT)


class _Both(nn.Module):
    def __init__(self, network: BothNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image_BHWC: Tensor, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        return self.network.padded(image_BHWC, ids_BT, mask_BT)


def _module(network: LabelNetwork) -> nn.Module:
    match network:
        case ImageNetwork():
            return _Seeing(network)
        case TextNetwork():
            return _Reading(network)
        case _:
            return _Both(network)
