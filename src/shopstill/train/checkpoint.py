"""Checkpoints of a training run, without pickle: weights and optimiser state as safetensors, the rest as JSON."""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

if TYPE_CHECKING:
    from shopstill.train.fit import History

log = logging.getLogger(__name__)

STATE, BEST = "state.safetensors", "best.safetensors"


class Saver:
    """Saves at most every so many minutes, unless forced."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self._folder = folder
        self._seconds = minutes * 60
        self._last = time.monotonic()

    def save(
        self, model: nn.Module, objective: nn.Module, optimiser: Any, history: History, *, force: bool = False
    ) -> None:
        """Write the state of the run in one step: an older one stays until the new one is whole."""
        if not force and time.monotonic() - self._last < self._seconds:
            return
        tensors = {f"model/{k}": v for k, v in model.state_dict().items()}
        tensors |= {f"objective/{k}": v for k, v in objective.state_dict().items()}
        for number, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{number}/{k}": v for k, v in state.items() if isinstance(v, Tensor)}
        _write(self._folder / STATE, tensors, {"history": json.dumps(asdict(history))})
        self._last = time.monotonic()


def resume(folder: Path, model: nn.Module, objective: nn.Module, optimiser: Any) -> History | None:
    """Put a run's saved state back; None where there is none."""
    from safetensors import safe_open

    from shopstill.train.fit import History

    path = folder / STATE
    if not path.exists():
        return None
    with safe_open(path, "pt") as file:
        history = History(**json.loads(file.metadata()["history"]))
    tensors = load_file(path)
    model.load_state_dict(_part(tensors, "model/"))
    objective.load_state_dict(_part(tensors, "objective/"))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimiser/").items():
        number, key = name.split("/")
        state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return history


def keep_best(folder: Path, model: nn.Module) -> None:
    """Keep the model's weights as the best so far."""
    _write(folder / BEST, model.state_dict(), {})


def restore_best(folder: Path, model: nn.Module) -> None:
    """Give the model its best weights."""
    model.load_state_dict(load_file(folder / BEST))
    model.eval()


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}.part")
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, aside, metadata)
    with open(aside, "rb") as handle:
        os.fsync(handle.fileno())
    os.replace(aside, path)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
