"""Items that nobody has taken up: they have no vector of their own, and are what their attributes say.

Training can leave out items' own vectors now and then (``Sizes.id_dropout``), so that a network learns to read what
their attributes say, as DropoutNet does with the preferences of users and items (Volkovs, Yu and Poutanen, "DropoutNet:
addressing cold start in recommender systems", NeurIPS 2017).

Shapes: ``V`` items, ``W`` cold ones, ``L`` pairs of an item and an attribute, ``D`` width.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from shopstill.core.errors import ConfigError
from shopstill.data.histories import ItemAttributes
from shopstill.models.compact._part import Table

if TYPE_CHECKING:
    from shopstill.models.sequence.network import SequenceNetwork


class WithCold(nn.Module):
    """A table of V items, behind which W have zeros."""

    def __init__(self, table: Table, cold: int) -> None:
        super().__init__()
        self.table, self.cold = table, cold
        self.num_embeddings, self.embedding_dim = table.num_embeddings + cold, table.embedding_dim

    @property
    def weight(self) -> Tensor:
        """[V + W, D]."""
        return nn.functional.pad(self.table.weight, (0, 0, 0, self.cold))

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of some ids; zeros for cold ones."""
        most = self.table.num_embeddings
        found: Tensor = self.table(ids.clamp(max=most - 1)) * (ids < most).unsqueeze(-1)
        return found


def with_cold(network: SequenceNetwork, cold: ItemAttributes) -> SequenceNetwork:
    """The same network, its weights too, over further items: V + 1 is the first that has only attributes.

    Args:
        network: one that reads attributes.
        cold: the values of the further items, numbered as the network's are.

    Raises:
        ConfigError: the network reads no attributes, or not these.
    """
    items = network.items
    if items.attributes is None:
        raise ConfigError(
            "cold: the model reads no attributes, so it knows nothing of items that nobody took up; set attributes"
        )
    if len(cold.names) != network.sizes.attributes:
        raise ConfigError(f"cold: {len(cold.names)} values, but the network reads {network.sizes.attributes}")
    count, links = len(cold.start_I) - 2, len(items.code_L)
    sizes = replace(network.sizes, items=network.sizes.items + count, links=links + len(cold.code_A))
    more = copy.copy(items)
    more.sizes = sizes
    more._modules = {**items._modules, "table": WithCold(items.table, count)}
    more._buffers = {
        "code_L": torch.cat([items.code_L, torch.from_numpy(cold.code_A) - 1]),
        "start_V": torch.cat([items.start_V, torch.from_numpy(cold.start_I[2:]) + links]),
    }
    held = copy.copy(network)
    held.sizes = sizes
    held._modules = {**network._modules, "items": more}
    return held.eval()
