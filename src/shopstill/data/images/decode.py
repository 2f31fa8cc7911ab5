"""From a file's bytes to pixels of one size: the same steps where a model learns and where it is served."""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import require
from shopstill.data.images.files import BROKEN, TOO_LARGE, ImageFault
from shopstill.data.readers._files import kind_of

__all__ = ["ImageFault", "ImageForm", "ImageLimits", "decode", "decoder"]

FOREIGN = "no picture"
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_ORIENTATION = 0x0112
_SUSPECT = (64 << 20) // 3
"""Pixels up to which no picture is a bomb, however well it is compressed: 64 MiB when decoded, as a photograph of 22
megapixels has. Flat pictures, such as a plain swatch, reach ratios of 800, so that the ratio alone tells nothing."""


@config
class ImageForm:
    """How a picture becomes pixels; a bundle states it, and its server does the same.

    Attributes:
        height: pixels from top to bottom.
        width: pixels from left to right.
        fit: ``letterbox`` keeps the proportions, centred between bars of white; ``squash`` fills the whole.
        filter: how pixels are weighted when the size changes: by a triangle as wide as what one pixel covers
            (bilinear with antialias).
    """

    height: int = Field(default=64, ge=8, le=1024)
    width: int = Field(default=64, ge=8, le=1024)
    fit: Literal["letterbox", "squash"] = "letterbox"
    filter: Literal["bilinear"] = "bilinear"


@config
class ImageLimits:
    """What a picture may cost; what costs more is refused before it is decoded.

    Attributes:
        file_bytes: of the file.
        pixels: of the picture; a pixel takes up to 8 bytes while it is decoded.
        ratio: pixels' bytes to the file's, for a picture of over 64 MiB when decoded. Photographs reach some 100; a
            picture of nothing at all, or a bomb, 800 and more.
    """

    file_bytes: int = Field(default=1 << 26, ge=1)
    pixels: int = Field(default=50_000_000, ge=1, le=80_000_000)
    ratio: int = Field(default=500, ge=1)


def decode(content: bytes, form: ImageForm, limits: ImageLimits | None = None) -> NDArray[np.uint8]:
    """Pixels of a picture: upright, red, green and blue.

    JPEG, PNG, WebP, BMP and GIF are read, by their content and not their name; of a film, the first frame. The
    orientation that a camera noted is applied; what shows through stands on white; 16 bits become 8 by their upper
    half; CMYK is converted without a colour profile. Then the size is changed as ``form`` says.

    Args:
        content: the file's bytes.
        form: the size, and how it is reached.
        limits: what a picture may cost; the defaults when None.

    Returns:
        [height, width, 3].

    Raises:
        ImageFault: it is no picture, is damaged, or costs more than the limits allow.
        MissingDependency: Pillow is not installed.
    """
    library = _pillow()
    limits = limits or ImageLimits()
    if len(content) > limits.file_bytes:
        raise ImageFault(f"{TOO_LARGE}: the file has {len(content):,} bytes; {limits.file_bytes:,} at most are read")
    try:
        with library.open(io.BytesIO(content), formats=_FORMATS) as image:
            _check_cost(image.size, len(content), limits)
            image.load()
            return _fitted(library, _upright(library, image), form)
    except ImageFault:
        raise
    except library.UnidentifiedImageError:
        found = kind_of(content[:1024])
        raise ImageFault(f"{FOREIGN}: found {found}; one of {', '.join(_FORMATS)} is expected") from None
    except (library.DecompressionBombError, library.DecompressionBombWarning) as cause:
        raise ImageFault(f"{TOO_LARGE}: {cause}") from None
    except Exception as cause:  # noqa: BLE001  (a decoder raises whatever a hostile file provokes; none may stop a run)
        raise ImageFault(f"{BROKEN}: {type(cause).__name__}: {cause}") from None


def decoder() -> str:
    """What decodes, and its release: another may round a pixel of a JPEG otherwise."""
    return f"pillow {require('PIL', 'vision').__version__}"


def _pillow() -> Any:
    # Any: its types would need it installed where only text is read.
    return require("PIL.Image", "vision")


def _check_cost(size: tuple[int, int], file_bytes: int, limits: ImageLimits) -> None:
    pixels = size[0] * size[1]
    if pixels > limits.pixels:
        raise ImageFault(f"{TOO_LARGE}: it has {size[0]:,} × {size[1]:,} pixels; {limits.pixels:,} at most are decoded")
    if pixels > _SUSPECT and 3 * pixels > limits.ratio * file_bytes:
        ratio = f"{3 * pixels // file_bytes:,} times its file"
        raise ImageFault(f"{TOO_LARGE}: its pixels are {ratio}, which looks like a bomb; {limits.ratio:,} at most")


def _upright(library: Any, image: Any) -> Any:
    """In red, green and blue on white, as the camera was held."""
    image = _turned(library, image)
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        return library.fromarray(np.clip(deep >> 8, 0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        return library.alpha_composite(library.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return image.convert("RGB")


def _turned(library: Any, image: Any) -> Any:
    turn = library.Transpose
    turns = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001  (notes of a camera that cannot be read leave the picture as it lies)
        orientation = None
    return image.transpose(turns[orientation]) if orientation in turns else image


def _fitted(library: Any, image: Any, form: ImageForm) -> NDArray[np.uint8]:
    whole = (form.width, form.height)
    bilinear = library.Resampling.BILINEAR
    if form.fit == "squash":
        return np.array(image.resize(whole, bilinear), np.uint8)
    scale = min(form.width / image.width, form.height / image.height)
    inner = (min(max(round(image.width * scale), 1), form.width), min(max(round(image.height * scale), 1), form.height))
    left, top = (form.width - inner[0]) // 2, (form.height - inner[1]) // 2
    pixels = np.full((form.height, form.width, 3), 255, np.uint8)
    pixels[top : top + inner[1], left : left + inner[0]] = np.asarray(image.resize(inner, bilinear))
    return pixels
