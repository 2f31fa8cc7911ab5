"""A model's token tables, and how often the shop's texts use each row."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shopstill.compress import _tokens
from shopstill.compress._calibration import Calibration
from shopstill.core.errors import ConfigError
from shopstill.models.encoder import Encoder
from shopstill.models.families import Model
from shopstill.models.towers import TokenTower


def token_tables(network: nn.Module) -> dict[str, nn.Embedding]:
    """The dense tables of token vectors, each once; positions, segments and tokens' importance are not among them."""
    found: dict[str, nn.Embedding] = {}
    for name, module in network.named_modules():
        place = {Encoder: "tokens", TokenTower: "body"}.get(type(module))
        table = None if place is None else getattr(module, place)
        if type(table) is nn.Embedding and not any(table is other for other in found.values()):
            found[f"{name}.{place}".removeprefix(".")] = table
    return found


def held_bytes(module: nn.Module) -> int:
    """Bytes that a module's weights take in a file.

    >>> held_bytes(nn.Linear(2, 3))
    36
    """
    return sum(value.numel() * value.element_size() for value in module.state_dict().values())


def use(model: Model, calibration: Calibration, rows: int, kind: str) -> Tensor:
    """One more than how often each token stands in the shop's texts [rows], so that none counts for nothing.

    Raises:
        ConfigError: the model has no tokenizer.
    """
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        raise ConfigError(f"{kind}: this model has no tokenizer; leave the pass out")
    return torch.ones(rows) + _tokens.counts(tokenizer, calibration.texts(), rows)
