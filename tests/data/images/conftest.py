from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install 'shopstill[vision]'")


@pytest.fixture
def saved() -> Callable[..., bytes]:
    """A picture as the bytes of a file."""

    def save(picture: Any, kind: str = "PNG", **options: Any) -> bytes:
        file = io.BytesIO()
        (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(file, kind, **options)
        return file.getvalue()

    return save


@pytest.fixture
def quarters() -> np.ndarray:
    """[32, 48, 3]: red above left, green above right, blue below left, black below right."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16, :24, 0] = pixels[:16, 24:, 1] = pixels[16:, :24, 2] = 255
    return pixels
