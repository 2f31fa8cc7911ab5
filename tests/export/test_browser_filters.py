"""Filters and facets of the browser's student, run under node: the server's results, totals and counts."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from shopstill.export.browser import write_browser
from shopstill.export.bundle import About, write_bundle
from shopstill.models.build import TextModel
from shopstill.serve.forms import Facet, Filters, Product, Search, Sort

from .browser_kit import LISTED, Server, agree, in_node, needs_node, ranked, server
from .conftest import ROWS

pytestmark = [needs_node, pytest.mark.slow]

Written = Callable[[str], tuple[TextModel, Path]]
Asked = tuple[str, Filters, Sort]
FACETS = ("category", "brand", "price", "*")
COLOURS, THINGS = "red blue green black white".split(), "mug bowl kettle lamp hose".split()
ROOMS = {"mug": "Kitchen", "bowl": "Kitchen", "kettle": "Kitchen", "lamp": "Home > or not", "hose": "Garden"}
TYPED = ["", "red", "mug", "steel kettle", "red hose 12", "blue steel lamp", "zzzz", "!!!", "ketle", "white mug hose"]
PRICES = [None, 0, 0.01, 5, 5.0, 12.5, 19.99, 20, 99.9, 1e12]


def catalogue(words: list[str], count: int = 900) -> list[Product]:
    """Products with brands enough that not all are shown, some fields missing, and names that another field has too."""
    draw = random.Random(11)
    parts = sorted({word for title in words for word in title.split()})
    # Words enough that no two products are alike, whose order would be anybody's.
    return [_product(at, draw, " ".join(draw.sample(parts, 4))) for at in range(count)]


def _product(at: int, draw: random.Random, more: str) -> Product:
    colour, thing = draw.choice(COLOURS), draw.choice(THINGS)
    attributes = {"colour": colour, "size: outer": str(at % 3), "brand": "own", "price": "low", "Ü😀": "x", "ｚ": "y"}
    path = (ROOMS[thing], thing.title(), f"{colour} {thing}")
    return Product(
        id=str(at),
        title=f"{colour} {draw.choice(['steel', 'glass', 'copper'])} {thing} {more}",
        description="white copper mug" if at % 7 == 0 else None,
        brand=draw.choice([None, *(f"Brand {int(draw.triangular(0, 60, 0))}" for _ in range(5))]),
        category=path[: draw.randint(0, 3)],
        price=draw.choice([*PRICES, *(draw.uniform(1, 300) for _ in range(20))]),
        attributes={name: attributes[name] for name in draw.sample(sorted(attributes), draw.randint(0, 5))},
    )


def wanted() -> list[Filters]:
    """Filters of each kind, of several, and those that nothing fits."""
    many = {"colour": ("red", "blue"), "size: outer": ("1",)}
    return [
        Filters(),
        Filters(brand=("Brand 1",)),
        Filters(brand=("Brand 1", "Brand 2", "nobody")),
        Filters(brand=("nobody",)),
        Filters(category=("Kitchen",)),
        Filters(category=("Kitchen", "Kitchen > Mug", "Home > or not > Lamp > red lamp")),
        Filters(attributes=many),
        Filters(attributes={"nothing": ("x",)}),
        Filters(attributes={"brand": ("own",)}, brand=("Brand 0", "Brand 3")),
        Filters(price_min=5, price_max=20),
        Filters(price_max=0),
        Filters(price_min=50, category=("Garden",), brand=("Brand 1", "Brand 4"), attributes={"colour": ("red",)}),
        Filters(price_min=20, price_max=5),
    ]


SEARCHES: list[Asked] = [(query, filters, "relevance") for query in TYPED for filters in wanted()]
SORTS: tuple[Sort, Sort] = ("price_asc", "price_desc")
SORTED: list[Asked] = [(query, filters, sort) for query in TYPED for filters in wanted()[::4] for sort in SORTS]


@pytest.fixture(scope="module")
def products(words: list[str]) -> list[Product]:
    return catalogue(words)


@pytest.fixture(scope="module")
def bundle(written: Written) -> Path:
    return written("static towers, tokens shared")[1]


@pytest.fixture(scope="module")
def folder(bundle: Path, products: list[Product], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_browser(bundle, products, tmp_path_factory.mktemp("tab") / "tab")


@pytest.fixture(scope="module")
def held(bundle: Path, products: list[Product], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(bundle, products, tmp_path_factory.mktemp("served")) as opened:
        yield opened


def found(folder: Path, asked: Sequence[Asked], **options: Any) -> list[dict[str, Any]]:
    """What node answers."""
    given = [(query, {"filters": asdict(filters), "sort": sort, **options}) for query, filters, sort in asked]
    return list(in_node(folder, searches=given)["searched"])


def hold(held: Server, asked: Sequence[Asked], answers: Sequence[dict[str, Any]], **options: Any) -> None:
    """Hold node's answers to a server's: how many match, the facets, and the products.

    Of products whose scores are all but equal a server may have another one first; most answers hold none.
    """
    other = []
    for (query, filters, sort), answer in zip(asked, answers, strict=True):
        form = Search(query=query, filters=filters, sort=sort, limit=LISTED, facets=FACETS, budget_ms=10_000, **options)
        expected = held.search(form)
        told, mine, theirs = (query, filters, sort), ranked(answer["hits"]), held.ranked(expected)
        assert answer["total"] == expected.total, told
        assert shown(answer["facets"]) == list(map(plain, expected.facets)), told
        assert len(mine.rows) == len(theirs.rows), told
        assert {*mine.rows} == {*theirs.rows} or expected.total > len(mine.rows), told
        if mine.rows != theirs.rows:
            agree(mine, theirs, most=len(mine.rows))
            other.append(told)
    assert len(other) <= len(asked) / 2, other
    assert not [told for told in other if told[2] != "relevance" or not told[0]]


def _rows(answer: dict[str, Any]) -> list[int]:
    return [hit["row"] for hit in answer["hits"]]


def plain(facet: Facet) -> tuple[str, list[tuple[Any, ...]]]:
    """A facet of a server's; a range by its bounds."""
    price = facet.field == "price"
    return facet.field, [(one.low, one.high) if price else (one.value, one.selected) for one in facet.values] + [
        (one.count,) for one in facet.values
    ]


