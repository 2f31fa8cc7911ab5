"""A small shop behind a real server, and a real browser in front of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.export.conftest import PLACED, ROWS
from tests.serve.page.cdp import Browser, running

from shopstill.models.build import TextModel
from shopstill.serve.forms import Product

Make = Callable[[str], TextModel]

COLOURS = ["red", "blue", "green", "black", "white"]
THINGS = {"mug": "Mugs", "bowl": "Bowls", "kettle": "Kettles", "lamp": "Lamps"}
BRANDS = ["Acme", "Umbrella", "Initech"]
HOSTILE = '<img src=x onerror="document.title=1" 😀 teapot'
# Half a picture: it is loaded, and fails, without anybody being asked.
BROKEN = "data:image/png;base64,AAAA"
SQUARE = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/%3E"


def products() -> list[Product]:
    """Sixty mugs, bowls, kettles and lamps, two things in Chinese, and one of an attacker."""
    found = []
    for at in range(60):
        colour, (thing, leaf) = COLOURS[at % 5], list(THINGS.items())[at % 4]
        found.append(
            Product(
                id=f"p/{at}",
                title=f"{colour.title()} steel {thing} {at + 1}",
                brand=BRANDS[at % 3],
                category=("Home", leaf),
                price=None if at == 7 else 5 + 1.25 * at,
                attributes={"colour": colour, "size: outer": str(at % 2)},
                image=(None, SQUARE, BROKEN)[at % 3],
                language="en",
            )
        )
    found.append(
        Product(id="zh1", title="红色 不锈钢 保温杯 500ml", brand="苏泊尔", category=("家居", "杯子"), price=59.9)
    )
    found.append(Product(id="zh2", title="台灯 护眼 学习灯", brand="小米", category=("家居", "灯"), price=129))
    found.append(Product(id="<x>", title=HOSTILE, brand="<b>Evil</b>", price=1))
    return found


@pytest.fixture(scope="session")
def server(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app with two models and the small shop."""
    pytest.importorskip("fastapi")
    from shopstill.serve.app.run import address, prepared
    from shopstill.serve.app.settings import Settings
    from shopstill.serve.engine.engine import Engine
    from shopstill.serve.index.live import create

    folder = tmp_path_factory.mktemp("page")
    fast, exact = (_bundle(make(kind), folder / name) for kind, name in (("static towers", "fast"), ("joint", "exact")))
    report = folder / "report.html"
    report.write_text("<!doctype html><title>report</title><h1>What was kept</h1>", encoding="utf-8")
    shop = products()
    create(folder / "index", shop, [fast], len(shop))
    engine = Engine.open(folder / "index", fast)
    try:
        engine.load("exact", exact)
        running, listening = prepared(engine, Settings(port=0, report=report))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield address(listening)
        running.should_exit = True
        thread.join(20)
    finally:
        engine.close()


def _bundle(model: TextModel, folder: Path) -> Path:
    from shopstill.export.bundle import About, write_bundle

    about = About(name=folder.name, licences=({"what": "weights", "licence": "none", "source": "random"},))
    return write_bundle(model, folder, about=about, rows=ROWS, products=PLACED)


@pytest.fixture(scope="session")
def started() -> Iterator[Browser]:
    """A browser for all tests."""
    with running() as browser:
        yield browser


@pytest.fixture
def browser(started: Browser, server: str) -> Iterator[Browser]:
    """The browser, new to the shop; a complaint in its console or a request to anybody else fails the test."""
    started.open("about:blank")
    started.send("Storage.clearDataForOrigin", origin=server, storageTypes="all")
    started.look(width=1440, height=900)
    started.complaints.clear()
    started.requests.clear()
    yield started
    started.open("about:blank")
    assert started.complaints == []
    outside = [url for url in started.requests if not url.startswith((server, "data:", "about:"))]
    assert outside == []
