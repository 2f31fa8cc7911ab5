"""Products that are one for a leak: pictures, texts or folders of theirs are the same.

What they show is not learnt on one side of a split and tested on another.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence

import pyarrow as pa

from shopstill.data.deal import Group
from shopstill.data.text import fold, normalise

log = logging.getLogger(__name__)

_VIEWS = 100
"""Pictures that one thing has at most: a folder below the class's that holds more is a class of many."""


def groups(table: pa.Table, classes: Sequence[str], contents: Sequence[Hashable | None]) -> Iterator[Group]:
    """Products that are one for a leak, each group in the class of its first id.

    Args:
        table: that of ``ClassRows``.
        classes: their names.
        contents: a name of each row's picture, or None.
    """
    columns = table.select(["product_id", "label", "title", "text", "image", "folder"]).to_pydict()
    ids, labels = columns["product_id"], columns["label"]
    named = [_of_file(title, image) for title, image in zip(columns["title"], columns["image"], strict=True)]
    parent = list(range(len(ids)))
    texts = [columns["title"], *([columns["text"]] if columns["text"] != columns["title"] else [])]
    for signs in (contents, _things(columns["folder"]), *(_signs(column, labels, named) for column in texts)):
        first: dict[Hashable, int] = {}
        for row, sign in enumerate(signs):
            if sign is not None:
                _join(parent, first.setdefault(sign, row), row)
    members: dict[int, list[int]] = defaultdict(list)
    for row in range(len(ids)):
        members[_root(parent, row)].append(row)
    for group in members.values():
        held = sorted(group, key=lambda row: ids[row])
        yield Group(ids[held[0]], tuple(ids[row] for row in held), classes[labels[held[0]]])


def silent(table: pa.Table) -> list[bool]:
    """Whether each product's text says nothing: it has no word, or its title is the name of the picture's file."""
    columns = (table[name].to_pylist() for name in ("title", "text", "image"))
    return [_of_file(title, image) or not worded(text) for title, text, image in zip(*columns, strict=True)]


def parts(image: str | None) -> tuple[str, str]:
    """A picture's folder, and its name without the ending."""
    folder, _, name = (image or "").replace("\\", "/").rpartition("/")
    return folder, name.rpartition(".")[0]


def worded(text: str) -> bool:
    """Whether a text has a letter or a digit."""
    return any(map(str.isalnum, text))


def _things(folders: Sequence[str | None]) -> list[str | None]:
    """The folder of each picture, where it holds the views of one thing."""
    classes = [folder for folder, held in Counter(folders).items() if folder is not None and held > _VIEWS]
    if classes:
        told = "%d folders of more than %d pictures, such as %s, hold many things each; they are parted by the picture"
        log.info(told, len(classes), _VIEWS, classes[0])
    within = set(classes)
    return [None if folder in within else folder for folder in folders]


def _signs(texts: Sequence[str], labels: Sequence[int], named: Sequence[bool]) -> Iterator[Hashable | None]:
    """What tells texts of a class apart; None for one without a word, or that is made of the name of a file."""
    for text, label, file in zip(texts, labels, named, strict=True):
        yield (fold(text), label) if not file and worded(text) else None


def _of_file(title: str, image: str | None) -> bool:
    name = parts(image)[1]
    return title in (name, normalise(name))


def _root(parent: list[int], row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row


def _join(parent: list[int], one: int, other: int) -> None:
    parent[_root(parent, other)] = _root(parent, one)
