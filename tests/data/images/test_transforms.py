from __future__ import annotations

import numpy as np

from shopstill.data.images.transforms import flipped, shifted

PIXELS = np.random.default_rng(3).integers(0, 255, (40, 8, 6, 3), dtype=np.uint8)


def test_a_flip_is_the_picture_or_its_mirror() -> None:
    found = flipped(PIXELS, np.random.default_rng(0))
    same = (found == PIXELS).all((1, 2, 3))
    assert ((found == PIXELS[:, :, ::-1]).all((1, 2, 3)) | same).all()
    assert 8 < same.sum() < 32
    assert (found == flipped(PIXELS, np.random.default_rng(0))).all()


def test_a_shift_moves_what_stays_and_fills_what_comes_in() -> None:
    found = shifted(PIXELS, np.random.default_rng(0), 2, fill=7)
    padded = np.pad(PIXELS, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=7)
    places = set()
    for before, after in zip(padded, found, strict=True):
        fits = [(y, x) for y in range(5) for x in range(5) if (before[y : y + 8, x : x + 6] == after).all()]
        assert fits
        places.add(fits[0])
    assert len(places) > 8
    assert (shifted(PIXELS, np.random.default_rng(0), 0) == PIXELS).all()
    assert found.dtype == np.uint8
