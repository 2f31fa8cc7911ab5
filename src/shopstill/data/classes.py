"""Products as examples of classes: which class, which text, which picture; and a split that lets nothing leak."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import ConfigError, DataError
from shopstill.data.class_groups import groups, parts, worded
from shopstill.data.class_sides import NEEDED, publishers, side_of
from shopstill.data.class_words import ClassWords
from shopstill.data.deal import deal
from shopstill.data.shop import Shop
from shopstill.data.split import SplitConfig
from shopstill.data.text import normalise

log = logging.getLogger(__name__)

SEPARATOR = " > "
NO_CATEGORY, RARE = "no category", "rare class"


@config
class ClassConfig:
    """What a product's class is, and what is known of the product.

    Attributes:
        level: the step of the category's path that is the class, from 0 (root) or from -1 (leaf) upwards; the whole
            path where None. Steps of one name are one class, wherever they stand.
        text: columns of the products table that make the text, in this order; attributes give their values.
        class_words: ``keep`` leaves texts as they are; ``drop_own`` takes the words of a product's own class out of its
            text, as is usual, though it looks at the class to do so; ``drop_all`` takes out those of every class.
        least: products that a class must have; smaller ones are left out and counted.
    """

    level: int | None = -1
    text: tuple[Literal["title", "description", "brand", "attributes"], ...] = Field(default=("title",), min_length=1)
    class_words: Literal["keep", "drop_own", "drop_all"] = "keep"
    least: int = Field(default=10, ge=1)


@dataclass(frozen=True, kw_only=True)
class ClassRows:
    """Products and their classes.

    Attributes:
        table: ``product_id``, ``title``, ``text``, ``image`` (null where there is none), ``label``, the number of the
            class, ``side``, the publisher's, and ``folder``, of pictures sorted into folders the one below the class's;
            in the shop's order.
        classes: their names, sorted.
        left_out: products without a category at this level, and those of classes that are too small.
        rare: name and count of each class that is too small.
        emptied: products whose text has no word left, or had none.
        paths: the steps of each class, where classes are whole paths, else empty; a step's name may hold what parts
            steps in the name of a class, and of paths that read the same, which are one class, it is the longest.
    """

    table: pa.Table
    classes: tuple[str, ...]
    left_out: dict[str, int]
    rare: dict[str, int]
    emptied: int
    paths: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return self.table.num_rows


def class_rows(shop: Shop, settings: ClassConfig) -> ClassRows:
    """The products of a shop as examples of classes.

    Raises:
        DataError: fewer than two classes are left.
    """
    columns = list(dict.fromkeys(["product_id", "title", "category", "image", "attributes", *settings.text]))
    named, whole = _named(shop, settings.level)
    count = Counter(filter(None, named))
    classes = tuple(sorted(name for name, rows in count.items() if rows >= settings.least))
    if len(classes) < 2:
        raise DataError(_too_few(named, count, len(classes), settings))
    number = {name: label for label, name in enumerate(classes)}
    words = _Words(settings, classes)
    pieces, at = [], 0
    for batch in shop.scan("products", columns):
        pieces.append(_piece(pa.table(batch), named[at : at + batch.num_rows], number, settings, words))
        at += batch.num_rows
    rare = {name: rows for name, rows in sorted(count.items()) if name not in number}
    found = ClassRows(
        table=pa.concat_tables(pieces),
        classes=classes,
        paths=tuple(whole[name] for name in classes) if settings.level is None else (),
        left_out={NO_CATEGORY: named.count(None), RARE: sum(rare.values())},
        rare=rare,
        emptied=words.emptied,
    )
    log.info("%d products of %d classes; left out: %s", len(found), len(classes), found.left_out)
    return found


def _too_few(named: Sequence[str | None], count: Mapping[str, int], large: int, settings: ClassConfig) -> str:
    """Why there are not two classes, and what mends it."""
    at = "of whole paths" if settings.level is None else f"at level {settings.level}"
    if not count:
        return (
            f"none of {len(named):,} products has a category {at}: map category in the reader to the column that has "
            "it, or choose another level"
        )
    return (
        f"{large} of {len(count)} classes {at} have {settings.least} products or more; two at least are needed: lower "
        "least, or choose another level"
    )


def split_classes(
    rows: ClassRows, settings: SplitConfig, contents: Sequence[Hashable | None] | None = None
) -> pa.Table:
    """Part products into train, valid and test, in the same shares within each class.

    Products with pictures of one content stay on one side, and so do those of one class whose titles, or whose texts,
    are equal but for case and the spelling of units; a title that is the name of the picture's file says nothing.
    Pictures in one folder below that of the class show one thing, and stay together, unless they are more than 100:
    that folder is a class within the class, and its pictures are things of their own. The split depends on ids, texts,
    pictures and the seed, and not on the order of rows.

    Args:
        rows: the products.
        settings: the shares and the seed.
        contents: a name of each row's picture, such as ``Images.contents``; None for a row without one.

    Returns:
        ``product_id``, ``split``; in the order of ``rows``. With the publisher's sides, products that are the same as
        held-out ones are left out.

    Raises:
        ConfigError: the shares leave nothing to train on, folds are asked for, or sides that nobody named.
        DataError: there are too few products.
    """
    if settings.folds:
        raise ConfigError("split.folds: is for queries; products are parted by valid, test and seed")
    if settings.valid + settings.test >= 1:
        raise ConfigError(f"split: valid {settings.valid} + test {settings.test} leave nothing to train on; lower one")
    ids = rows.table["product_id"].to_pylist()
    shares = {"test": settings.test, "valid": settings.valid}
    together = list(groups(rows.table, rows.classes, contents or [None] * len(ids)))
    given = dict(zip(ids, rows.table["side"].to_pylist(), strict=True))
    if settings.publisher:
        sides = publishers(together, given, settings.valid, settings.seed, rows.classes)
    else:
        _warn(given.values())
        sides = deal(together, shares, "train", settings.seed, strata=rows.classes, each=True, of="products")
    kept = [name for name in ids if name in sides]
    return pa.table(
        {"product_id": pa.array(kept, pa.string()), "split": pa.array([sides[name] for name in kept], pa.string())}
    )


def _warn(given: Iterable[str | None]) -> None:
    there = Counter(filter(None, given))
    if there:
        told = "the publisher's own sides (%s) are not kept; products are parted by chance%s"
        advice = ": set split.publisher: true" if all(side in there for side in NEEDED) else ""
        log.warning(told, ", ".join(f"{side} {count:,}" for side, count in there.items()), advice)


def _named(shop: Shop, level: int | None) -> tuple[list[str | None], dict[str, tuple[str, ...]]]:
    """The class of each product, and a path to each class."""
    named: list[str | None] = []
    whole: dict[str, tuple[str, ...]] = {}
    for batch in shop.scan("products", ["category"]):
        for path in _paths(batch):
            name = _class(path, level)
            named.append(name)
            if path and name is not None:
                whole[name] = max(whole.get(name, ()), tuple(path), key=len)
    return named, whole


def _paths(batch: pa.RecordBatch) -> list[list[str] | None]:
    return batch.column("category").to_pylist()


def _class(path: list[str] | None, level: int | None) -> str | None:
    if not path:
        return None
    if level is None:
        return SEPARATOR.join(path)
    return path[level] if -len(path) <= level < len(path) else None


class _Words:
    """Texts without words of classes, as the settings ask; counts those that say nothing then."""

    def __init__(self, settings: ClassConfig, classes: Iterable[str]) -> None:
        self.emptied = 0
        self._how = settings.class_words
        self._of_all = ClassWords(classes) if self._how == "drop_all" else None

    def clean(self, text: str, name: str) -> str:
        """The text of a product of a class."""
        words = _words_of(name) if self._how == "drop_own" else self._of_all
        left = words.removed_from(text) if words else text
        self.emptied += not worded(left)
        return left


@lru_cache(maxsize=1 << 14)
def _words_of(name: str) -> ClassWords:
    return ClassWords([name])


def _piece(
    data: pa.Table, named: Sequence[str | None], number: dict[str, int], settings: ClassConfig, words: _Words
) -> pa.Table:
    rows = [row for row, name in enumerate(named) if name in number]
    kept = [str(named[row]) for row in rows]
    data = data.take(pa.array(rows, pa.int64()))
    columns = [[_said(value) for value in data[name].to_pylist()] for name in settings.text]
    texts = [" ".join(filter(None, parts)) for parts in zip(*columns, strict=True)]
    return pa.table(
        {
            **{name: data[name] for name in ("product_id", "title", "image")},
            "text": pa.array([words.clean(text, name) for text, name in zip(texts, kept, strict=True)], pa.string()),
            "label": pa.array([number[name] for name in kept], pa.int32()),
            "side": pa.array([side_of(said) for said in data["attributes"].to_pylist()], pa.string()),
            "folder": pa.array(_folders(data, settings.level), pa.string()),
        }
    )


def _folders(data: pa.Table, level: int | None) -> Iterator[str | None]:
    """The folder of each picture, where folders make the category's path and the class is not the last of them."""
    for image, path in zip(data["image"].to_pylist(), data["category"].to_pylist(), strict=True):
        folder = parts(image)[0]
        deeper = level is not None and level % len(path) < len(path) - 1
        yield folder if deeper and _steps(folder)[-len(path) :] == path else None


@lru_cache(maxsize=1 << 14)
def _steps(folder: str) -> list[str]:
    """The names of nested folders as a category's path has them."""
    return [step for step in map(normalise, folder.split("/")) if step]


def _said(value: Any) -> str | None:
    """A text, or the values of attributes in a row."""
    return " ".join(said for _, said in value) if isinstance(value, list) else value
