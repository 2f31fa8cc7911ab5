"""Pictures: whole files, the same bytes everywhere, and the type and colour can be seen."""

from __future__ import annotations

import hashlib
import io
import zlib

import numpy as np
import pytest

from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, make_truth
from shopstill.data.simulate.catalogue import Truth
from shopstill.data.simulate.draw import encode, picture, tone_map
from shopstill.data.simulate.world import world


@pytest.fixture(scope="module")
def truth(settings: dict[str, Simulate]) -> Truth:
    return make_truth(settings["en"])


def test_only_the_first_products_have_pictures(english: Shop) -> None:
    names = english.read("products", ["image"])["image"].to_pylist()
    assert all((english.path / name).is_file() for name in names[:300])
    assert names[300:] == [None] * (len(names) - 300)
    assert len(list(english.path.glob("images/*/*.png"))) == 300


@pytest.mark.parametrize("size", [64, 100, 128])
def test_files_are_read_back(truth: Truth, size: int) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels, palette = picture(truth, 3, size)
    read = np.asarray(image.open(io.BytesIO(encode(pixels, palette))).convert("RGB"))
    assert (read == palette[pixels]).all()


def test_bytes_are_the_same_everywhere() -> None:
    pixels = (np.arange(64 * 64).reshape(64, 64) % 48).astype(np.uint8)
    file = encode(pixels, np.arange(144, dtype=np.uint8).reshape(48, 3))
    assert zlib.decompress(file[file.index(b"IDAT") + 4 :][: 64 * 65 + 11])[1:65] == pixels[0].tobytes()
    assert hashlib.sha256(file).hexdigest()[:16] == "e0ac717c018f9cc1"


def test_every_type_has_a_shape_of_its_own() -> None:
    shapes = {tone_map(kind, 64).tobytes() for kind in range(len(world().types))}
    assert len(shapes) == len(world().types)
    for kind in range(len(world().types)):
        covered = (tone_map(kind, 64) > 0).mean()
        assert 0.05 < covered < 0.9, world().types[kind]


def test_type_and_colour_can_be_seen(truth: Truth) -> None:
    """The nearest picture shares the type, and pixels of the product have its colour."""
    seen = [picture(truth, product, 64) for product in range(200)]
    shapes = np.array([(pixels >= 16).reshape(-1) for pixels, _ in seen], dtype=np.float32)
    distance = (shapes[:, None] != shapes[None]).sum(-1)
    np.fill_diagonal(distance, shapes.shape[1])
    kinds = truth.catalogue.type[:200]
    assert np.mean(kinds[distance.argmin(1)] == kinds) > 0.15  # by chance .01
    for product, (_, palette) in enumerate(seen):
        colour = truth.catalogue.values[product, 0]
        if colour >= 0:
            rgb = truth.world.colours[colour]
            assert palette[24].tolist() == [int(rgb[i : i + 2], 16) for i in (1, 3, 5)]
