"""What the structural passes share: a model's encoders, and linear layers with fewer rows or columns.

Shapes: ``D`` width of the encoder's states.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from shopstill.core.errors import ConfigError
from shopstill.models.encoder import Encoder, Layer, LayerSize


def encoders(network: nn.Module, kind: str) -> dict[str, Encoder]:
    """The encoders of a network, by name.

    Raises:
        ConfigError: there is none, or one's layers are no longer dense.
    """
    found = {name: module for name, module in network.named_modules() if isinstance(module, Encoder)}
    if not found:
        raise ConfigError(f"{kind}: this model has no encoder of the BERT family; leave the pass out, or use another")
    for name, encoder in found.items():
        for layer in encoder.layers:
            parts = (layer.query, layer.key_value, layer.out, layer.up, layer.down)
            if not all(isinstance(part, nn.Linear) for part in parts):
                raise ConfigError(
                    f"{kind}: {name} has compact layers already; put {kind} before the pass that made them"
                )
    return found


def layers(found: dict[str, Encoder]) -> dict[str, Layer]:
    """Every layer by name, one that stands in several places once."""
    every = ((f"{name}.layers.{at}", layer) for name, e in found.items() for at, layer in enumerate(e.layers))
    first: dict[int, tuple[str, Layer]] = {}
    for name, layer in every:
        first.setdefault(id(layer), (name, cast("Layer", layer)))
    return dict(first.values())


def restate(found: Iterable[Encoder]) -> None:
    """Let the encoders' stated sizes follow their layers."""
    for encoder in found:
        each = tuple(_size(cast("Layer", layer)) for layer in encoder.layers)
        encoder.size = replace(encoder.size, layers=len(each), each=each)


def slim(linear: nn.Linear, rows: Tensor | None = None, columns: Tensor | None = None) -> nn.Linear:
    """A linear layer with some of its outputs (rows) and inputs (columns) alone.

    >>> slim(nn.Linear(4, 6), rows=torch.tensor([0, 5]), columns=torch.tensor([1])).weight.shape
    torch.Size([2, 1])
    """
    weight = linear.weight.detach()
    bias = None if linear.bias is None else linear.bias.detach()
    if rows is not None:
        weight, bias = weight[rows], None if bias is None else bias[rows]
    if columns is not None:
        weight = weight[:, columns]
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        made.weight.copy_(weight)
        if bias is not None:
            made.bias.copy_(bias)
    return made.train(linear.training).requires_grad_(linear.weight.requires_grad)


def _size(layer: Layer) -> LayerSize:
    width = layer.query.out_features // layer.heads
    return LayerSize(heads=layer.heads, head_width=width, feed_forward=layer.up.out_features)
