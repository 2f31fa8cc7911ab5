"""Pictures of many rows: each decoded once, found again by content, the bad ones counted and named."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from shopstill.core.errors import DataError
from shopstill.data.images import ImageForm, Images, decode, packs, read, read_images
from shopstill.data.images.packs import Packs
from shopstill.data.ingest import ingest
from shopstill.data.readers.fashion import Fashion
from shopstill.data.rejects import Rejects
from shopstill.data.shop import Shop

FORM = ImageForm(height=16, width=12)


@pytest.fixture
def shop(tmp_path: Path, saved) -> Path:
    """Ten pictures in a folder, and the same in a zip."""
    (tmp_path / "shop").mkdir()
    with zipfile.ZipFile(tmp_path / "shop" / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(10):
            content = saved(np.full((20, 30, 3), 20 * number, np.uint8))
            (tmp_path / "shop" / f"{number}.png").write_bytes(content)
            archive.writestr(f"a/{number}.png", content)
    return tmp_path / "shop"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each picture that is decoded."""
    seen: list[int] = []

    def counted(content: bytes, *rest):
        seen.append(len(content))
        return decode(content, *rest)

    monkeypatch.setattr(read, "decode", counted)
    return seen


def brightness(images: Images) -> list[int]:
    return images.take(range(len(images)))[:, 8, 6, 0].tolist()


def test_rows_keep_their_order_and_gaps(shop: Path, tmp_path: Path) -> None:
    rows = ["3.png", None, "images.zip!/a/4.png", str(shop / "5.png"), "3.png"]
    images = read_images(rows, FORM, tmp_path / "cache", root=shop)
    assert brightness(images) == [60, 255, 80, 100, 60]
    assert images.there_N.tolist() == [True, False, True, True, True]
    assert (images.missing, images.rejects) == (1, ())
    assert images.take([4, 0]).shape == (2, 16, 12, 3)
    assert images.take([]).shape == (0, 16, 12, 3)
    assert (images.take([0])[0] == decode((shop / "3.png").read_bytes(), FORM)).all()


def test_nothing_is_decoded_twice(shop: Path, tmp_path: Path, decoded: list[int]) -> None:
    first = read_images([f"{n}.png" for n in range(5)], FORM, tmp_path / "cache", root=shop, threads=1)
    assert len(decoded) == 5
    moved = [f"images.zip!/a/{n}.png" for n in range(6)]
    second = read_images(moved, FORM, tmp_path / "cache", root=shop, threads=1)
    assert len(decoded) == 6, "one of the six is new, whatever the others were called"
    assert (second.take(range(5)) == first.take(range(5))).all()
    read_images(moved, ImageForm(height=16, width=16), tmp_path / "cache", root=shop)
    assert len(decoded) == 12, "another form is another picture"


def test_another_content_under_the_same_name_is_seen(shop: Path, tmp_path: Path, saved) -> None:
    assert brightness(read_images(["3.png"], FORM, tmp_path / "cache", root=shop)) == [60]
    (shop / "3.png").write_bytes(saved(np.full((20, 30, 3), 200, np.uint8)))
    assert brightness(read_images(["3.png"], FORM, tmp_path / "cache", root=shop)) == [200]


