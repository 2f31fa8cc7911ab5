"""Shops of pictures: Fashion Product Images, folders of classes, and texts that have a class and no id."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import pytest

from shopstill.core.config import build
from shopstill.core.errors import ConfigError, DataError
from shopstill.data.ingest import ingest
from shopstill.data.readers import READERS
from shopstill.data.readers.columns import Columns
from shopstill.data.readers.fashion import Fashion
from shopstill.data.readers.image_folder import ImageFolder
from shopstill.data.shop import Shop

HEAD = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName\n"


def products(reader, tmp_path: Path) -> list[dict]:
    ingest(reader.read(), tmp_path / "out")
    return Shop(tmp_path / "out" / "shop").read("products").to_pylist()


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    folder = tmp_path / "fashion"
    (folder / "images").mkdir(parents=True)
    (folder / "styles.csv").write_text(
        HEAD + "1,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Turtle, Check, Shirt\n"
        '2,Women,Accessories,Watches,Watches,,,,NA,"Titan, Silver"\n'
        "3,Men,Apparel,,Jeans,Blue,Fall,2011,Casual,Levis\n"
        "4,Men,Apparel\n"
    )
    for name in ("1.jpg", "2.JPEG", "9.jpg", "notes.txt"):
        (folder / "images" / name).write_bytes(b"")
    return folder


def test_fashion_rows_become_products(fashion: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second, third = products(Fashion(path=fashion), tmp_path)
    assert (first["title"], first["category"]) == ("Turtle, Check, Shirt", ["Apparel", "Topwear", "Shirts"])
    assert dict(first["attributes"])["baseColour"] == "Navy Blue"
    assert (second["title"], second["attributes"]) == ("Titan, Silver", [("gender", "Women")])
    assert third["category"] == ["Apparel"], "a class below a gap would slip up a level"
    assert [p["image"] for p in (first, second, third)] == [
        str(fashion / "images" / "1.jpg"),
        str(fashion / "images" / "2.JPEG"),
        None,
    ]
    assert "1 of 3 products have no picture" in caplog.text


def test_fashion_names_may_be_missing_or_begin_with_quotes(fashion: Path, tmp_path: Path) -> None:
    row = "Men,Apparel,Topwear,Shirts,Red,Fall,2011,Casual"
    names = ["", '"Bad" quote 4', '"Bad", more', '"Bad" "', "Shirt"]
    (fashion / "styles.csv").write_text(HEAD + "".join(f"{at},{row},{name}\n" for at, name in enumerate(names)))
    found = products(Fashion(path=fashion), tmp_path)
    assert [(p["product_id"], p["title"]) for p in found] == [
        ("0", "0"),
        ("1", '"Bad" quote 4'),
        ("2", "Bad, more"),
        ("3", '"Bad" "'),
        ("4", "Shirt"),
    ]
    assert found[0]["category"] == ["Apparel", "Topwear", "Shirts"]
    assert found[1]["image"] == str(fashion / "images" / "1.jpg")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_fashion_names_may_open_a_quote_that_nothing_closes(fashion: Path, tmp_path: Path, ending: str) -> None:
    row = "Men,Apparel,Topwear,Shirts,Red,Fall,2011,Casual"
    names = ['"Bad Boys', '"Bad Boys, blue', "Shirt", '"Two\nlines"', '3.5" Short', '"Closed, and quoted"', '"Last']
    text = HEAD + "".join(f"{at},{row},{name}\n" for at, name in enumerate(names))
    (fashion / "styles.csv").write_bytes(text.replace("\n", ending).encode())
    (chunk,) = Fashion(path=fashion).read()
    assert not chunk.rejects
    assert chunk.lines.to_pylist() == [2, 3, 4, 5, 7, 8, 9]
    titles = ['"Bad Boys', '"Bad Boys, blue', "Shirt", f"Two{ending}lines", '3.5" Short', "Closed, and quoted", '"Last']
    assert chunk.data["title"].to_pylist() == titles


def test_a_quote_that_nothing_closes_costs_no_other_row(fashion: Path) -> None:
    row = "Men,Apparel,Topwear,Shirts,Red,Fall,2011,Casual"
    names = [f'"{at}' if at % 700 == 0 else f"Shirt {at}" for at in range(5000)]
    (fashion / "styles.csv").write_text(HEAD + "".join(f"{at},{row},{name}\n" for at, name in enumerate(names)))
    found = [title for chunk in Fashion(path=fashion).read() for title in chunk.data["title"].to_pylist()]
    assert found == names


def test_pictures_in_a_zip_are_named_by_archive_and_member(fashion: Path, tmp_path: Path) -> None:
    before = products(Fashion(path=fashion), tmp_path)
    with zipfile.ZipFile(fashion / "images.zip", "w") as archive:
        for name in ("thumbs/1.jpg", "1.jpg", "2.JPEG"):
            archive.writestr(name, b"")
    for path in (fashion / "images").iterdir():
        path.unlink()
    (fashion / "images").rmdir()
    after = products(Fashion(path=fashion / "styles.csv"), tmp_path)
    assert [p["image"] for p in after] == [f"{fashion}/images.zip!/1.jpg", f"{fashion}/images.zip!/2.JPEG", None]
    assert [{**p, "image": 0} for p in after] == [{**p, "image": 0} for p in before]
    (fashion / "images.zip").unlink()
    with pytest.raises(DataError, match="set pictures: false"):
        Fashion(path=fashion).sources()
    assert [p["image"] for p in products(Fashion(path=fashion, pictures=False), tmp_path)] == [None] * 3


def test_a_folder_a_class(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "pictures"
    shown = ("b/inner/Blue Mug.png", "b/x.GIF", "a/x.webp", "top.bmp", "c/y.jfif", "c/z.jpe")
    for name in (*shown, "a/Thumbs.db", "a/.hidden.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    with caplog.at_level(logging.INFO):
        rows = products(ImageFolder(path=root), tmp_path)
    assert [(p["product_id"], p["title"], p["category"]) for p in rows] == [
        ("a/x.webp", "x", ["a"]),
        ("b/inner/Blue Mug.png", "Blue Mug", ["b", "inner"]),
        ("b/x.GIF", "x", ["b"]),
        ("c/y.jfif", "y", ["c"]),
        ("c/z.jpe", "z", ["c"]),
        ("top.bmp", "top", None),
    ]
    assert rows[1]["image"] == str(root / "b/inner/Blue Mug.png")
    assert "1 of 7 files are no pictures, such as a/Thumbs.db" in caplog.text


@pytest.mark.parametrize(("pictures", "level"), [(8, "WARNING"), (9, "INFO")])
def test_many_files_that_are_no_pictures_are_a_warning(
    pictures: int, level: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "pictures").mkdir()
    for name in ("notes.txt", *(f"{at}.png" for at in range(pictures))):
        (tmp_path / "pictures" / name).write_bytes(b"")
    with caplog.at_level(logging.INFO):
        list(ImageFolder(path=tmp_path / "pictures").read())
    assert [record.levelname for record in caplog.records] == [level]


def test_a_folder_that_is_a_link_is_read_and_a_loop_is_not(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "pictures", tmp_path / "elsewhere"
    for path in (root / "a" / "x.jpg", elsewhere / "y.jpg"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    (root / "b").symlink_to(elsewhere)
    (root / "a" / "again").symlink_to(root)
    (elsewhere / "back").symlink_to(root)
    rows = products(ImageFolder(path=root), tmp_path)
    assert [p["product_id"] for p in rows] == ["a/x.jpg", "b/y.jpg"]


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"holds no picture .*found: notes\.txt"):
        list(ImageFolder(path=tmp_path).read())
    for path in (tmp_path / "gone", tmp_path / "gone.zip"):
        with pytest.raises(DataError, match="gone"):
            ImageFolder(path=path).sources()
        with pytest.raises(DataError, match="gone"):
            list(ImageFolder(path=path).read())


def test_a_file_name_that_is_no_text_is_rejected(tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    (root / "a").mkdir(parents=True)
    (root / "a" / "ok.jpg").write_bytes(b"")
    try:
        (root / "a" / "caf\udce9.jpg").write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes no such name")
    (chunk,) = ImageFolder(path=root).read()
    assert chunk.data["product_id"].to_pylist() == ["a/ok.jpg"]
    assert [(r.line, r.reason) for r in chunk.rejects] == [(1, "broken encoding")]


REVIEWS = {"columns": {"title": "review", "category": "cat"}, "attributes": {"polarity": "label"}}


def test_labelled_texts_get_the_number_of_their_line(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_bytes('cat,label,review\n书籍,1,很好\n手机,0,"差\n评"\n手机,1,\n手机,1,快\n'.encode("gb18030"))
    reader = build(Columns, {"products": {"path": path, "encoding": "gb18030", **REVIEWS}})
    found = [(p["product_id"], p["title"], p["category"], p["attributes"]) for p in products(reader, tmp_path)]
    assert found == [
        ("2", "很好", ["书籍"], [("polarity", "1")]),
        ("3", "差 评", ["手机"], [("polarity", "0")]),
        ("6", "快", ["手机"], [("polarity", "1")]),
    ]


def test_two_files_in_a_zip_have_no_lines_in_common(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.csv", "b.csv"):
            archive.writestr(name, "cat,label,review\nbooks,1,good\n")
    with pytest.raises(DataError, match=r"b\.csv: is a second file .*map product_id"):
        list(build(Columns, {"products": {"path": path, **REVIEWS}}).read())
    with pytest.raises(ConfigError, match="lacks 'title'"):
        list(build(Columns, {"products": {"path": path, "columns": {"category": "cat"}}}).read())


def test_real_fashion(real, tmp_path: Path) -> None:
    report = ingest(READERS.get("fashion")(path=real("fashion-images")).read(), tmp_path, strict=True)
    assert report.kept == {"products": 16_000}
    table = Shop(tmp_path / "shop").read("products")
    assert table["image"].null_count == 0
    paths = table["category"].to_pylist()
    assert [len({path[level] for path in paths}) for level in range(3)] == [6, 43, 133]


def test_real_chinese_reviews(real, tmp_path: Path) -> None:
    path = real("zh-online-shopping/online_shopping_10_cats.zip")
    reader = build(Columns, {"products": {"path": path, "format": "csv", **REVIEWS}})
    report = ingest(reader.read(), tmp_path)
    assert (report.kept, report.rejected) == ({"products": 62_773}, {"products: missing": 1})
    table = Shop(tmp_path / "shop").read("products", ["product_id", "category", "attributes", "language"])
    assert len({path[0] for path in table["category"].to_pylist()}) == 10
    assert {dict(row)["polarity"] for row in table["attributes"].to_pylist()} == {"0", "1"}
