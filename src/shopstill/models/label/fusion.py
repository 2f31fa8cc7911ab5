"""What joins the features of a picture and of its text.

Shapes: ``B`` products, ``C`` channels of the picture's map, ``P`` its places, ``T`` tokens of a text, ``D`` width of
the text's states, ``E`` width of what is joined, ``H`` heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shopstill.models.vision import Channels, Place, Seen

_WIDER = 2


class LateFusion(nn.Module):
    """``[g ∘ u, (1 − g) ∘ v]``, u and v the normed features of both, and the gate ``g = σ(W [u, v])``.

    A gated unit as in Arevalo et al. 2017, arXiv:1702.01992, with both sides kept beside each other.

    Args:
        image: channels of the picture's features.
        text: D.
        width: E.
    """

    def __init__(self, image: Channels, text: int, width: int) -> None:
        super().__init__()
        self._image = image.name
        self.image, self.text = nn.Linear(image.count, width), nn.Linear(text, width)
        self.image_norm, self.text_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.gate = nn.Linear(2 * width, width)

    def forward(self, seen: Seen, states_BTD: Tensor, mask_BT: Tensor, pooled_BD: Tensor) -> Tensor:
        """[B, 2E]."""
        image_BE = self.image_norm(self.image(seen.pooled_BD))
        text_BE = self.text_norm(self.text(pooled_BD))
        gate_BE = torch.sigmoid(self.gate(torch.cat([image_BE, text_BE], -1)))
        return torch.cat([gate_BE * image_BE, (1 - gate_BE) * text_BE], -1)

    def places(self) -> tuple[Place, ...]:
        """What reads the picture's channels."""
        return (Place(owner=self, part="image", reads=self._image),)


class CrossFusion(nn.Module):
    """One layer in which every token of the text attends to the places of the picture's last map.

    What follows is a feed-forward network, the mean over tokens, and the picture's own features beside it.

    Args:
        image: channels of the picture's map.
        text: D.
        width: E.
        heads: H.
    """

    def __init__(self, image: Channels, text: int, width: int, heads: int) -> None:
        super().__init__()
        self._image, self._heads = image.name, heads
        self.image, self.text = nn.Linear(image.count, width), nn.Linear(text, width)
        self.image_norm, self.text_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(image.count, 2 * width)
        self.out, self.norm_attention = nn.Linear(width, width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, _WIDER * width), nn.Linear(_WIDER * width, width)
        self.norm_output = nn.LayerNorm(width)

    def forward(self, seen: Seen, states_BTD: Tensor, mask_BT: Tensor, pooled_BD: Tensor) -> Tensor:
        """[B, 2E]."""
        x_BTE = self.text_norm(self.text(states_BTD))
        place_BPC = seen.map_BCHW.flatten(2).transpose(1, 2)
        x_BTE = self.norm_attention(x_BTE + self.out(self._attend(self.query(x_BTE), self.key_value(place_BPC))))
        x_BTE = self.norm_output(x_BTE + self.down(F.gelu(self.up(x_BTE))))
        there_BT = mask_BT.to(x_BTE.dtype)
        mean_BE = (there_BT.unsqueeze(1) @ x_BTE).squeeze(1) / there_BT.sum(1, keepdim=True).clamp(min=1)
        return torch.cat([self.image_norm(self.image(seen.pooled_BD)), mean_BE], -1)

    def places(self) -> tuple[Place, ...]:
        """What reads the picture's channels."""
        return tuple(Place(owner=self, part=part, reads=self._image) for part in ("image", "key_value"))

    def _attend(self, query_BTE: Tensor, both_BPE: Tensor) -> Tensor:
        query, key, value = (self._split(part) for part in (query_BTE, *both_BPE.chunk(2, -1)))
        share_BHTP = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)
        return (share_BHTP @ value).transpose(1, 2).flatten(2)

    def _split(self, x_BTE: Tensor) -> Tensor:
        return x_BTE.unflatten(-1, (self._heads, -1)).transpose(1, 2)


Fusion = LateFusion | CrossFusion