def shown(facets: list[dict[str, Any]]) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """The facets of node's answer, as ``plain`` has a server's."""
    told = []
    for facet in facets:
        keys = ("low", "high") if facet["field"] == "price" else ("value", "selected")
        values = [tuple(one[key] for key in keys) for one in facet["values"]]
        told.append((facet["field"], values + [(one["count"],) for one in facet["values"]]))
    return told


def test_what_fits_and_every_count_is_the_servers(folder: Path, held: Server) -> None:
    hold(held, SEARCHES, found(folder, SEARCHES))


def test_prices_in_order_are_the_servers(folder: Path, held: Server) -> None:
    hold(held, SORTED, found(folder, SORTED))


def test_unfinished_words_are_counted_as_the_server_counts_them(folder: Path, held: Server) -> None:
    asked: list[Asked] = [(query, one, "relevance") for query in ("st", "red ho", "blue m") for one in wanted()[:6]]
    hold(held, asked, found(folder, asked, unfinished=True), prefix=True)


def test_a_student_that_finds_narrows_as_the_server_does(
    written: Written, products: list[Product], tmp_path: Path
) -> None:
    model = written("static towers, tokens shared")[0]
    bundle = write_bundle(model, tmp_path / "bundle", about=About(name="find", fusion=1.5), rows=ROWS)
    folder = write_browser(bundle, products, tmp_path / "tab")
    with server(bundle, products, tmp_path) as opened:
        hold(opened, SEARCHES, found(folder, SEARCHES))


def test_a_count_is_what_filtering_by_it_gives(folder: Path) -> None:
    asked: list[Asked] = [
        ("red steel", Filters(), "relevance"),
        ("red steel", Filters(brand=("Brand 1",)), "relevance"),
    ]
    for (query, filters, sort), answer in zip(asked, found(folder, asked), strict=True):
        further = [(facet["field"], one) for facet in answer["facets"] for one in facet["values"]]
        narrow: list[Asked] = [(query, _chosen(filters, *one), sort) for one in further]
        counts = [one["count"] for _, one in further]
        assert [one["total"] for one in found(folder, narrow)] == counts


def _chosen(filters: Filters, field: str, one: dict[str, Any]) -> Filters:
    """Filters with one value in place of what is chosen of its field."""
    own = asdict(filters)
    if field == "price":
        return Filters(**own | {"price_min": one["low"], "price_max": one["high"]})
    if field in ("brand", "category"):
        return Filters(**own | {field: (one["value"],)})
    return Filters(**own | {"attributes": {field: (one["value"],)}})


def test_all_that_matches_can_be_shown(folder: Path) -> None:
    asked: list[Asked] = [("", Filters(), "relevance"), ("steel", Filters(), "relevance")]
    for answer in found(folder, asked, limit=1000):
        rows = _rows(answer)
        assert len(rows) == len({*rows}) == answer["total"] > 250


def test_values_are_small_and_stated(folder: Path) -> None:
    stated = json.loads((folder / "student" / "student.json").read_text(encoding="utf-8"))
    own = sum((folder / "catalogue" / name).stat().st_size for name in ("values.json", "values.safetensors.gz"))
    assert stated["bytes"]["values"] == own < stated["bytes"]["catalogue"]
    assert stated["priced"]
    assert stated["filtered"]


def test_a_catalogue_of_titles_alone_has_nothing_to_filter_by(bundle: Path, tmp_path: Path) -> None:
    rows = [Product(id=str(at), title=f"red mug {at}") for at in range(30)]
    folder = write_browser(bundle, rows, tmp_path / "tab")
    stated = json.loads((folder / "student" / "student.json").read_text(encoding="utf-8"))
    assert not stated["priced"]
    assert not stated["filtered"]
    answer = found(folder, [("red mug", Filters(), "relevance"), ("mug", Filters(price_min=0), "price_asc")])
    assert [one["facets"] for one in answer] == [[], []]
    assert [one["total"] for one in answer] == [30, 0]
    assert all(math.isfinite(hit["score"]) for hit in answer[0]["hits"])
