"""Small whole numbers packed into bytes, row by row; unpacked by arithmetic that every ONNX runtime has."""

from __future__ import annotations

import torch
from torch import Tensor

WIDTHS = (1, 2, 4, 8)
"""Bits a number may have: as many as fill a byte without a rest."""


def pack(values_RC: Tensor, bits: int) -> Tensor:
    """Numbers below ``2^bits`` [R, C] as bytes [R, ⌈C · bits / 8⌉] uint8; the first number has the lowest bits.

    >>> pack(torch.tensor([[1, 0, 1]]), bits=1)
    tensor([[5]], dtype=torch.uint8)
    """
    share = 8 // bits
    whole = torch.nn.functional.pad(values_RC.to(torch.int32), (0, -values_RC.shape[1] % share))
    places = _places(bits, values_RC.device)
    return (whole.unflatten(1, (-1, share)) * places).sum(-1).to(torch.uint8)


def unpack(packed: Tensor, bits: int, columns: int) -> Tensor:
    """The numbers [..., C] int32 of packed rows [..., bytes].

    >>> unpack(torch.tensor([[5]], dtype=torch.uint8), bits=1, columns=3).tolist()
    [[1, 0, 1]]
    """
    if bits == 8:
        return packed.to(torch.int32)
    places = _places(bits, packed.device)
    apart = torch.div(packed.to(torch.int32).unsqueeze(-1), places, rounding_mode="floor") % (1 << bits)
    return apart.flatten(-2)[..., :columns]


def _places(bits: int, device: torch.device) -> Tensor:
    return torch.tensor([1 << (bits * at) for at in range(8 // bits)], dtype=torch.int32, device=device)
