"""Filters and facets of the exported folder in a real browser: with a pointer, with keys, and on a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.serve.page.cdp import Browser, running
from tests.serve.page.test_looks import FAINT, SMALL

from shopstill.export.browser import write_browser
from shopstill.models.build import TextModel
from shopstill.serve.forms import Product

from .test_browser_tab import Host

pytestmark = pytest.mark.slow

COLOURS, THINGS = ["red", "blue", "green"], {"mug": "Mugs", "lamp": "Lamps"}
COUNT = "document.querySelector('#count').innerText.trim()"
TITLES = "[...document.querySelectorAll('#grid h2')].map((one) => one.textContent)"


@pytest.fixture(scope="module")
def products() -> list[Product]:
    """150 mugs and 150 lamps, a third of each of a colour and a brand: more than the leg of vectors brings."""
    return [
        Product(
            id=f"p{at}",
            title=f"{COLOURS[at % 3]} steel {thing} {at}",
            brand=["Acme", "Initech", '<b>Evil"</b>'][at % 3],
            category=("Home", THINGS[thing]),
            price=None if at == 7 else 1.5 + at,
            attributes={"colour": COLOURS[at % 3], "size: outer": str(at % 2)},
        )
        for at, thing in enumerate(list(THINGS) * 150)
    ]


@pytest.fixture(scope="module")
def site(
    written: Callable[[str], tuple[TextModel, Path]], products: list[Product], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    bundle = written("static towers, tokens shared")[1]
    host = Host(write_browser(bundle, products, tmp_path_factory.mktemp("tab") / "site"))
    yield host.url
    host.stop()


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with running() as browser:
        yield browser


@pytest.fixture
def browser(started: Browser, site: str) -> Iterator[Browser]:
    """The browser, new to the folder; a complaint in its console fails the test."""
    started.open("about:blank")
    started.send("Storage.clearDataForOrigin", origin=site, storageTypes="all")
    started.look(width=1280, height=900)
    started.complaints.clear()
    yield started
    assert started.complaints == []


def visit(browser: Browser, address: str, count: str) -> None:
    """Open an address, and wait until so many products are said to match."""
    browser.open(address)
    wait_for(browser, count)


def wait_for(browser: Browser, count: str) -> None:
    browser.wait(f"{COUNT} === '{count}'", 30)


def value(field: str, text: str) -> str:
    """A selector of the row of a value."""
    return f"#facets [data-field='{field}'] .value:has([data-key$='{text}'])"


def test_what_is_typed_is_narrowed_by_values_as_their_counts_say(browser: Browser, site: str) -> None:
    visit(browser, site, "300 products")
    browser.click("#q")
    browser.type("mug")
    browser.wait("document.body.dataset.answered === 'mug'")
    typed = int(browser.run(COUNT).split()[0])
    assert 150 <= typed < 300
    said = counted(browser, "brand", "/Acme")
    browser.click(value("brand", "/Acme"))
    wait_for(browser, f"{said} products")
    assert 50 <= said < typed
    assert browser.run(f"{TITLES}.every((one) => one.startsWith('red'))")
    assert browser.run("location.search") == "?q=mug&begun=1&brand=Acme"
    # Other brands stay in sight, since a field is counted as if nothing were chosen in it.
    assert browser.run("document.querySelectorAll(\"#facets [data-field='brand'] .value\").length") == 3
    assert counted(browser, "category", "> Mugs") == 50
    browser.click(value("category", "> Mugs"))
    wait_for(browser, "50 products")
    browser.click("#chips .link")
    wait_for(browser, f"{typed} products")
    assert browser.run("document.querySelector('#q').value") == "mug"
    assert browser.run("location.search") == "?q=mug&begun=1"


def counted(browser: Browser, field: str, text: str) -> int:
    """The count beside a value."""
    return int(browser.run(f'document.querySelector("{value(field, text)} small").textContent'))


def test_a_step_is_taken_back(browser: Browser, site: str) -> None:
    visit(browser, site, "300 products")
    browser.click(value("category", "> Mugs"))
    wait_for(browser, "150 products")
    browser.click(value("colour", ":red"))
    wait_for(browser, "50 products")
    browser.run("history.back()")
    wait_for(browser, "150 products")
    browser.click("#chips .chip")
    wait_for(browser, "300 products")


def test_an_unfinished_word_is_what_it_was_after_a_step_back(browser: Browser, site: str) -> None:
    visit(browser, site, "300 products")
    browser.click("#q")
    browser.type("mu")
    browser.wait("document.body.dataset.answered === 'mu'")
    typing, many = browser.run(TITLES), browser.run(COUNT)
    assert "mug" in typing[0]
    browser.click(value("brand", "Acme"))
    browser.wait(f"location.search.includes('brand=') && {COUNT} !== '{many}'")
    fewer = browser.run(COUNT)
    browser.run("history.back()")
    wait_for(browser, many)
    assert browser.run(TITLES) == typing
    browser.run("history.forward()")
    wait_for(browser, fewer)
    visit(browser, f"{site}?q=mu&begun=1", many)
    assert browser.run(TITLES) == typing


def test_an_address_opens_narrowed_and_in_the_order_of_prices(browser: Browser, site: str) -> None:
    visit(browser, f"{site}?price_min=10&price_max=19&sort=price_desc&attr=size%253A outer:1", "5 products")
    assert browser.run(f"{TITLES}.map((one) => Number(one.split(' ').at(-1)))") == [17, 15, 13, 11, 9]
    assert browser.run("document.querySelector('#sort').value") == "price_desc"
    browser.run("document.querySelector('#sort').focus()")
    browser.press("Home", 36)
    browser.wait("!location.search.includes('sort')")


def test_keys_alone_narrow_and_the_focus_stays(browser: Browser, site: str) -> None:
    visit(browser, site, "300 products")
    browser.run("document.querySelector(\"#facets [data-field='brand'] input\").focus()")
    key = browser.run("document.activeElement.dataset.key")
    browser.send("Input.dispatchKeyEvent", type="keyDown", key=" ", code="Space", text=" ", windowsVirtualKeyCode=32)
    browser.send("Input.dispatchKeyEvent", type="keyUp", key=" ", code="Space", windowsVirtualKeyCode=32)
    wait_for(browser, "100 products")
    assert browser.run("document.activeElement.dataset.key") == key
    browser.run("document.querySelector('input[name=price_max]').focus()")
    browser.type("9")
    browser.press("Enter", 13)
    browser.wait(f"location.search.includes('price_max=9') && Number.parseInt({COUNT}) < 10")


def test_more_is_shown_up_to_all(browser: Browser, site: str) -> None:
    visit(browser, f"{site}?category=Home > Mugs&attr=colour:red", "50 products")
    for shown in (48, 50):
        browser.click("#more button")
        browser.wait(f"document.querySelectorAll('.card').length === {shown}")
    assert not browser.run("document.querySelector('#more').checkVisibility()")
    assert browser.run("new Set([...document.querySelectorAll('.card')].map((one) => one.dataset.id)).size") == 50


def test_facets_are_in_a_drawer_on_a_phone(browser: Browser, site: str) -> None:
    browser.look(width=360, height=740)
    visit(browser, site, "300 products")
    assert not browser.run("document.querySelector('#facets').checkVisibility()")
    browser.click("#filters")
    browser.click(value("category", "> Mugs"))
    wait_for(browser, "150 products")
    assert browser.run("document.querySelector('#drawer footer button').textContent") == "Show 150 products"
    assert browser.run(SMALL) == []
    browser.press("Escape", 27)
    browser.wait("!document.querySelector('#drawer').open")
    assert browser.run("document.querySelector('#filters').textContent") == "Filters · 1"
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert browser.run(SMALL) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_contrast_in_both_languages(browser: Browser, site: str, dark: bool) -> None:
    browser.look(width=1280, height=900, dark=dark)
    visit(browser, f"{site}?category=Home > Mugs&brand=Acme", "50 products")
    assert browser.run(FAINT) == []
    browser.click("#language")
    browser.wait("document.querySelector('#facets legend').textContent === '分类'")
    assert "件商品" in browser.run(COUNT)
