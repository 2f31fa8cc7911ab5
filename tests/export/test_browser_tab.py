"""The exported folder in a real browser: once visited it needs nobody, and answers as the server does."""

from __future__ import annotations

import functools
import json
import random
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from tests.models.conftest import kinds
from tests.serve.page.cdp import Browser, running

from shopstill.core.errors import ArtifactError
from shopstill.data.lexical import LexicalIndex
from shopstill.export.browser import write_browser
from shopstill.models import build
from shopstill.models.build import TextModel
from shopstill.serve.forms import Product

from .browser_kit import Ranked, agree, server
from .conftest import ROWS

pytestmark = pytest.mark.slow

PRODUCTS = 20_000
BROKEN = "data:image/png;base64,AAAA"
HOSTILE = '<img src=x onerror="document.title=1" teapot'
READY = "document.querySelector('#fact-offline').className === 'ready'"


class Host:
    """A static host on loopback, as plain as they come."""

    def __init__(self, folder: Path) -> None:
        handler = functools.partial(Quiet, directory=str(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Be gone."""
        self.server.shutdown()
        self.server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def titles(words: list[str]) -> list[str]:
    draw = random.Random(2)
    parts = sorted({word for title in words for word in title.split()})
    made = [" ".join(draw.sample(parts, draw.randint(5, 12))) for _ in range(PRODUCTS - 2)]
    return [HOSTILE, "苏泊尔 不锈钢 保温杯 500ml", *made]


@pytest.fixture(scope="module")
def bundle(tiny_start: Path, words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of the usual width, with random weights."""
    from shopstill.export.bundle import About, write_bundle

    wanted = kinds(tiny_start)["static towers, interaction"] | {"width": 64, "hidden": 64, "shared": True}
    made = build.create(TypeAdapter(build.Text).validate_python(wanted), None, seed=1)
    made.network.eval()
    model = TextModel(network=made.network, tokenizer=made.tokenizer, lexical=LexicalIndex.build(words))
    return write_bundle(model, tmp_path_factory.mktemp("tab") / "bundle", about=About(name="wide"), rows=ROWS)


@pytest.fixture(scope="module")
def products(titles: list[str]) -> list[Product]:
    images = (None, BROKEN)
    return [
        Product(id=f"p{at}", title=title, brand="Acme", price=at + 0.5, image=images[at % 2])
        for at, title in enumerate(titles)
    ]


@pytest.fixture(scope="module")
def folder(bundle: Path, products: list[Product], tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return write_browser(bundle, products, tmp_path_factory.mktemp("tab") / "site")
    except ArtifactError as cause:
        if "cannot be fetched" in str(cause):
            pytest.skip(f"needs the npm registry once: {cause}")
        raise


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running() as browser:
        yield browser


@pytest.fixture
def visited(browser: Browser, folder: Path) -> Iterator[str]:
    """The address of a host that was visited once, and is gone; the browser has no network either."""
    host = Host(folder)
    browser.complaints.clear()
    browser.requests.clear()
    browser.look(width=1280, height=900)
    browser.open(host.url)
    browser.wait(READY, 60)
    host.stop()
    offline(browser, True)
    yield host.url
    offline(browser, False)
    browser.open("about:blank")
    browser.send("Storage.clearDataForOrigin", origin=host.url, storageTypes="all")


def offline(browser: Browser, cut: bool) -> None:
    """Cut the network, or join it."""
    given = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.send("Network.emulateNetworkConditions", offline=cut, **given)


def test_offline_it_answers_as_the_server_does(
    browser: Browser, visited: str, bundle: Path, products: list[Product], tmp_path: Path
) -> None:
    browser.open(visited)
    browser.wait("!document.querySelector('#q').disabled", 30)
    draw = random.Random(4)
    queries = [" ".join(draw.choice(products[1:]).title.split()[: draw.randint(1, 4)]) for _ in range(50)]
    queries += ["保温杯 500ml", "不锈钢杯子"]
    script = f"""(async () => {{
        const {{Client}} = await import("./page/client.js");
        const client = new Client();
        await client.facts;
        const found = [];
        for (const query of {json.dumps(queries)}) found.push(await client.search(query, {{ limit: 100 }}));
        client.worker.terminate();
        return found.map(({{hits}}) => hits.map(({{id, score}}) => [id, score]));
    }})()"""
    found = browser.run(script)
    with server(bundle, products, tmp_path) as held:
        for query, answer in zip(queries, found, strict=True):
            rows, scores = [int(name[1:]) for name, _ in answer], [score for _, score in answer]
            agree(Ranked(rows, scores), held.answer(query)[0])


def test_offline_the_page_shows_what_is_typed(browser: Browser, visited: str) -> None:
    browser.open(visited)
    browser.wait("document.querySelectorAll('.card').length === 24", 30)
    assert browser.run("document.querySelector('.card h2').textContent") == HOSTILE
    browser.click("#q")
    browser.type("500ml")
    browser.wait("document.body.dataset.answered === '500ml'")
    facts = browser.run("document.querySelector('#facts').innerText")
    assert "20,000 products" in facts
    assert "MB" in facts
    assert "answered in" in facts
    browser.wait(READY)
    assert browser.run("location.search") == "?q=500ml&begun=1"
    shown = browser.run("[...document.querySelectorAll('h2')].map((one) => one.textContent)")
    marked = browser.run("[...document.querySelectorAll('mark')].map((one) => one.textContent.toLowerCase())")
    assert marked == ["500ml"] * sum(len(re.findall(r"\b500ml", title.lower())) for title in shown)
    browser.wait("!document.querySelector('.picture img')", 5)
    browser.click("#language")
    browser.wait("document.querySelector('#facts').innerText.includes('可离线使用')")
    assert browser.run("document.documentElement.lang") == "zh-CN"
    browser.click("#language")
    assert browser.complaints == []
    assert browser.run("document.title") == "Search, right here"


def test_what_is_misspelt_is_searched_as_it_was_meant(browser: Browser, visited: str) -> None:
    browser.open(f"{visited}?q=stanless")
    browser.wait("document.body.dataset.answered === 'stanless'", 30)
    said = browser.run("document.querySelector('#spelling').innerText")
    assert said == "These are for “stainless”, in place of “stanless”."
    browser.open(f"{visited}?q=stainless")
    browser.wait("document.body.dataset.answered === 'stainless'", 30)
    assert not browser.run("document.querySelector('#spelling').checkVisibility()")


def test_an_address_with_a_query_opens_offline_with_its_answer(browser: Browser, visited: str) -> None:
    browser.open(f"{visited}?q=%E4%BF%9D%E6%B8%A9%E6%9D%AF")
    browser.wait("document.body.dataset.answered === '保温杯'", 30)
    assert browser.run("document.querySelector('#q').value") == "保温杯"
    assert browser.complaints == []


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_it_fits_every_width_and_has_names_for_everything(browser: Browser, visited: str, width: int) -> None:
    browser.look(width=width, height=800)
    browser.open(f"{visited}?q=500ml")
    browser.wait("document.body.dataset.answered === '500ml'", 30)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    nameless = """[...document.querySelectorAll("button, input, a, summary")].filter((one) => one.checkVisibility()
        && !one.labels?.length && !one.textContent.trim() && !one.ariaLabel).length"""
    assert browser.run(nameless) == 0
    # A value to filter by is a row of its own height, which fingers find larger than a pointer does.
    small = """[...document.querySelectorAll("button, input:not(.value input), a.mark, summary")].filter((one) =>
        one.checkVisibility() && one.getBoundingClientRect().height < 44).length"""
    assert browser.run(small) == 0
    low = """[...document.querySelectorAll("label.value")].filter((one) => one.checkVisibility()
        && one.getBoundingClientRect().height < 34).length"""
    assert browser.run(low) == 0


def test_a_new_release_takes_over_what_has_not_changed(
    browser: Browser, bundle: Path, titles: list[str], tmp_path: Path
) -> None:
    rows = [Product(id=str(at), title=title) for at, title in enumerate(titles[:50])]
    site = write_browser(bundle, rows, tmp_path / "site")
    host = Host(site)
    try:
        browser.open(host.url)
        browser.wait(READY, 60)
        second = write_browser(bundle, rows[:-1], tmp_path / "other")
        for path in second.rglob("*"):
            if path.is_file():
                (site / path.relative_to(second)).write_bytes(path.read_bytes())
        asked: list[str] = []
        Quiet.send_head = counted(asked)  # type: ignore[method-assign]
        browser.run("""navigator.serviceWorker.getRegistration().then(async (one) => {
            await one.update();
            while (!one.waiting) await new Promise((done) => setTimeout(done, 50));
        })""")
        browser.open("about:blank")
        browser.open(host.url)
        browser.wait("document.querySelector('#fact-products')?.textContent === '49 products'", 30)
    finally:
        Quiet.send_head = SimpleHTTPRequestHandler.send_head  # type: ignore[method-assign]
        host.stop()
    catalogue = {"products.json", *(f"{name}.safetensors.gz" for name in ("products", "values", "words")), "words.json"}
    changed = {"/service-worker.js", *(f"/catalogue/{name}" for name in catalogue)}
    # Browsers may race the worker for the page itself.
    assert set(asked) <= changed | {"/student/student.json", "/"}


def counted(asked: list[str]) -> Any:
    """A handler's ``send_head`` that notes what is asked for."""

    def send_head(self: SimpleHTTPRequestHandler) -> Any:
        asked.append(self.path)
        return SimpleHTTPRequestHandler.send_head(self)

    return send_head
