"""A model's folder: ``model.json`` says what its network is, ``model.safetensors`` holds its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from shopstill.core.config import build, config
from shopstill.core.errors import ArtifactError
from shopstill.models.compact import put_back, replace_module, stand_ins, ties

_STATED, _WEIGHTS = "model.json", "model.safetensors"


@config
class Shape:
    """What differs in a network from the one its configuration builds: compact parts, and modules that places share."""

    stand_ins: dict[str, dict[str, Any]] = Field(default_factory=dict)
    ties: dict[str, str] = Field(default_factory=dict)


S = TypeVar("S", bound=Shape)


def write(folder: Path, network: nn.Module, stated: Mapping[str, Any]) -> None:
    """Write a network's weights, and what rebuilds it."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {**stated, "stand_ins": stand_ins(network), "ties": ties(network)}
    (folder / _STATED).write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    save_file({k: v.detach().cpu().contiguous() for k, v in _state(network).items()}, folder / _WEIGHTS)


def stated(form: type[S], folder: Path) -> S:
    """What ``model.json`` says.

    Raises:
        ArtifactError: it is missing, or not of this form.
    """
    try:
        return build(form, json.loads((folder / _STATED).read_text(encoding="utf-8")), _STATED)
    except FileNotFoundError:
        raise ArtifactError(f"{folder}: no model here ({_STATED} is missing)") from None
    except (ValueError, TypeError) as cause:
        raise ArtifactError(f"{folder}/{_STATED}: {cause}; run the stage that made it again") from None


def fill(network: nn.Module, shape: Shape, folder: Path) -> None:
    """Give a network that its configuration built the parts and weights of the folder; it is left in evaluation mode.

    Raises:
        ArtifactError: parts or weights do not fit.
    """
    _reshape(network, shape, folder)
    missing, unknown = network.load_state_dict(_weights(folder), strict=False)
    lost = sorted(_state(network).keys() & set(missing))
    if lost or unknown:
        raise ArtifactError(f"{folder}/{_WEIGHTS}: lacks {lost[:3]}, has unknown {list(unknown)[:3]}")
    network.eval()


def _reshape(network: nn.Module, shape: Shape, folder: Path) -> None:
    """Put in the compact parts, and the modules that several places share."""
    try:
        put_back(network, shape.stand_ins)
        for name, other in shape.ties.items():
            replace_module(network, name, network.get_submodule(other))
    except (ValueError, TypeError, KeyError, AttributeError) as cause:
        raise ArtifactError(f"{folder}/{_STATED}: {cause}; run the stage that made it again") from None


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(folder / _WEIGHTS)
    except (FileNotFoundError, SafetensorError) as cause:
        raise ArtifactError(f"{folder}/{_WEIGHTS}: {cause}; run the stage that made it again") from None


def _state(network: nn.Module) -> dict[str, torch.Tensor]:
    """The weights, those that two names share only once."""
    seen: dict[int, str] = {}
    return {k: v for k, v in network.state_dict().items() if seen.setdefault(v.data_ptr(), k) == k or not v.numel()}
