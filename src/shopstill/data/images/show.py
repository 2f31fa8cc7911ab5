"""Pixels as a file that a page can show."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from shopstill.core.errors import require


def picture(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels [H, W, 3] as a PNG file.

    Raises:
        MissingDependency: Pillow is not installed.
    """
    out = BytesIO()
    require("PIL.Image", "vision").fromarray(pixels).save(out, "PNG", optimize=True)
    return out.getvalue()
