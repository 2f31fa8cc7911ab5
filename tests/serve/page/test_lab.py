"""What an engineer sees: latency, load, models, disagreement and the report, live."""

from __future__ import annotations

import pytest
from tests.serve.page.cdp import Browser

pytestmark = pytest.mark.slow


def opened(browser: Browser, server: str, width: int = 1200) -> None:
    """Open the lab after a search, and wait for its figures."""
    browser.look(width=width, height=900)
    browser.open(f"{server}/?q=mug")
    browser.wait("document.querySelectorAll('.card').length > 0")
    browser.open(f"{server}/static/lab.html")
    browser.wait("document.querySelector('#figures').children.length > 0")


@pytest.mark.parametrize("width", [1200, 360])
def test_the_lab_shows_what_the_server_does(browser: Browser, server: str, width: int) -> None:
    opened(browser, server, width)
    assert browser.run("document.querySelector('#figures dd').textContent") == "63"
    assert browser.run("document.querySelector('#latency svg').getAttribute('role')") == "img"
    assert "p50" in browser.run("document.querySelector('#latency svg').getAttribute('aria-label')")
    browser.run("document.querySelector('#latency summary').click()")
    assert "by words" in browser.run("document.querySelector('#latency').textContent")
    rows = "[...document.querySelectorAll('#latency tbody tr')].map((row) => row.children.length)"
    assert set(browser.run(rows)) == {4}
    assert browser.run("document.querySelector('#models').textContent.includes('exact')")
    assert "shadow" in browser.run("document.querySelector('#shadow-note').textContent")
    assert (
        browser.run("document.querySelector('#frame iframe').getAttribute('sandbox')") == "allow-scripts allow-popups"
    )
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")


def test_an_open_table_stays_open_while_figures_change(browser: Browser, server: str) -> None:
    opened(browser, server)
    browser.run("document.querySelector('#load summary').click()")
    rows = "document.querySelectorAll('#load tbody tr').length"
    before = browser.run(rows)
    browser.wait(f"{rows} > {before}")
    assert browser.run("document.querySelector('#load details').open")


def test_a_model_is_not_changed_without_a_key(browser: Browser, server: str) -> None:
    opened(browser, server)
    browser.run("document.querySelector('#key').value = 'wrong'")
    browser.click("#models button")
    browser.wait("document.querySelector('#said').textContent")
    assert "key" in browser.run("document.querySelector('#said').textContent")
    assert browser.run("localStorage.length") == 0
    refused = [said for said in browser.complaints if "403" in said]
    assert refused
    browser.complaints[:] = [said for said in browser.complaints if said not in refused]


def test_the_lab_speaks_chinese(browser: Browser, server: str) -> None:
    opened(browser, server)
    browser.click("#language")
    browser.wait("document.querySelector('h1').textContent === '实时状态'")
    assert "使用中" in browser.run("document.querySelector('#models').textContent")
