"""Pictures as they come to features: pixels are scaled inside, so that whoever holds the network holds that too.

Shapes: ``B`` pictures, ``H`` × ``W`` pixels, ``C`` channels, ``h`` × ``w`` places of a map, ``D`` width of features.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.models.vision.layers import Body, normalised

GRID = 6
"""Rows and columns that an attention map is averaged to, so that the maps of any two networks can be compared."""


class Seen(NamedTuple):
    """What a network makes of pictures: its last map [B, C, h, w], its mean [B, D], and features by name."""

    map_BCHW: Tensor
    pooled_BD: Tensor
    features: dict[str, Tensor]


class PictureReader(nn.Module):
    """A network of pictures behind the input that all of them take.

    Its features are ``pooled`` [B, D], the mean of the last map; ``map_4`` and others [B, 36], where the map of places
    of 4 pixels has its energy ``mean_c x²`` (Zagoruyko and Komodakis 2017, arXiv:1612.03928), averaged to 6 × 6; and
    ``map``, the last of these.
    """

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body

    @property
    def width(self) -> int:
        """D, as it was built."""
        return self.body.out.count

    def forward(self, image_BHWC: Tensor) -> Seen:
        """Pictures [B, H, W, 3] of red, green and blue from 0 to 255: uint8, or mixed ones in float32."""
        maps = self.body(normalised(image_BHWC))
        last_BCHW = list(maps.values())[-1]
        pooled_BD = last_BCHW.mean((2, 3))
        features = {"pooled": pooled_BD, **{f"map_{stride}": _energy(found) for stride, found in maps.items()}}
        features["map"] = features[f"map_{list(maps)[-1]}"]
        return Seen(last_BCHW, pooled_BD, features)


def _energy(map_BCHW: Tensor) -> Tensor:
    """[B, 36]."""
    return F.adaptive_avg_pool2d(map_BCHW.square().mean(1, keepdim=True), GRID).flatten(1)
