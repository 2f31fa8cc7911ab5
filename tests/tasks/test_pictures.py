"""Products whose pictures are not where they are said to be: how many, why, and what to do."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from shopstill.core.config import build
from shopstill.core.errors import DataError
from shopstill.data.classes import ClassConfig, class_rows
from shopstill.data.images import ImageForm
from shopstill.data.ingest import ingest
from shopstill.data.readers.columns import Columns
from shopstill.data.shop import Shop
from shopstill.tasks._pictures import pictures_of

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
    with pytest.raises(DataError, match=r"none of 20 pictures can be used: .*no such picture.*task.pictures: null"):
        pictures(named(0))


@pytest.mark.parametrize(("there", "level"), [(17, logging.WARNING), (19, logging.INFO), (20, None)])
def test_products_without_a_picture_are_counted(named, caplog, there: int, level: int | None) -> None:
    with caplog.at_level(logging.INFO, "shopstill.tasks"):
        pictures(named(there))
    said = [r for r in caplog.records if "no picture to see" in r.getMessage()]
    assert [r.levelno for r in said] == ([level] if level else [])
    if said:
        lacking = 20 - there
        assert f"{lacking} of 20 products have no picture to see: 0 name none, of {lacking}" in said[0].getMessage()
