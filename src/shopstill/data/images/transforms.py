"""What a picture may look like another time: changes for training, drawn by a generator that is given.

Shapes: ``B`` pictures, ``H`` and ``W`` pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def flipped(pixels_BHW3: Pixels, rng: np.random.Generator) -> Pixels:
    """Each picture, mirrored left to right with a probability of one half."""
    turned_B = rng.random(len(pixels_BHW3)) < 0.5
    return np.where(turned_B[:, None, None, None], pixels_BHW3[:, :, ::-1], pixels_BHW3)


def shifted(pixels_BHW3: Pixels, rng: np.random.Generator, most: int, fill: int = 255) -> Pixels:
    """Each picture, moved by up to ``most`` pixels up or down and left or right; what comes in is ``fill``.

    >>> shifted(np.zeros((2, 8, 8, 3), np.uint8), np.random.default_rng(0), 2).shape
    (2, 8, 8, 3)
    """
    count, height, width, _ = pixels_BHW3.shape
    padded = np.pad(pixels_BHW3, ((0, 0), (most, most), (most, most), (0, 0)), constant_values=fill)
    top_B, left_B = rng.integers(0, 2 * most + 1, (2, count))
    row = np.arange(count)[:, None, None]
    return padded[row, (top_B[:, None] + np.arange(height))[:, :, None], (left_B[:, None] + np.arange(width))[:, None]]
