"""The browser's modules, run under node, give what the server gives: ids, tokens, features, scores, and the answers."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.conftest import SHARED

from shopstill.core.errors import ArtifactError
from shopstill.data.text import normalise, tokenise
from shopstill.data.tokens import TextTokenizer
from shopstill.export.browser import spelled, write_browser
from shopstill.export.bundle import About, write_bundle
from shopstill.models.build import TextModel
from shopstill.serve.forms import Product
from shopstill.serve.index import endings
from shopstill.serve.index.order import by_category

from .browser_kit import Model, Server, agree, in_node, needs_node, ranked, server
from .conftest import PRODUCTS, QUERIES, ROWS

pytestmark = [needs_node, pytest.mark.slow]

Written = Callable[[str], tuple[TextModel, Path]]
FORMS = ["static towers, tokens shared", "shared transformer towers, interaction", "joint"]
PIECES = (
    "1 2 3/4 10 1-1/2 .5 1,000 in. inch ft ' \" x * X - for with w/ by ( [ ; , in to 's dogs' sq.ft. fl oz gal. 18v "
    "18-volt 5000 12345 a1 sc141 2x4x8 2in.x4in. 1.2.3 1/2/3 1/0 100000.5 0.00001 1234567 9999999999999999 __ ! # \\ : "
    "dish washer dishwasher door knob running emergencies evenings"
).split()
MODELS = ["Sony WH1000XM4 headphones", "Samsung S21FE5G phone", "steel bottle 500ml", "bottle 500 mm", "保温杯 500毫升"]
BEGUN = "wh100|sony wh1000|wh1000x|s21fe|phone s21|500|500m|steel 500m|500 m|3/4i|2x|保温杯 500m|wh s21fe".split("|")
HOSTILE = [
    "",
    " ",
    "a" * 100,
    "a" * 101,
    "é" * 101,
    "中" * 300,
    "[CLS] hi [SEP]x[MASK][PAD",
    "👩‍👩‍👧‍👦 🇫🇷",
    "\x00\x01a\x7fb\u200bc\ufeffd\u00ad",
    "ΣΑΣ İstanbul ẞ ﬁ ǅ",
    "한국어 각",
    "e\u0301\u0327 o\u0327\u0301",
    "𝒳𝓎 𠀀𠀁",
    "ＬＥＤ灯泡１２Ｗ",
    "a\u3000b\u2028c\u0085d\u180e",
    "\ud800 lone \udc00",
]


@pytest.fixture(scope="module")
def made(words: list[str]) -> list[str]:
    """Titles enough that not all of them are put in order."""
    draw = random.Random(7)
    parts = [word for title in words for word in title.split()]
    mixed = [" ".join(draw.sample(parts, draw.randint(2, 9))) for _ in range(300)]
    return [*PRODUCTS, "", *words, *mixed]


@pytest.fixture(scope="module")
def products(made: list[str]) -> list[Product]:
    """In the order of their rows; some have a brand, a category and a long description, which are found by as well."""
    more = {"brand": "Supor", "category": ("Kitchen", "Kettles"), "attributes": {"colour": "red"}}
    came = [
        Product(
            id=str(at),
            title=title or " ",
            **(more | {"description": " ".join(made[at : at + 9])} if at % 3 == 0 else {}),  # type: ignore[arg-type]
        )
        for at, title in enumerate(made)
    ]
    return [came[row] for row in by_category([product.category for product in came])]


@pytest.fixture(scope="module")
def titles(products: list[Product]) -> list[str]:
    """Their titles, of which one is empty."""
    return [product.title.strip(" ") for product in products]


@pytest.fixture(scope="module")
def queries(made: list[str]) -> list[str]:
    draw = random.Random(9)
    words = [word for title in made for word in title.split()]
    glue = [" ", " ", " ", ""]
    mixed = [draw.choice(glue).join(draw.choices(PIECES + words, k=draw.randint(1, 8))) for _ in range(150)]
    return [
        *QUERIES,
        "LED 灯泡 12W",
        "stanless kettel",
        "5m长 水管 3/4英寸",
        "ＬＥＤ灯泡，１２Ｗ",
        "“保温” 杯…",
        "Café 💡",
        "salt &amp; pepper",
        "9" * 400,
        *draw.sample(made, 30),
        *mixed,
    ]


@pytest.fixture(scope="module")
def folder(
    written: Written, products: list[Product], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def write(kind: str) -> Path:
        if kind not in made:
            to = tmp_path_factory.mktemp("tab") / "tab"
            try:
                made[kind] = write_browser(written(kind)[1], products, to)
            except ArtifactError as cause:
                if "cannot be fetched" in str(cause):
                    pytest.skip(f"needs the npm registry once: {cause}")
                raise
        return made[kind]

    return write


@pytest.fixture(scope="module")
def published() -> list[str]:
    """Titles in English and reviews in Chinese, as they were published."""
    homedepot, chinese = SHARED / "homedepot/train.csv.zip", SHARED / "zh-online-shopping/online_shopping_10_cats.zip"
    for path in (homedepot, chinese):
        if not path.exists():
            pytest.skip(f"no real data at {path}; set SHOPSTILL_DATA to the folder that holds it")
    titles = dict.fromkeys(row["product_title"] for row in _rows(homedepot, "latin-1"))
    reviews = [row["review"] for row in _rows(chinese, "utf-8-sig")]
    return [*list(titles)[:20_000], *random.Random(1).sample(reviews, 2000)]


def _rows(path: Path, encoding: str) -> Iterator[dict[str, str]]:
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as held:
        yield from csv.DictReader(io.TextIOWrapper(held, encoding))


@pytest.mark.parametrize("kind", ["static towers", "static towers, interaction", "joint"])
@pytest.mark.parametrize("prefix", [False, True])
def test_it_answers_as_the_server_does(
    kind: str,
    prefix: bool,
    folder: Callable[[str], Path],
    written: Written,
    products: list[Product],
    queries: list[str],
    tmp_path: Path,
) -> None:
    # A graph takes its time under node.
    asked = [
        query
        for query in (queries if kind != "joint" else queries[::4])
        if query.strip() and spelled(query, chinese=True)
    ]
    found = in_node(folder(kind), queries=asked, unfinished=prefix)["found"]
    with server(written(kind)[1], products, tmp_path) as held:
        hold_answers(held, asked, found, prefix=prefix)


def test_unfinished_words_stand_for_what_they_do_at_the_server(
    written: Written, products: list[Product], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "LEAST", 2)
    monkeypatch.setattr(endings, "POSTINGS", 60)
    bundle, some = written("static towers")[1], [Product(id=title, title=title) for title in MODELS]
    every = [*products, *some]
    letters = [f"steel {letter}" for letter in "abcdefghijklmnoprstw"]
    asked = [*BEGUN, *letters, *(f"{text} " for text in BEGUN), "mug " * 64 + "ste", "stanless kettel"]
    found = in_node(write_browser(bundle, every, tmp_path / "tab"), queries=asked, unfinished=True)["found"]
    with server(bundle, every, tmp_path) as held:
        hold_answers(held, asked, found, prefix=True)


def test_a_student_that_finds_is_put_together_as_the_server_does(
    written: Written, products: list[Product], queries: list[str], tmp_path: Path
) -> None:
    about, model = About(name="find", fusion=1.5), written("static towers, tokens shared")[0]
    bundle = write_bundle(model, tmp_path / "bundle", about=about, rows=ROWS)
    asked = [query for query in queries if query.strip() and spelled(query, chinese=True)]
    found = in_node(write_browser(bundle, products, tmp_path / "tab"), queries=asked)["found"]
    with server(bundle, products, tmp_path) as held:
        hold_answers(held, asked, found)


def hold_answers(held: Server, queries: list[str], found: list[dict[str, Any]], *, prefix: bool = False) -> None:
    """Hold node's answers to a server's."""
    corrected = 0
    for query, answer in zip(queries, found, strict=True):
        expected, spelling = held.answer(query, prefix=prefix)
        assert answer["spelling"] == spelling, query
        agree(ranked(answer["hits"]), expected)
        corrected += spelling is not None
    assert corrected, "some of these queries are misspelt"


@pytest.mark.parametrize("kind", FORMS)
def test_the_model_scores_as_it_does_in_python(
    kind: str, folder: Callable[[str], Path], written: Written, titles: list[str], queries: list[str]
) -> None:
    model, rows = Model(written(kind)[1], [title or " " for title in titles]), np.arange(40)
    some = [normalise(query) for query in queries[::4]]
    for query, answer in zip(some, in_node(folder(kind), queries=some)["found"], strict=True):
        expected = model.scores(query, rows, chinese=True)
        np.testing.assert_allclose(answer["scores"], expected, atol=1e-4, err_msg=query)


def test_features_are_equal_to_the_last_bit(
    folder: Callable[[str], Path], written: Written, titles: list[str], queries: list[str]
) -> None:
    index = Model(written("joint")[1], titles).towers.lexical
    assert index is not None
    found = in_node(folder("joint"), queries=queries)["found"]
    assert sum(answer["features"] is not None for answer in found) > 100
    for query, answer in zip(queries, found, strict=True):
        text = " ".join(query.split())
        assert (answer["features"] is not None) == spelled(query, chinese=True), query
        if answer["features"] is not None:
            np.testing.assert_array_equal(answer["features"], index.features(text, np.arange(40)), err_msg=query)


def test_published_queries_are_cut_as_the_server_cuts_them(folder: Callable[[str], Path], published: list[str]) -> None:
    known = [text[:200] for text in published if spelled(text[:200], chinese=True)]
    assert len(known) > len(published) / 2
    found = in_node(folder("static towers"), cut=known)["cut"]
    wrong = [text for text, tokens in zip(known, found, strict=True) if tokens != tokenise(text)]
    assert not wrong, wrong[:5]


def test_words_have_the_stems_of_python(folder: Callable[[str], Path], titles: list[str]) -> None:
    draw = random.Random(3)
    endings = (
        "s es ed ing edly ingly eed y ly ies ied ness ful ation ization er or ment able ibl e l ll ive ous al ic ist"
    ).split()
    roots = sorted({word for title in titles for word in re.findall("[a-z]+", title.lower())})
    starts = ["".join(draw.choices("aeiouystlnrdcg", k=draw.randint(1, 7))) for _ in range(3000)]
    words = [root + draw.choice(endings) for root in (roots * 5 + starts)] + roots
    assert in_node(folder("static towers"), words=words)["stems"] == [tokenise(word, "en")[0] for word in words]


def test_every_character_becomes_the_tokens_of_python(folder: Callable[[str], Path], titles: list[str]) -> None:
    spans = [range(0xD800), range(0xE000, 0x20000, 1), range(0x20000, 0x110000, 997)]
    numbers = [number for span in spans for number in span]
    lines = ["".join(f"a{chr(number)}b " for number in numbers[at : at + 64]) for at in range(0, len(numbers), 64)]
    draw = random.Random(5)
    mixed = ["".join(map(chr, draw.choices(numbers, k=draw.randint(1, 20)))) for _ in range(2000)]
    hold(folder("static towers"), [*titles, *HOSTILE, *lines, *mixed])


def test_published_catalogues_become_the_tokens_of_python(folder: Callable[[str], Path], published: list[str]) -> None:
    hold(folder("static towers"), published)


def hold(folder: Path, texts: list[str]) -> None:
    """Hold node's ids of some texts to Python's."""
    rows = TextTokenizer(folder / "student" / "tokenizer.json").encode(texts)
    found = in_node(folder, texts=texts)["ids"]
    wrong = [json.dumps(text) for at, text in enumerate(texts) if found[at] != rows.row(at).tolist()]
    assert not wrong, wrong[:5]
