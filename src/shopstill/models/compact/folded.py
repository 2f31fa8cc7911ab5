"""What is left of a module that another one does as well: nothing."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from shopstill.models.compact._part import Part


class Folded(Part):
    """``x``: a norm that is in the weights of the convolution before it, or an activation that its grid cuts off.

    >>> Folded().sizes
    {}
    """

    kind: ClassVar[str] = "folded"

    @property
    def sizes(self) -> dict[str, Any]:
        """Nothing builds it."""
        return {}

    def forward(self, x: Tensor) -> Tensor:
        """What comes in."""
        return x


folded = Folded
