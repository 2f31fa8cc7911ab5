"""Pictures: whole files, the same bytes everywhere, and the type and colour can be seen."""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import replace

import numpy as np
import pytest

from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, make_truth
from shopstill.data.simulate.catalogue import Truth
from shopstill.data.simulate.draw import encode, picture, tone_map
from shopstill.data.simulate.products import product_rows
from shopstill.data.simulate.world import world


@pytest.fixture(scope="module")
def truth(settings: dict[str, Simulate]) -> Truth:
    return make_truth(settings["en"])


def test_only_the_first_products_have_pictures(english: Shop) -> None:
    names = english.read("products", ["image"])["image"].to_pylist()
    assert all((english.path / name).is_file() for name in names[:300])
    assert names[300:] == [None] * (len(names) - 300)
    assert len(list(english.path.glob("images/*/*.png"))) == 300


@pytest.mark.parametrize("size", [48, 64, 100, 128])
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


@pytest.fixture(scope="module")
def vague() -> Truth:
    return make_truth(Simulate(products=3_000, images=True, rough_images=True, vague=0.3, seed=5))


def test_rough_pictures_are_turned_and_stay_themselves(truth: Truth, vague: Truth) -> None:
    upright = replace(truth, rough=True)
    plain, rough = (np.stack([picture(t, n, 48)[0] for n in range(60)]) for t in (truth, upright))
    assert (plain != rough).any((1, 2)).all()
    covered = [(pixels >= 16).mean((1, 2)) for pixels in (plain, rough)]
    assert np.abs(covered[0] - covered[1]).max() < 0.12, "what is turned covers as much, but for what leaves the frame"
    assert rough.max() < 48
    assert (picture(upright, 7, 48)[0] == picture(upright, 7, 48)[0]).all()
    digest = hashlib.sha256(b"".join(picture(vague, n, 48)[0].tobytes() for n in range(5))).hexdigest()
    assert digest[:16] == "df8fcd361b90a89f"


def test_some_types_look_like_another_of_their_category(vague: Truth) -> None:
    kinds, world_ = np.arange(len(vague.world.types)), vague.world
    borrows = vague.shape != kinds
    assert 0.2 < borrows.mean() < 0.4
    assert (world_.category[vague.shape] == world_.category).all()
    assert (vague.shape[vague.shape] == vague.shape).all(), "what is looked like looks like itself"


def test_some_titles_leave_to_the_picture_what_they_are(vague: Truth) -> None:
    index = np.arange(600)
    rows, plain = (product_rows(t, index).to_pylist() for t in (vague, replace(vague, vague=0)))
    silent = vague.unsaid(index)
    assert 0.2 < silent.mean() < 0.4
    for row, was, quiet in zip(rows, plain, silent, strict=True):
        if not quiet:
            assert row == was
        assert row["title"].strip()
    spoken = [
        any(form.lower() in row["title"].lower() for form in vague.world.titles["en"].spellings[kind])
        for row, kind in zip(rows, vague.catalogue.type[index], strict=True)
    ]
    assert np.mean(np.array(spoken)[~silent]) > 0.95
    assert np.mean(np.array(spoken)[silent]) < 0.05


def test_the_shop_without_these_options_is_the_same_as_ever(settings: dict[str, Simulate]) -> None:
    truth = make_truth(settings["en"])
    assert (truth.shape == np.arange(len(truth.world.types))).all()
    assert not truth.unsaid(np.arange(1_000)).any()
