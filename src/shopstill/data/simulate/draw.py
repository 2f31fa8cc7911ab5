"""A picture of a product: its shape by type, its colour and pattern by attributes, placed and lit a little differently.

Pictures are drawn and encoded with whole numbers alone, so that their bytes are the same on any machine.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopstill.data.simulate.catalogue import Truth
from shopstill.data.simulate.draws import Ints
from shopstill.data.simulate.world import World, world

_GRID = 64
_PER_FOLDER = 1_000
_STEPS = 16
"""Shades of each of the three tones of a picture: background, product, accent."""

Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]


def image_name(index: int) -> str:
    """Where a product's picture lies in the shop's folder.

    >>> image_name(12_345)
    'images/0012/p0012345.png'
    """
    return f"images/{index // _PER_FOLDER:04d}/p{index:07d}.png"


def draw_images(truth: Truth, index: Ints, size: int, folder: Path) -> None:
    """Write the pictures of some products.

    Args:
        truth: what is hidden.
        index: numbers of the products.
        size: pixels a side.
        folder: the shop's folder.
    """
    for product in index.tolist():
        path = folder / image_name(product)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(*picture(truth, product, size)))


def picture(truth: Truth, product: int, size: int) -> tuple[Pixels, Pixels]:
    """The picture of a product.

    Returns:
        [size, size] indices into a palette, and the [48, 3] palette of red, green and blue.
    """
    values = truth.catalogue.values[product]
    roll = [int(x) for x in truth.draws.below("image", product * 8 + np.arange(8), 1_000)]
    tones = _placed(tone_map(int(truth.shape[truth.catalogue.type[product]]), size), roll)
    most, ground = 2, np.zeros((size, size), np.int64)
    if truth.rough:
        turn = [int(x) for x in truth.draws.below("image/rough", product * 4 + np.arange(4), 1_000)]
        tones, most, ground = _turned(tones, turn[0]), 4, _ground(size, turn)
    within = product * size * size + np.arange(size * size)
    noise = truth.draws.below("image/noise", within, 2 * most + 1).reshape(size, size) - most
    shade = _STEPS // 2 + noise + np.where(tones == 1, _texture(truth.world, values, size), 0)
    shade += np.where(tones == 0, ground, 0)
    pixels = tones * _STEPS + np.clip(shade, 0, _STEPS - 1)
    return pixels.astype(np.uint8), _palette(truth.world, int(values[0]), roll)


def encode(pixels: Pixels, palette: Pixels) -> bytes:
    """An indexed PNG, stored without compression, which would differ between releases of zlib.

    Source: W3C, Portable Network Graphics (PNG) Specification; RFC 1950 and 1951.
    """
    height, width = pixels.shape
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = pixels
    raw = rows.tobytes()
    stored = (
        b"\x78\x01\x01" + struct.pack("<HH", len(raw), len(raw) ^ 0xFFFF) + raw + struct.pack(">I", zlib.adler32(raw))
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", stored), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


@lru_cache(maxsize=256)
def tone_map(kind: int, size: int) -> Pixels:
    """[size, size] tones of a type's shape: 0 background, 1 product, 2 accent."""
    tones = np.zeros((size, size), np.uint8)
    for part in world().shapes[kind]:
        name, *numbers = part.removeprefix("+").split(" ")
        points = np.array(numbers, dtype=np.int64).reshape(-1, 2) * size * 2 // _GRID
        tones[_covered(name, points, size)] = 2 if part.startswith("+") else 1
    return tones


