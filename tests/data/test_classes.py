"""Products as examples of classes: levels, rare classes, words of the class, and splits that let nothing leak."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shopstill.core.config import build
from shopstill.core.errors import ConfigError, DataError
from shopstill.data.class_words import ClassWords
from shopstill.data.classes import ClassConfig, ClassRows, class_rows, split_classes
from shopstill.data.ingest import ingest
from shopstill.data.readers.columns import Columns
from shopstill.data.readers.fashion import Fashion
from shopstill.data.readers.image_folder import ImageFolder
from shopstill.data.shop import Shop
from shopstill.data.split import SplitConfig


@pytest.fixture
def shop(take_in, chunk) -> Shop:
    """Forty products: twenty shirts and twelve mugs, some scarves, one without a category, one of a shorter path."""
    rows = [(f"s{n}", f"Brand {n} Shirt", ["Clothes", "Tops", "Shirts"]) for n in range(20)]
    rows += [(f"m{n}", f"Mug number {n}", ["Home", "Kitchen", "Mugs"]) for n in range(12)]
    rows += [(f"c{n}", f"Warm scarf {n}", ["Clothes", "Winter", "Scarves"]) for n in range(6)]
    rows += [("x", "Mystery", None), ("h", "Home thing", ["Home"])]
    ids, titles, paths = zip(*rows, strict=True)
    said = pa.array([[("colour", "red"), ("size", "L")]] * len(ids), pa.map_(pa.string(), pa.string()))
    return take_in(chunk("products", product_id=ids, title=titles, category=paths, attributes=said)).shop


def sides(rows: ClassRows, contents=None, **settings) -> dict[str, str]:
    found = split_classes(rows, SplitConfig(**settings), contents)
    return dict(zip(*found.to_pydict().values(), strict=True))


def test_a_level_makes_the_classes(shop: Shop) -> None:
    leaves = class_rows(shop, ClassConfig(least=6))
    assert leaves.classes == ("Mugs", "Scarves", "Shirts")
    assert leaves.left_out == {"no category": 1, "rare class": 1}
    assert leaves.rare == {"Home": 1}
    named = [leaves.classes[label] for label in leaves.table["label"].to_pylist()]
    assert named == ["Shirts"] * 20 + ["Mugs"] * 12 + ["Scarves"] * 6
    assert class_rows(shop, ClassConfig(level=0)).classes == ("Clothes", "Home")
    assert len(class_rows(shop, ClassConfig(level=0))) == 39
    assert class_rows(shop, ClassConfig(level=-3)).left_out["no category"] == 2
    assert class_rows(shop, ClassConfig(level=None)).classes == ("Clothes > Tops > Shirts", "Home > Kitchen > Mugs")


def test_a_step_may_hold_what_parts_steps(take_in, chunk) -> None:
    paths = [["Home", "Cups > Mugs"], ["Home", "Pans"], ["Toys"]]
    found = take_in(chunk("products", product_id=["1", "2", "3"], title=["a", "b", "c"], category=paths)).shop
    rows = class_rows(found, ClassConfig(level=None, least=1))
    assert rows.classes == ("Home > Cups > Mugs", "Home > Pans", "Toys")
    assert rows.paths == (("Home", "Cups > Mugs"), ("Home", "Pans"), ("Toys",))
    assert class_rows(found, ClassConfig(level=0, least=1)).paths == ()


def test_small_classes_are_left_out_and_counted(shop: Shop) -> None:
    rows = class_rows(shop, ClassConfig(least=10))
    assert rows.rare == {"Home": 1, "Scarves": 6}
    assert rows.left_out == {"no category": 1, "rare class": 7}
    with pytest.raises(DataError, match=r"^1 of 4 classes at level -1 have 15 products or more"):
        class_rows(shop, ClassConfig(least=15))
    with pytest.raises(DataError, match=r"^none of 40 products has a category at level 7: map category in the reader"):
        class_rows(shop, ClassConfig(level=7))


def test_texts_are_made_of_columns_in_their_order(shop: Shop) -> None:
    rows = class_rows(shop, ClassConfig(text=("attributes", "title", "brand")))
    assert rows.table["text"][0].as_py() == "red L Brand 0 Shirt"
    assert rows.table["title"][0].as_py() == "Brand 0 Shirt"
    with pytest.raises(ConfigError):
        build(ClassConfig, {"text": ["price"]})


def test_pieces_do_not_show(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = class_rows(shop, ClassConfig(least=6)).table.to_pylist()
    scan = Shop.scan
    monkeypatch.setattr(Shop, "scan", lambda self, table, columns=None: scan(self, table, columns, rows=7))
    assert class_rows(shop, ClassConfig(least=6)).table.to_pylist() == whole


def test_words_of_the_own_class_or_of_all(take_in, chunk) -> None:
    titles = ["Mug with shirt print", "Shirts for mug lovers"]
    table = {"product_id": [f"{n}" for n in range(8)], "title": titles * 4, "category": [["Mugs"], ["Shirts"]] * 4}
    shop = take_in(chunk("products", **table)).shop
    texts = {
        how: class_rows(shop, ClassConfig(class_words=how, least=2)).table["text"].to_pylist()[:2]
        for how in ("keep", "drop_own", "drop_all")
    }
    assert texts["keep"] == titles
    assert texts["drop_own"] == ["with shirt print", "for mug lovers"]
    assert texts["drop_all"] == ["with print", "for lovers"]


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("Tshirts", "Nike Men's T-Shirt tshirts T SHIRT TShirt black", "Nike Men's black"),
        ("Flip Flops", "Beach Flipflops and flip-flop by Flips", "Beach and by"),
        ("Watches", "Titan watch, wrist-watch, swatch", "Titan , wrist- , swatch"),
        ("Scarves", "Warm Scarf", "Warm"),
        ("Accessories", "An accessory", "An"),
        ("Perfume and Body Mist", "Body and perfume, misty and mistaken", "and , misty and mistaken"),
        ("Dresses", "dress dressing address", "dressing address"),
        ("Casual Shoes", "Casual shoe", ""),
        ("Mugs", "", ""),
        ("手机", "手机壳 手机 iPhone手机case", "壳 iPhone case"),
        ("家居用品", "家居和用品，家具用品", "和 ，家具"),
        ("T恤", "男士t恤 红 T 恤", "男士 红 T 恤"),
        ("Ties", "a silk tie", "a silk"),
        ("---", "--- mug", "--- mug"),
    ],
)
def test_words_are_found_in_any_case_number_and_joint(name: str, text: str, left: str) -> None:
    assert ClassWords([name]).removed_from(text) == left


def test_texts_with_nothing_left_are_counted(take_in, chunk) -> None:
    titles = ["Mug", "red mugs", "Shirt!", "blue shirt"]
    table = {"product_id": list("abcd"), "title": titles, "category": [["Mugs"]] * 2 + [["Shirts"]] * 2}
    rows = class_rows(take_in(chunk("products", **table)).shop, ClassConfig(class_words="drop_own", least=1))
    assert (rows.table["text"].to_pylist(), rows.emptied) == (["", "red", "!", "blue"], 2)


def test_shares_hold_within_each_class(shop: Shop) -> None:
    rows = class_rows(shop, ClassConfig(least=6))
    found = sides(rows, valid=0.15, test=0.25)
    per_class = Counter((product_id[0], side) for product_id, side in found.items())
    assert {side: per_class["s", side] for side in ("train", "valid", "test")} == {"train": 12, "valid": 3, "test": 5}
    for name in "smc":
        assert all(per_class[name, side] for side in ("train", "valid", "test"))


def test_the_split_knows_no_order_and_repeats_under_a_seed(shop: Shop) -> None:
    rows = class_rows(shop, ClassConfig(least=6))
    found = sides(rows)
    mixed = ClassRows(
        table=rows.table.take(np.random.default_rng(0).permutation(len(rows))),
        classes=rows.classes,
        left_out={},
        rare={},
        emptied=0,
    )
    assert sides(mixed) == found == sides(rows)
    assert sides(rows, seed=1) != found
    assert [*found] == rows.table["product_id"].to_pylist()


def test_products_that_are_one_are_never_parted(take_in, chunk) -> None:
    titles = [f"Mug {n // 3}" if n % 3 else f"MUG  {n // 3}" for n in range(60)]
    paths = [["A"] if n % 30 < 15 else ["B"] for n in range(60)]
    shop = take_in(chunk("products", product_id=[f"p{n}" for n in range(60)], title=titles, category=paths)).shop
    rows = class_rows(shop, ClassConfig())
    for seed in range(5):
        found = sides(rows, seed=seed)
        assert all(len({found[f"p{n + i}"] for i in range(3)}) == 1 for n in range(0, 60, 3))
    # The last mug of each six looks like the first of the next.
    contents = [bytes([(n + 1) // 6]) if n % 6 in (0, 5) else None for n in range(60)]
    for seed in range(5):
        linked = sides(rows, contents, seed=seed)
        assert all(linked[f"p{n}"] == linked[f"p{n + 1}"] for n in range(5, 59, 6))


def folders(take_in, names: list[str], level: int) -> ClassRows:
    """Pictures as the names of files tell of them."""
    chunks = ImageFolder(path=Path("pictures")).chunks(names)
    return class_rows(take_in(*chunks).shop, ClassConfig(level=level, least=1))


@pytest.mark.parametrize(
    ("one", "view"),
    [("sku", "view"), ("item（1）", "view（1）"), ("cafe\u0301 ", "vue\u0301"), ("a  ½", "½"), ("a &amp; b", "&amp;y")],
)
def test_names_of_files_are_no_sign_and_views_of_one_product_stay_together(take_in, one: str, view: str) -> None:
    names = [f"{'AB'[n % 2]}/{one}{n}/{view}{side}.jpg" for n in range(30) for side in ("front", "back", "1")]
    rows = folders(take_in, names, 0)
    for seed in range(5):
        found = sides(rows, seed=seed)
        assert set(found.values()) == {"train", "valid", "test"}
        shown: dict[str, set[str]] = {}
        for name, side in found.items():
            shown.setdefault(name.rpartition("/")[0], set()).add(side)
        assert all(len(of) == 1 for of in shown.values())


def test_a_folder_of_many_pictures_below_a_class_is_a_class_of_its_own_and_no_one_thing(take_in, caplog) -> None:
    names = [f"{name}/{kind}/{n}.jpg" for name in "AB" for kind in ("one", "two") for n in range(150)]
    names += [f"A/sku/{view}.jpg" for view in range(5)]
    rows = folders(take_in, names, 0)
    with caplog.at_level("INFO", "shopstill.data"):
        found = sides(rows, test=0.2, valid=0.1)
    for name in "AB":
        shares = Counter(side for picture, side in found.items() if picture.startswith(f"{name}/"))
        assert shares["test"] == pytest.approx(60, abs=5)
        assert shares["valid"] == pytest.approx(30, abs=5)
    assert len({side for picture, side in found.items() if "/sku/" in picture}) == 1
    assert "4 folders of more than 100 pictures" in caplog.text
    assert "such as pictures/A/one" in caplog.text


def test_views_of_one_thing_are_a_hundred_at_most(take_in) -> None:
    for views, apart in ((100, False), (101, True)):
        names = [f"{name}/sku{n}/{view}.jpg" for name in "AB" for n in range(6) for view in range(views)]
        found = sides(folders(take_in, names, 0))
        shown = {side for picture, side in found.items() if picture.startswith("A/sku0/")}
        assert (len(shown) > 1) == apart


def test_pictures_in_the_folder_of_their_class_are_things_of_their_own(take_in) -> None:
    rows = folders(take_in, [f"{name}/{n}.jpg" for name in "AB" for n in range(20)], -1)
    assert rows.table["folder"].null_count == 40
    assert Counter(sides(rows).values()) == {"train": 28, "valid": 4, "test": 8}


SIDED = [f"{side}/{name}/{n}.jpg" for side in ("train", "Val", "test") for name in "AB" for n in range(9)]


def test_folders_of_sides_are_no_classes_and_are_kept_where_asked(take_in, caplog) -> None:
    rows = folders(take_in, SIDED, 0)
    assert rows.classes == ("A", "B")
    found = sides(rows, publisher=True)
    assert all(found[name] == {"Val": "valid"}.get(name.split("/")[0], name.split("/")[0]) for name in SIDED)
    assert "not kept" not in caplog.text
    # One picture of the training side looks like one that is tested on.
    contents = [b"same" if name in (SIDED[0], SIDED[-1]) else None for name in SIDED]
    linked = sides(rows, contents, publisher=True)
    assert SIDED[0] not in linked
    assert linked[SIDED[-1]] == "test"
    assert "1 products are the same as one that the publisher holds out" in caplog.text
    sides(rows)
    told = "(train 18, valid 18, test 18) are not kept; products are parted by chance: set split.publisher: true"
    assert told in caplog.text


def test_without_a_validation_side_some_of_the_training_products_choose_the_epoch(take_in) -> None:
    found = sides(folders(take_in, [name for name in SIDED if "Val" not in name], -1), publisher=True, valid=0.3)
    assert Counter(found.values()) == {"train": 12, "valid": 6, "test": 18}


def test_what_cannot_be_split_is_refused(shop: Shop) -> None:
    rows = class_rows(shop, ClassConfig(least=6))
    for wrong, told in (({"publisher": True}, "publisher"), ({"folds": 3}, "folds"), ({"valid": 0.8}, "nothing to")):
        with pytest.raises(ConfigError, match=told):
            sides(rows, **wrong)
    told = r"^1 different products \(38 products; .* as do 'c0' and 37 others\) are too few: .*; more products that"
    with pytest.raises(DataError, match=told):
        sides(rows, [b"same"] * len(rows))
    with pytest.raises(DataError, match="too few: test, valid would be empty; give each a larger share, or more"):
        sides(rows, valid=0.01, test=0.01)
    with pytest.raises(DataError, match="too few: train would be empty; lower the shares of the others, or more"):
        sides(rows, valid=0.3, test=0.69)


def test_real_fashion_classes(real, tmp_path: Path) -> None:
    ingest(Fashion(path=real("fashion-images"), pictures=False).read(), tmp_path)
    shop = Shop(tmp_path / "shop")
    rows = class_rows(shop, ClassConfig(level=1))
    assert (len(rows), len(rows.classes), rows.left_out["rare class"]) == (15_958, 32, 42)
    hidden = class_rows(shop, ClassConfig(level=2, class_words="drop_own"))
    assert (len(hidden), len(hidden.classes)) == (15_831, 86)
    shirts = [t for t, n in zip(*(hidden.table[c].to_pylist() for c in ("text", "label")), strict=True) if n == 80]
    assert not any("shirt" in text.lower().replace("-", "").split() for text in shirts)
    found = split_classes(rows, SplitConfig())["split"].to_pylist()
    seen = Counter(zip(found, rows.table["label"].to_pylist(), strict=True))
    assert all(seen[side, label] for side in ("train", "valid", "test") for label in range(32))


def test_real_chinese_classes(real, tmp_path: Path) -> None:
    path = real("zh-online-shopping/online_shopping_10_cats.zip")
    columns = {"title": "review", "category": "cat"}
    ingest(build(Columns, {"products": {"path": path, "format": "csv", "columns": columns}}).read(), tmp_path)
    rows = class_rows(Shop(tmp_path / "shop"), ClassConfig(class_words="drop_own"))
    assert (len(rows), len(rows.classes)) == (62_773, 10)
    names = [rows.classes[label] for label in rows.table["label"].to_pylist()]
    assert not any(name in text for name, text in zip(names, rows.table["text"].to_pylist(), strict=True))
