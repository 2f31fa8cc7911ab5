"""What every compact part is."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F


class Part(nn.Module):
    """Stands in for a dense module; built empty from its sizes alone, filled by its weights."""

    kind: ClassVar[str]
    """Its name in the registry: the file's."""

    batch_invariant: bool = True
    """Whether what it makes of a row depends on no other row."""

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that build it empty, as plain JSON values."""
        raise NotImplementedError

    @property
    def weight(self) -> Tensor:
        """The dense weight that it stands for."""
        raise NotImplementedError


class LinearPart(Part):
    """Stands in for ``nn.Linear``: ``weight`` [out, in] and ``bias`` [out] or None."""

    bias: Tensor | None
    in_features: int
    out_features: int

    def forward(self, x: Tensor) -> Tensor:
        """``x · weightᵀ + bias``."""
        return F.linear(x, self.weight, self.bias)


class TablePart(Part):
    """Stands in for ``nn.Embedding``: ``weight`` [num_embeddings, embedding_dim]."""

    num_embeddings: int
    embedding_dim: int

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of some ids [..., embedding_dim]."""
        return F.embedding(ids, self.weight)


Linear = nn.Linear | LinearPart
Table = nn.Embedding | TablePart