def _covered(name: str, points: Ints, size: int) -> Mask:
    """The pixels that a shape covers; coordinates are in half pixels, so that centres are whole numbers."""
    y, x = np.mgrid[1 : 2 * size : 2, 1 : 2 * size : 2]
    if name == "poly":
        return _inside(points, x, y)
    (x0, y0), (x1, y1) = points.tolist()
    wide, high = x1 - x0, y1 - y0
    if name == "box":
        covered: Mask = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    elif name == "oval":
        covered = ((2 * x - x0 - x1) * high) ** 2 + ((2 * y - y0 - y1) * wide) ** 2 <= (wide * high) ** 2
    else:  # a line, some two units of the grid to each side
        across, along, length = wide * (y - y0) - high * (x - x0), wide * (x - x0) + high * (y - y0), wide**2 + high**2
        covered = (along >= 0) & (along <= length) & ((across * _GRID) ** 2 <= length * (size * 9 // 2) ** 2)
    return covered


def _inside(points: Ints, x: Ints, y: Ints) -> Mask:
    """Even-odd rule."""
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(points.tolist(), np.roll(points, -1, 0).tolist(), strict=True):
        if y0 != y1:
            left = ((x - x0) * (y1 - y0) < (x1 - x0) * (y - y0)) == (y1 > y0)
            inside ^= ((y0 > y) != (y1 > y)) & left
    return inside


def _placed(tones: Pixels, roll: list[int]) -> Pixels:
    """A shape moved by up to an eighth, made smaller by up to a quarter, and perhaps mirrored."""
    size = len(tones)
    percent = 75 + roll[0] % 26
    room = size * (100 - percent) // 100 + size // 16
    place = (np.arange(size) - np.array([[roll[1] % (room + 1)], [roll[2] % (room + 1)]])) * 100 // percent
    on = (place >= 0) & (place < size)
    (ys, xs), (on_y, on_x) = np.clip(place, 0, size - 1), on
    drawn: Pixels = tones[ys][:, xs] * (on_y[:, None] & on_x)
    return drawn[:, ::-1] if roll[3] % 2 else drawn


def _turned(tones: Pixels, roll: int) -> Pixels:
    """A shape turned about the middle, by whole thousandths of sine and cosine."""
    size = len(tones)
    cosine, sine = _TURNS[roll % len(_TURNS)]
    y, x = np.mgrid[1 - size : size : 2, 1 - size : size : 2]
    from_x = ((cosine * x + sine * y) // 1_000 + size) // 2
    from_y = ((cosine * y - sine * x) // 1_000 + size) // 2
    on = (from_x >= 0) & (from_x < size) & (from_y >= 0) & (from_y < size)
    turned: Pixels = tones[np.clip(from_y, 0, size - 1), np.clip(from_x, 0, size - 1)] * on
    return turned


_TURNS = tuple(
    (cosine, way * sine) for cosine, sine in ((1_000, 0), (985, 174), (966, 259), (940, 342)) for way in (1, -1)
)
"""Cosine and sine, in thousandths, of 0, 10, 15 and 20 degrees either way."""


def _ground(size: int, roll: list[int]) -> Ints:
    """[size, size] steps of shade: a slope of light, and bands across."""
    y, x = np.mgrid[:size, :size] * _GRID // size
    slope = (x * (roll[1] % 7 - 3) + y * (roll[2] % 7 - 3)) // 48
    return slope + 3 * ((x * (roll[3] % 3) + y * (roll[3] % 2 + 1)) // 9 % 2)


def _texture(world: World, values: NDArray[np.int8], size: int) -> Ints:
    """[size, size] steps of shade: the pattern where there is one, else the grain of the material."""
    has = {a.name: (a, int(v)) for a, v in zip(world.attributes, values, strict=True) if v >= 0}
    y, x = np.mgrid[:size, :size] * _GRID // size
    name = ""
    if "pattern" in has:
        attribute, value = has["pattern"]
        name = attribute.values[value]
    elif "material" in has:
        attribute, value = has["material"]
        family = int(attribute.family[value]) - len(attribute.values)
        name = attribute.families[family] if family >= 0 else ""
    return _TEXTURES[name](x, y) if name in _TEXTURES else np.zeros((size, size), np.int64)


_TEXTURES: dict[str, Callable[[Ints, Ints], Ints]] = {
    "striped": lambda x, y: 6 * (x % 8 < 4) - 3,
    "checked": lambda x, y: 3 * ((x // 5 + y // 5) % 2) + 3 * (x // 5 % 2) - 3,
    "polka dot": lambda x, y: 6 * ((x % 10 - 5) ** 2 + (y % 10 - 5) ** 2 < 8),
    "floral": lambda x, y: 6 * (abs(x % 12 - 6) * abs(y % 12 - 6) < 3) - 2,
    "geometric": lambda x, y: 5 * ((x + y) % 12 < 6) - 2,
    "camouflage": lambda x, y: (x // 7 * 5 + y // 6 * 3 + x * y // 90) % 3 * 4 - 4,
    "wood": lambda x, y: -3 * ((y + x // 16) % 5 < 1),
    "metal": lambda x, y: 4 - (x + y) // 12,
    "fabric": lambda x, y: (x + y) % 2 * 2 - 1,
}


def _palette(world: World, colour: int, roll: list[int]) -> Pixels:
    """[48, 3]: a light background, the product's colour (any, where it has none), and an accent apart from both."""
    rgb = world.colours[colour if colour >= 0 else roll[4] % len(world.colours)]
    main = np.array([int(rgb[i : i + 2], 16) for i in (1, 3, 5)])
    accent = main * 45 // 100 if main.sum() > 300 else main + (255 - main) * 55 // 100
    background = np.array([236 - roll[5] % 24, 236 - roll[6] % 24, 236 - roll[7] % 24])
    light = 100 + 4 * (np.arange(_STEPS) - _STEPS // 2)
    tones = np.stack([background, main, accent])[:, None, :] * light[None, :, None] // 100
    return np.clip(tones, 0, 255).reshape(-1, 3).astype(np.uint8)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
