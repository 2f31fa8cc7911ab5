"""Compact parts: modules that stand in for dense ones and store, or compute, less; a file a part.

A network that holds some is rebuilt from plain values: ``stand_ins`` says which module each stands in for, and with
which sizes; ``put_back`` puts empty ones of these sizes into a dense network, and its weights are then loaded as usual.
Modules that stand in several places at once are stated by ``ties``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from shopstill.core.registry import Registry
from shopstill.models.compact._part import Part

PARTS = Registry("shopstill.models.compact", "compact part")


def stand_ins(network: nn.Module) -> dict[str, dict[str, Any]]:
    """Every compact part of a network: its place, its kind and its sizes; one that several places share, once."""
    return {
        name: {"kind": type(part).kind, **part.sizes}
        for name, part in network.named_modules()
        if isinstance(part, Part)
    }


def put_back(network: nn.Module, stated: Mapping[str, Mapping[str, Any]]) -> None:
    """Put empty parts, as ``stand_ins`` states them, into a dense network."""
    for name, sizes in stated.items():
        rest = {key: value for key, value in sizes.items() if key != "kind"}
        replace_module(network, name, PARTS.get(sizes["kind"])(**rest))


def ties(network: nn.Module) -> dict[str, str]:
    """Places that hold the same module as an earlier one: the later place → the earlier; the outermost ones alone."""
    first: dict[int, str] = {}
    found: dict[str, str] = {}
    for name, module in network.named_modules(remove_duplicate=False):
        earlier = first.setdefault(id(module), name)
        if earlier != name and not any(name.startswith(f"{outer}.") for outer in found):
            found[name] = earlier
    return found


def replace_module(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in the place of that name, such as ``encoder.layers.0.up``, and wherever else the old one stands."""
    put(network, network.get_submodule(name), module)


def put(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module in every place that another has: layers and tables may be shared."""
    for parent in list(network.modules()):
        for own, child in list(parent._modules.items()):
            if child is old:
                setattr(parent, own, new)
