"""What a shopper does: types, narrows, asks why, compares, changes the language; on a desk and on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.serve.page.cdp import Browser
from tests.serve.page.conftest import HOSTILE

pytestmark = pytest.mark.slow

DESK, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
SIZES = pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
IDLE = "document.querySelector('#results').getAttribute('aria-busy') === 'false'"
ESCAPE, ENTER, DOWN = ("Escape", 27), ("Enter", 13), ("ArrowDown", 40)


def texts(selector: str) -> str:
    """A script for the texts of all elements that match."""
    return f"[...document.querySelectorAll({selector!r})].map((one) => one.textContent)"


TITLES = texts("#grid .title")


def opened(browser: Browser, address: str, size: dict[str, int] = DESK, **looks: Any) -> None:
    """Open a page of the shop, and wait for what it shows first."""
    browser.look(**size, **looks)
    browser.open(address)
    browser.wait(IDLE)


def typed(browser: Browser, text: str) -> None:
    """Type into the search box, and wait until all of it was answered."""
    browser.click("#q")
    browser.run("document.querySelector('#q').select()")
    browser.type(text)
    browser.wait(f"new URLSearchParams(location.search).get('q') === {text!r} && {IDLE}")
    browser.wait(f"document.querySelector('#count').textContent && {IDLE}")


@SIZES
def test_results_come_as_one_types(browser: Browser, server: str, size: dict[str, int]) -> None:
    opened(browser, server, size)
    assert browser.run("!document.querySelector('#hero').hidden")
    typed(browser, "blue ket")
    browser.wait(f"{TITLES}[0].startsWith('Blue steel kettle')")
    assert browser.run("document.querySelector('mark').textContent.toLowerCase()") in ("blue", "ket", "kettle")
    browser.press(*ENTER)
    browser.wait(IDLE)
    assert browser.run("document.querySelector('#suggestions').hidden")
    assert "products" in browser.run("document.querySelector('#count').textContent")
    assert "ms" in browser.run("document.querySelector('.took').textContent")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")


def test_an_old_answer_never_replaces_a_newer_one(browser: Browser, server: str) -> None:
    opened(browser, server)
    browser.run(
        """(() => { const ask = fetch; let slow = 400;
        window.fetch = (url, how) => ask(url, {...how, signal: undefined}).then(
          (answer) => new Promise((done) => setTimeout(() => done(answer), (slow -= 190) > 0 ? slow : 0))); })()"""
    )
    typed(browser, "lamp")
    typed(browser, "mug")
    browser.run("new Promise((done) => setTimeout(done, 600))")
    assert all("mug" in title for title in browser.run(TITLES)[:5])


def test_suggestions_are_chosen_with_the_keyboard(browser: Browser, server: str) -> None:
    opened(browser, server)
    browser.click("#q")
    browser.type("kett")
    browser.wait("document.querySelector('#q').getAttribute('aria-expanded') === 'true'")
    browser.press(*DOWN)
    active = "document.getElementById(document.querySelector('#q').getAttribute('aria-activedescendant'))"
    assert browser.run(f"{active}.getAttribute('aria-selected')") == "true"
    text = browser.run(f"{active}.textContent")
    browser.press(*ENTER)
    browser.wait("document.querySelector('#suggestions').hidden")
    assert "kettle" in text.lower()
    assert browser.run("location.search") != "?q=kett"


def test_a_filter_is_an_address_that_the_back_button_takes_back(browser: Browser, server: str) -> None:
    opened(browser, f"{server}/?q=mug")
    before = browser.run(TITLES)
    browser.click("[data-field=brand] input")
    browser.wait(f"location.search.includes('brand=') && {IDLE}")
    brand = browser.run("new URLSearchParams(location.search).get('brand')")
    shown = browser.run(texts("#grid .over bdi:first-child"))
    assert shown
    assert set(shown) == {brand}
    assert brand in browser.run("document.querySelector('#chips').textContent")
    assert browser.run("document.activeElement.dataset.key") == f"brand/{brand}"
    browser.run("history.back()")
    browser.wait(f"!location.search.includes('brand=') && {IDLE} && {TITLES}.length === {len(before)}")
    assert browser.run(TITLES) == before
    assert browser.run("document.querySelector('#chips').hidden")


def test_where_nothing_is_asked_nothing_is_said_to_be_found_by_words(browser: Browser, server: str) -> None:
    many = "document.querySelectorAll('#grid .badge, #grid .why').length"
    opened(browser, server)
    assert browser.run(f"{TITLES}.length") == 24
    assert browser.run(many) == 0
    typed(browser, "mug")
    assert browser.run(many) >= 48


def test_a_filter_leaves_an_unfinished_word_unfinished(browser: Browser, server: str) -> None:
    opened(browser, server)
    typed(browser, "blu")
    typing = browser.run(TITLES)
    browser.click("[data-field=brand] input")
    browser.wait(f"location.search.includes('brand=') && {IDLE}")
    # Twelve are blue, four of them of this brand; whatever else is near stands behind them.
    narrowed = browser.run(TITLES)
    assert [title.startswith("Blue") for title in narrowed[:5]] == [True] * 4 + [False]
    browser.run("history.back()")
    browser.wait(f"!location.search.includes('brand=') && {IDLE}")
    assert browser.run(TITLES) == typing
    browser.run("history.forward()")
    browser.wait(f"location.search.includes('brand=') && {IDLE}")
    assert browser.run(TITLES) == narrowed
    # So does a link to it, or the page anew.
    opened(browser, browser.run("location.href"))
    assert browser.run(TITLES) == narrowed


def test_attributes_prices_and_sorting_narrow_together(browser: Browser, server: str) -> None:
    opened(browser, server)
    browser.click("[data-field='size: outer'] input")
    browser.wait(f"location.search.includes('attr=') && {IDLE}")
    browser.run("document.querySelector('[name=price_max]').value = '40'")
    browser.click(".between button")
    browser.wait(f"location.search.includes('price_max=40') && {IDLE}")
    browser.run(
        "(() => { const sort = document.querySelector('#sort'); sort.value = 'price_desc';"
        " sort.dispatchEvent(new Event('change')); })()"
    )
    browser.wait(f"location.search.includes('sort=price_desc') && {IDLE}")
    prices = [float(text) for text in browser.run(texts("#grid .price"))]
    assert prices
    assert prices == sorted(prices, reverse=True)
    assert max(prices) <= 40
    browser.click("#chips .link")
    browser.wait(f"location.search === '?sort=price_desc' && {IDLE}")


def test_a_range_of_prices_finds_as_many_as_it_says_under_the_name_it_had(browser: Browser, server: str) -> None:
    opened(browser, f"{server}/?q=steel")
    row = "document.querySelectorAll('[data-field=price] .value')[1]"
    label, count = browser.run(f"[...{row}.children].slice(1).map((one) => one.textContent)")
    browser.run(f"{row}.querySelector('input').click()")
    browser.wait(f"location.search.includes('price_max=') && {IDLE}")
    asked = browser.run("location.search")
    assert browser.run("document.querySelector('#chips .chip bdi').textContent") == label
    assert browser.run(f"{row}.querySelector('input').checked")
    assert browser.run(f"{TITLES}.length") == int(count)
    low, high = (browser.run(f"document.querySelector('[name=price_{end}]').value") for end in ("min", "max"))
    assert label == f"{low} – {high}"
    browser.click(".between button")
    browser.run("new Promise((done) => setTimeout(done, 200))")
    assert browser.run("location.search") == asked


def test_facets_are_in_a_drawer_on_a_phone(browser: Browser, server: str) -> None:
    opened(browser, f"{server}/?q=steel", PHONE)
    assert browser.run("!document.querySelector('#aside').checkVisibility()")
    browser.click("#filters")
    browser.click("#drawer [data-field=category] .deep-1 input")
    browser.wait(f"location.search.includes('category=Home') && {IDLE}")
    browser.click("#drawer footer button")
    browser.wait("!document.querySelector('#drawer').open")
    assert browser.run("document.querySelector('#filters').textContent") == "Filters · 1"


def test_more_results_stay_after_a_reload(browser: Browser, server: str) -> None:
    opened(browser, f"{server}/?q=steel&sort=price_asc")
    assert len(browser.run(TITLES)) == 24
    browser.click("#more button")
    browser.wait(f"{TITLES}.length === 48")
    shown = browser.run(TITLES)
    assert len(set(shown)) == 48
    browser.send("Page.reload")
    browser.wait(f"document.readyState === 'complete' && {TITLES}.length === 48")
    assert browser.run(TITLES) == shown


@SIZES
def test_why_shows_words_with_sign_and_value(browser: Browser, server: str, size: dict[str, int]) -> None:
    opened(browser, f"{server}/?q=red mug", size)
    browser.click(".why")
    browser.wait("document.querySelectorAll('#why .effect').length > 2")
    words = browser.run(texts("#why .effect bdi"))
    assert {"red", "mug"} <= {word.lower() for word in words}
    values = browser.run(texts("#why .effect small"))
    assert all(value[0] in "+-−0" for value in values)
    browser.wait("document.querySelectorAll('#similar .shelf li').length > 3")
    browser.click("#similar .shelf button")
    browser.wait("document.querySelectorAll('#why .effect').length > 2")
    browser.press(*ESCAPE)
    browser.wait("!document.querySelector('#item').open && !location.search.includes('item=')")
    assert browser.run("document.activeElement.className") == "why"


def test_a_product_has_an_address_of_its_own(browser: Browser, server: str) -> None:
    opened(browser, f"{server}/?item=p%2F3")
    browser.wait("document.querySelector('#item-title')?.textContent === 'Black steel lamp 4'")
    assert browser.run("document.querySelector('#item .tile text').textContent") == "B"
    browser.click("#item .close")
    browser.wait("!location.search.includes('item=')")


@SIZES
def test_two_models_side_by_side(browser: Browser, server: str, size: dict[str, int]) -> None:
    opened(browser, f"{server}/?q=red mug", size)
    browser.click("#compare")
    browser.wait("document.querySelectorAll('.side').length === 2")
    assert browser.run("[...document.querySelectorAll('.side')].map((one) => one.children.length)") == [10, 10]
    lines, both = browser.run(
        """(() => {
            const sides = [...document.querySelectorAll('.side')];
            const [one, other] = sides.map((side) => [...side.children].map((row) => row.dataset.id));
            return [document.querySelectorAll('.threads path').length, one.filter((id) => other.includes(id)).length];
        })()"""
    )
    assert lines == both
    assert all("ms" in text for text in browser.run(texts(".side-head b")))
    names = "[...document.querySelectorAll('.side-head select')].map((one) => one.value)"
    left, right = browser.run(names)
    browser.click(".swap")
    browser.wait(f"{names}[0] === {right!r} && {names}[1] === {left!r}")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")


@SIZES
def test_the_language_is_switched_and_stays(browser: Browser, server: str, size: dict[str, int]) -> None:
    opened(browser, f"{server}/?q=保温杯", size)
    assert browser.run("document.documentElement.lang") == "en"
    assert any("保温杯" in title for title in browser.run(TITLES))
    browser.click("#language")
    assert browser.run("document.documentElement.lang") == "zh-CN"
    assert "件商品" in browser.run("document.querySelector('#count').textContent")
    browser.open(server)
    browser.wait("document.querySelector('#sort option').textContent === '最相关'")
    browser.click("#language")
    browser.wait("document.querySelector('#sort option').textContent === 'Best match'")


def test_a_chinese_browser_is_spoken_to_in_chinese(browser: Browser, server: str) -> None:
    opened(browser, server, language="zh-CN")
    assert browser.run("document.querySelector('#q').placeholder") == "搜索商品"


def test_texts_of_others_stay_texts(browser: Browser, server: str) -> None:
    opened(browser, f"{server}/?q=teapot")
    assert HOSTILE in browser.run(TITLES)
    # The place of a mark is counted in characters, of which an emoji is one.
    assert browser.run("document.querySelector('mark').textContent") == "teapot"
    assert browser.run("document.querySelectorAll('img[src=x], .over b').length") == 0
    browser.click("[data-id='<x>'] .why")
    browser.wait("document.querySelector('#why .effect')")
    assert browser.run("document.title") != "1"


def test_a_picture_that_fails_leaves_a_drawn_one(browser: Browser, server: str) -> None:
    opened(browser, f"{server}/?q=steel&sort=price_asc")
    count = "document.querySelectorAll({!r}).length".format
    browser.wait(f"{count('.picture.seen')} === {count('.picture img')} && {count('.picture img')} > 0")
    assert browser.run(f"{count('.picture')} === {count('.tile')} && {count('.picture')} > {count('.picture.seen')}")


def cut_off(browser: Browser, offline: bool) -> None:
    """Take the network away, or give it back."""
    speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.send("Network.emulateNetworkConditions", offline=offline, **speed)


def test_nothing_found_and_no_server_are_said(browser: Browser, server: str) -> None:
    opened(browser, f"{server}/?q=mug&brand=Nobody")
    assert "Nothing found" in browser.run("document.querySelector('#grid').textContent")
    cut_off(browser, True)
    browser.click("#grid .empty button")
    browser.wait("document.querySelector('[role=alert]')?.textContent.includes('cannot be reached')")
    cut_off(browser, False)
    browser.click("[role=alert] button")
    browser.wait(f"{TITLES}.length > 3")
    browser.complaints[:] = [said for said in browser.complaints if "ERR_INTERNET_DISCONNECTED" not in said]
