"""Products whose pictures are not where they are said to be: how many, why, and what to do."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from shopstill.core.config import build
from shopstill.core.errors import DataError
from shopstill.data.classes import ClassConfig, class_rows
from shopstill.data.images import ImageForm
from shopstill.data.ingest import ingest
from shopstill.data.readers.columns import Columns
from shopstill.data.readers.image_folder import ImageFolder
from shopstill.data.shop import Shop
from shopstill.data.split import SplitConfig
from shopstill.tasks import left_out_of
from shopstill.tasks._pictures import pictures_of
from shopstill.tasks.categorise import Categorise

Image = pytest.importorskip("PIL.Image", reason="Pillow reads the pictures")
FORM = ImageForm(height=8, width=8)


def pictures(shop):
    return pictures_of(shop, class_rows(shop, ClassConfig(least=1)), FORM)


@pytest.fixture
def named(tmp_path: Path):
    """A shop of twenty products that name a picture each, of which the first are there."""

    def made(there: int):
        for number in range(there):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
        rows = "".join(f"{n},thing {n},{'AB'[n % 2]},{n}.png\n" for n in range(20))
        (tmp_path / "p.csv").write_text("product_id,title,category,image\n" + rows)
        columns = {name: name for name in ("product_id", "title", "category", "image")}
        reader = build(Columns, {"products": {"path": tmp_path / "p.csv", "columns": columns}})
        ingest(reader.read(), tmp_path / "in")
        return Shop(tmp_path / "in" / "shop")

    return made


def test_no_picture_at_all_is_refused(named) -> None:
    with pytest.raises(DataError, match=r"^none of 20 pictures can be used: .*no such picture.*task.pictures: null"):
        pictures(named(0))


@pytest.mark.parametrize(("there", "level"), [(17, logging.WARNING), (19, logging.INFO), (20, None)])
def test_products_without_a_picture_are_counted(named, caplog, there: int, level: int | None) -> None:
    with caplog.at_level(logging.INFO, "shopstill.tasks"):
        pictures(named(there))
    said = [r for r in caplog.records if "no picture to see" in r.getMessage()]
    assert [r.levelno for r in said] == ([level] if level else [])
    if said:
        lacking = 20 - there
        told = f"{lacking} of 20 products have no picture to see: 0 name none, and are white; of {lacking} it cannot be"
        assert told in said[0].getMessage()


def _parted(shop: Shop) -> tuple[pa.Table, dict[str, set[str]]]:
    task = Categorise(classes=ClassConfig(level=0, least=1), pictures=FORM)
    split = task.split(shop, SplitConfig(valid=0.3, test=0.3, seed=1))
    sides = {side: pc.equal(split["split"], side) for side in ("train", "valid", "test")}
    return split, {side: set(split.filter(mask)["product_id"].to_pylist()) for side, mask in sides.items()}


def test_what_cannot_be_seen_is_not_learnt_from_and_counted(named) -> None:
    _, whole = _parted(named(20))
    shop = named(20)
    broken = {"1", "4", "7", "8", "9", "12", "15", "18"}
    for name in broken:
        (shop.path.parent.parent / f"{name}.png").write_bytes(b"no picture")
    split, parts = _parted(shop)
    assert whole["train"] & broken
    assert not parts["train"] & broken
    assert (whole["valid"] | whole["test"]) & broken <= parts["valid"] | parts["test"], "titles say what they are"
    assert left_out_of(split) == {"picture cannot be used": 20 - len(split)}
    task = Categorise(classes=ClassConfig(level=0, least=1), pictures=FORM)
    course = task.open(shop, split, SplitConfig(), 0)
    known = course.rows.table["product_id"].to_pylist()
    assert not {known[row] for row in course.questions("train").row_N} & broken
    tested = course.truth("test")
    seen = ["none to see" if name in broken else "seen" for name in tested.product_ids]
    assert tested.slices["picture"] == seen
    assert np.isin("none to see", seen)


def test_a_picture_that_names_no_file_is_still_white_and_learnt_from(named, tmp_path: Path) -> None:
    shop = named(20)
    rows = (tmp_path / "p.csv").read_text().replace("1.png", "", 1)
    (tmp_path / "p.csv").write_text(rows)
    columns = {name: name for name in ("product_id", "title", "category", "image")}
    reader = build(Columns, {"products": {"path": tmp_path / "p.csv", "columns": columns}})
    ingest(reader.read(), tmp_path / "again")
    split, parts = _parted(Shop(tmp_path / "again" / "shop"))
    assert len(shop.read("products", ["product_id"])) == len(split) == sum(map(len, parts.values()))
    assert left_out_of(split) == {}


def test_a_file_in_a_folder_that_cannot_be_seen_is_in_no_part(tmp_path: Path) -> None:
    for number in range(20):
        place = tmp_path / "p" / "AB"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(place)
    for number in (2, 3, 10, 11, 16):
        (tmp_path / "p" / "AB"[number % 2] / f"{number}.png").write_bytes(b"")
    ingest(ImageFolder(path=tmp_path / "p").read(), tmp_path / "in")
    split, _ = _parted(Shop(tmp_path / "in" / "shop"))
    assert len(split) == 15
    assert left_out_of(split) == {"picture cannot be used": 5}


def test_a_part_whose_pictures_all_cannot_be_used_is_refused_with_the_cause(tmp_path: Path) -> None:
    for number in range(20):
        place = tmp_path / "p" / "AB"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"no picture")
    Image.new("RGB", (8, 8)).save(tmp_path / "p" / "A" / "0.png")
    ingest(ImageFolder(path=tmp_path / "p").read(), tmp_path / "in")
    with pytest.raises(
        DataError, match=r"split: no product to .*: of all \d+ that there were the picture cannot be used"
    ):
        _parted(Shop(tmp_path / "in" / "shop"))
