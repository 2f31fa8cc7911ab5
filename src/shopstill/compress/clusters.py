"""Cluster weights: each is one of a few values, stored as the value's number."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from torch import nn

from shopstill.compress import Stage, _means, _tables
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._tables import held_bytes
from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.models.compact import replace_module
from shopstill.models.compact._part import LinearPart, TablePart
from shopstill.models.compact.clustered import Clustered
from shopstill.models.compact.clustered_table import ClusteredTable


@config
class Clusters:
    """k-means of each layer's weights: ``2^bits`` values, which can still learn (Han et al. 2016,
    https://arxiv.org/abs/1510.00149).

    A weight costs ``bits`` bits in the file. Layers and tables that would not get smaller stay as they are.

    Raises:
        ConfigError: nothing dense would get smaller.

    >>> Clusters(bits=4).tables
    True
    """

    kind: Literal["clusters"] = "clusters"
    bits: Literal[1, 2, 4, 8] = 4
    linears: bool = True
    tables: bool = True

    stage: ClassVar[Stage] = "storage"

    def milder(self) -> Clusters | None:
        """Twice the bits; None at 8."""
        finer: dict[int, Literal[2, 4, 8]] = {1: 2, 2: 4, 4: 8}
        return replace(self, bits=finer[self.bits]) if self.bits in finer else None

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with clustered layers."""
        made = copied(model)
        found: dict[str, nn.Linear | nn.Embedding] = {}
        if self.linears:
            found |= {name: m for name, m in made.network.named_modules() if type(m) is nn.Linear}
        if self.tables:
            found |= _tables.token_tables(made.network)
        made_of = {name: self._clustered(part) for name, part in found.items()}
        smaller = {name: part for name, part in made_of.items() if held_bytes(part) < held_bytes(found[name])}
        if not smaller:
            raise ConfigError("clusters: nothing dense would get smaller; use fewer bits, or put clusters first")
        for name, part in smaller.items():
            replace_module(made.network, name, part)
        return made

    def _clustered(self, dense: nn.Linear | nn.Embedding) -> LinearPart | TablePart:
        weight = dense.weight.detach()
        codebook, index = _means.values(weight.flatten(), 1 << self.bits)
        if isinstance(dense, nn.Embedding):
            table = ClusteredTable(dense.num_embeddings, dense.embedding_dim, self.bits)
            table.coded.fill(codebook, index.view(weight.shape))
            return table
        made = Clustered(dense.in_features, dense.out_features, self.bits, dense.bias is not None)
        made.coded.fill(codebook, index.view(weight.shape))
        made.bias = dense.bias
        return made


clusters = Clusters
