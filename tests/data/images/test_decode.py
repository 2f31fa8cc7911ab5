"""Every picture that shops really have becomes upright red, green and blue, or is refused with a reason."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest

from shopstill.core.config import build, plain
from shopstill.core.errors import ConfigError, MissingDependency
from shopstill.data.images import ImageFault, ImageForm, ImageLimits, decode

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install 'shopstill[vision]'")

SAME = ImageForm(height=32, width=48, fit="squash")


def near(pixels: np.ndarray, expected: np.ndarray, by: int = 3) -> bool:
    """Whether the middles of the quarters agree."""
    places = np.ix_([8, 24], [12, 36])
    return bool((abs(pixels[places].astype(int) - expected[places]) <= by).all())


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
def test_formats_by_their_content(saved, quarters, kind: str) -> None:
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    pixels = decode(saved(quarters, kind, **options), SAME)
    assert (pixels.shape, pixels.dtype) == ((32, 48, 3), np.uint8)
    assert near(pixels, quarters, 3 if kind == "JPEG" else 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_the_camera_is_applied(saved, quarters, orientation: int) -> None:
    """A picture as the camera lay, with its note, is shown as it was seen."""
    stored = {
        1: quarters,
        2: quarters[:, ::-1],
        3: quarters[::-1, ::-1],
        4: quarters[::-1],
        5: quarters.swapaxes(0, 1),
        6: np.rot90(quarters, 1),
        7: np.rot90(quarters, 2).swapaxes(0, 1),
        8: np.rot90(quarters, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(np.ascontiguousarray(stored), "JPEG", quality=95, subsampling=0, exif=exif)
    assert near(decode(file, SAME), quarters)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_notes_of_a_camera_leave_the_picture(saved, quarters) -> None:
    for exif in (b"Exif\0\0" + b"\xff" * 40, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0II*\0\xff\xff\xff\xff"):
        assert near(decode(saved(quarters, "JPEG", quality=95, exif=exif), SAME), quarters)


def test_colours_of_every_kind(saved, quarters) -> None:
    picture = Image.fromarray(quarters)
    grey = np.repeat(np.array(picture.convert("L"))[..., None], 3, 2)
    assert near(decode(saved(picture.convert("CMYK"), "JPEG", quality=95), SAME), quarters, 4)
    assert near(decode(saved(picture.convert("L")), SAME), grey)
    assert near(decode(saved(picture.convert("L"), "JPEG", quality=95), SAME), grey)
    assert near(decode(saved(picture.convert("P", palette=Image.Palette.ADAPTIVE)), SAME), quarters, 0)
    assert set(np.unique(decode(saved(picture.convert("1")), SAME))) <= {0, 255}


def test_sixteen_bits_become_eight(saved) -> None:
    ramp = np.tile(np.linspace(0, 65_535, 48).astype(np.uint16), (32, 1))
    pixels = decode(saved(Image.fromarray(ramp)), SAME)
    assert (pixels == (ramp >> 8)[..., None]).all()
    assert near(decode(_png16(np.full((32, 48, 3), 0x80FF, np.uint16)), SAME), np.full((32, 48, 3), 0x80), 1)


def test_what_shows_through_stands_on_white(saved, quarters) -> None:
    alpha = np.zeros((32, 48, 1), np.uint8)
    alpha[:16] = 255
    clear = np.concatenate([quarters, alpha], 2)
    expected = np.where(alpha == 255, quarters, 255).astype(np.uint8)
    for kind in ("PNG", "WEBP"):
        assert near(decode(saved(clear, kind, **({"lossless": True} if kind == "WEBP" else {})), SAME), expected, 0)
    grey = Image.fromarray(clear).convert("LA")
    assert (decode(saved(grey), SAME)[24, 12] == 255).all()
    indexed = Image.fromarray(quarters).convert("P", palette=Image.Palette.ADAPTIVE)
    black = indexed.getpixel((36, 24))
    for kind in ("PNG", "GIF"):
        assert (decode(saved(indexed, kind, transparency=black), SAME)[24, 36] == 255).all()
    half = decode(saved(np.full((32, 48, 4), (200, 0, 0, 128), np.uint8)), SAME)[0, 0]
    assert abs(half.astype(int) - [227, 127, 127]).max() <= 1


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_a_film_the_first_frame(saved, quarters, kind: str) -> None:
    frames = [Image.fromarray(quarters[::-1]), Image.fromarray(quarters[:, ::-1])]
    options = {"lossless": True} if kind == "WEBP" else {}
    film = saved(Image.fromarray(quarters), kind, save_all=True, append_images=frames, **options)
    assert near(decode(film, SAME), quarters, 0)


def test_letterbox_keeps_proportions_and_squash_does_not(saved) -> None:
    black = saved(np.zeros((20, 40, 3), np.uint8))
    boxed = decode(black, ImageForm(height=32, width=32))
    assert (boxed[8:24] == 0).all()
    assert (boxed[:8] == 255).all()
    assert (boxed[24:] == 255).all()
    assert (decode(black, ImageForm(height=32, width=32, fit="squash")) == 0).all()
    for sides in ((1, 3_000), (3_000, 1), (1, 1)):
        line = decode(saved(np.zeros((*sides, 3), np.uint8)), ImageForm(height=32, width=24))
        assert line.shape == (32, 24, 3)
        assert (line == 0).any()


def test_a_smaller_picture_is_the_mean_of_what_it_covers(saved) -> None:
    """Antialias: a fine chequerboard becomes grey, not black or white."""
    board = (np.indices((64, 96)).sum(0) % 2 * 255).astype(np.uint8)
    assert abs(decode(saved(board), ImageForm(height=16, width=24)).astype(int) - 127).max() <= 2


def test_bombs_are_refused_before_they_go_off(saved) -> None:
    with pytest.raises(ImageFault, match=r"too large: it has 8,000 × 8,000 pixels; 50,000,000 at most"):
        decode(_png_head(8_000, 8_000), SAME)
    for side in (10_000, 60_000, 2**30):
        with pytest.raises(ImageFault, match=r"too large|broken"):
            decode(_png_head(side, side), SAME)
    with pytest.raises(ImageFault, match=r"too large: its pixels are [\d,]+ times its file, which looks like a bomb"):
        decode(_png_head(6_000, 6_000), SAME)
    blank = saved(np.zeros((5_000, 5_000, 3), np.uint8), "WEBP", lossless=True)
    with pytest.raises(ImageFault, match="bomb"):
        decode(blank, SAME)
    with pytest.raises(ImageFault, match="the file has 100 bytes; 99 at most"):
        decode(b"x" * 100, SAME, ImageLimits(file_bytes=99))
    with pytest.raises(ImageFault, match="too large"):
        decode(saved(np.zeros((40, 40, 3), np.uint8)), SAME, ImageLimits(pixels=1_599))
    text = saved(Image.new("RGB", (8, 8)))
    bomb = zlib.compress(b"a" * 50_000_000)
    head, tail = text[:33], text[33:]
    with pytest.raises(ImageFault, match="broken picture"):
        decode(head + _chunk(b"zTXt", b"k\0\0" + bomb) + tail, SAME)


def test_a_flat_picture_is_no_bomb(saved) -> None:
    flat = saved(np.full((3_000, 3_000, 3), 200, np.uint8))
    assert 500 * len(flat) < 3 * 3_000**2
    assert (decode(flat, SAME) == 200).all()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"<html><body>404</body></html>", "a web page"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "text"),
        (b"PK\x03\x04" + b"\0" * 40, "a zip archive"),
        (b"\x00\x00\x00\x20ftypavif", "data|text"),
    ],
)
def test_what_is_no_picture_is_named(content: bytes, found: str) -> None:
    with pytest.raises(ImageFault, match=f"no picture: found .*({found})"):
        decode(content, SAME)


def test_formats_beyond_the_five_are_not_tried(saved, quarters) -> None:
    for kind in ("TIFF", "ICO", "TGA", "PPM"):
        with pytest.raises(ImageFault, match="no picture"):
            decode(saved(quarters, kind), SAME)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "JPEG", "BMP"])
def test_broken_files_are_refused_and_never_crash(saved, quarters, kind: str) -> None:
    noisy = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    whole = saved(noisy, kind)
    for part in (0.2, 0.5, 0.9):
        with pytest.raises(ImageFault, match=r"broken picture|no picture"):
            decode(whole[: int(len(whole) * part)], SAME)
    rng = np.random.default_rng(1)
    for _ in range(150):
        harmed = bytearray(whole)
        for at in rng.integers(0, min(len(harmed), 400), rng.integers(1, 6)):
            harmed[at] = rng.integers(256)
        with suppress(ImageFault):
            assert decode(bytes(harmed), SAME).shape == (32, 48, 3)


def test_a_form_goes_through_a_recipe() -> None:
    form = ImageForm(height=80, width=60)
    assert build(ImageForm, plain(form)) == form
    assert plain(form) == {"height": 80, "width": 60, "fit": "letterbox", "filter": "bilinear"}
    with pytest.raises(ConfigError):
        build(ImageForm, {"fit": "crop"})


def test_without_pillow_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(MissingDependency, match=r"pip install 'shopstill\[vision\]'"):
        decode(b"", SAME)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png_head(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1_000)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _png16(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.astype(">u2").view(np.uint8).reshape(height, -1)], 1)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    data = zlib.compress(rows.tobytes())
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