@pytest.mark.parametrize("threads", [1, 3])
def test_packs_windows_and_threads_do_not_show(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    rows = [f"{n % 10}.png" if n % 7 else None for n in range(45)]
    whole = read_images(rows, FORM, tmp_path / "whole", root=shop)
    monkeypatch.setattr(packs, "_PACK_BYTES", 3 * 16 * 12 * 3)
    monkeypatch.setattr(read, "_WINDOW", 4)
    pieces = read_images(rows, FORM, tmp_path / "pieces", root=shop, threads=threads)
    assert (whole.take(range(45)) == pieces.take(range(45))).all()
    assert whole.contents == pieces.contents
    assert len(list((tmp_path / "pieces").glob("*/*.npy"))) > 3


def test_pictures_that_look_the_same_share_a_name(shop: Path, tmp_path: Path, saved) -> None:
    content = (shop / "3.png").read_bytes()
    picture = pytest.importorskip("PIL.Image").fromarray(np.full((20, 30, 3), 60, np.uint8))
    (shop / "again.bmp").write_bytes(saved(picture, "BMP"))
    assert (shop / "again.bmp").read_bytes() != content
    images = read_images(["3.png", "again.bmp", "4.png", None], FORM, tmp_path / "cache", root=shop)
    assert images.contents[0] == images.contents[1] != images.contents[2]
    assert images.contents[3] is None


def test_bad_pictures_are_named_and_the_others_stay(shop: Path, tmp_path: Path, caplog) -> None:
    (shop / "half.png").write_bytes((shop / "3.png").read_bytes()[:60])
    (shop / "page.jpg").write_bytes(b"<html>404</html>")
    (shop / "torn.zip").write_bytes((shop / "images.zip").read_bytes()[:300])
    bad = [
        "half.png",
        "page.jpg",
        "gone.png",
        "images.zip!/a/99.png",
        "gone.zip!/a.png",
        "torn.zip!/a/1.png",
        "https://shop.example/1.png",
        "//shop.example/1.png",
        "data:image/png;base64,AAAA",
        ".",
        "a\0b.png",
        "",
    ]
    images = read_images(["3.png", *bad, "4.png"], FORM, tmp_path / "cache", root=shop)
    assert brightness(images) == [60, *[255] * len(bad), 80]
    assert [reject.value for reject in images.rejects] == bad
    assert str(images.rejects[2]).startswith("gone.png: products.image: no such picture")
    kinds = [reject.reason.partition(":")[0] for reject in images.rejects]
    assert kinds == [
        "broken picture",
        "no picture",
        *["no such picture"] * 3,
        "broken picture",
        *["an address"] * 3,
        *["no such picture"] * 3,
    ]
    assert "12 pictures are left out (6 no such picture" in caplog.text
    with Rejects(tmp_path / "rejected.parquet", strict=False) as rejects:
        rejects.add(images.rejects)
    assert rejects.counts["products: an address"] == 3
    assert pq.read_table(tmp_path / "rejected.parquet").num_rows == len(bad)


def test_a_member_that_is_damaged_costs_itself_alone(shop: Path, tmp_path: Path) -> None:
    path = shop / "images.zip"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("a/3.png")
    at = info.header_offset + 30 + len("a/3.png") + info.compress_size // 2
    content[at : at + 8] = b"\xff" * 8
    path.write_bytes(content)
    images = read_images([f"images.zip!/a/{n}.png" for n in range(6)], FORM, tmp_path / "cache", root=shop)
    assert [reject.value for reject in images.rejects] == ["images.zip!/a/3.png"]
    assert brightness(images)[4] == 80


def test_unreadable_notes_of_a_camera_cost_nothing(shop: Path, tmp_path: Path, saved) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"
    (shop / "noted.jpg").write_bytes(saved(np.full((20, 30, 3), 60, np.uint8), "JPEG", exif=exif))
    assert brightness(read_images(["noted.jpg"], FORM, tmp_path / "cache", root=shop)) == [60]


def test_a_killed_run_leaves_nothing_half(shop: Path, tmp_path: Path, decoded: list[int]) -> None:
    rows = [f"{n}.png" for n in range(4)]
    read_images(rows, FORM, tmp_path / "cache", root=shop)
    (pack,) = (tmp_path / "cache").glob("*/*.npy")
    (pack.parent / "other.1234.draft").write_bytes(pack.read_bytes()[:50])
    assert brightness(read_images(rows, FORM, tmp_path / "cache", root=shop)) == [0, 20, 40, 60]
    assert len(decoded) == 4
    torn = tmp_path / "torn" / pack.parent.name
    torn.mkdir(parents=True)
    (torn / pack.name).write_bytes(pack.read_bytes()[:-10])
    with pytest.raises(DataError, match="delete it"):
        Packs(tmp_path / "torn", FORM)


def test_real_fashion_pictures(real, tmp_path: Path) -> None:
    ingest(Fashion(path=real("fashion-images")).read(), tmp_path / "in")
    names = Shop(tmp_path / "in" / "shop").read("products", ["image"])["image"].to_pylist()[:600]
    images = read_images(names, ImageForm(height=80, width=60), tmp_path / "cache")
    assert images.there_N.all()
    assert not images.rejects
    assert 150 < images.take(range(600)).mean() < 240, "products on white"
