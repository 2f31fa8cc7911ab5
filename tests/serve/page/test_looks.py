"""What can be measured of how the page looks: contrast, sizes for fingers, weight, and that nothing jumps."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from tests.serve.page.cdp import Browser

import shopstill.serve

PAGE = Path(shopstill.serve.__file__).parent / "page"
LAB = {"lab.html", "lab.js", "lab.css", "charts.js"}
SHOWN = "document.querySelectorAll('.card, .side li').length > 5 || document.querySelector('#figures')?.children.length"

# Contrast as WCAG 2.2 has it, of every text against the colour behind it; a canvas tells what a colour is in numbers.
FAINT = """(() => {
  const pen = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = new Set();
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !one.checkVisibility() || one.closest('.hidden, .skip, .tile, :disabled, option')) continue;
    const style = getComputedStyle(one);
    const drawn = one instanceof SVGElement;
    const [a, b] = [light(rgba(drawn ? style.fill : style.color)), light(behind(one))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.add(`${one.tagName}.${one.getAttribute('class')} ${ratio.toFixed(2)}`);
  }
  return [...found];
})()"""

SMALL = """[...document.querySelectorAll('button, select, input, a.tool, a.mark, summary, label.value')]
  .filter((one) => one.checkVisibility() && !one.closest('.hidden, label.value > *'))
  .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
  .filter(([, box]) => Math.min(box.width, box.height) < 43.5).map(([text]) => text)"""

JUMPED = """new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((one) => { if (!one.hadRecentInput) sum += one.value; }))
    .observe({type: 'layout-shift', buffered: true});
  setTimeout(() => done(sum), 400);
})"""


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", ["/?q=red mug", "/?q=red mug&compare=on", "/?q=red mug&item=p/0", "/static/lab.html"])
def test_every_text_has_contrast(browser: Browser, server: str, path: str, dark: bool) -> None:
    browser.look(width=1200, height=900, dark=dark)
    browser.open(server + path)
    browser.wait(SHOWN)
    if "item=" in path:
        browser.wait("document.querySelectorAll('#why .effect').length > 2")
    assert browser.run(FAINT) == []


@pytest.mark.slow
def test_what_is_touched_is_large_enough(browser: Browser, server: str) -> None:
    browser.look(width=360, height=740)
    for path in ("/?q=red mug&brand=Acme", "/?q=red mug&compare=on", "/?q=red mug&item=p/0", "/static/lab.html"):
        browser.open(server + path)
        browser.wait(SHOWN)
        assert browser.run(SMALL) == [], path
    browser.open(f"{server}/?q=red mug")
    browser.wait(SHOWN)
    browser.click("#filters")
    assert browser.run(SMALL) == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_jumps_while_the_page_loads(browser: Browser, server: str, width: int) -> None:
    browser.look(width=width, height=900)
    browser.open(f"{server}/?q=red mug")
    browser.wait(SHOWN)
    assert browser.run(JUMPED) < 0.1


@pytest.mark.slow
def test_everything_is_asked_for_in_one_round(browser: Browser, server: str) -> None:
    browser.open(f"{server}/?q=mug")
    browser.wait(SHOWN)
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    parts = [url.removeprefix(f"{server}/") for url in browser.requests if "/static/" in url]
    assert [part for part in parts if part not in html] == []


def test_the_page_is_light() -> None:
    weight = {path.name: len(gzip.compress(path.read_bytes())) for path in PAGE.iterdir() if path.suffix != ".py"}
    assert sum(weight.values()) < 44_000
    assert sum(size for name, size in weight.items() if name not in LAB) < 32_000


def test_nothing_in_the_page_needs_what_its_policy_forbids() -> None:
    for path in PAGE.glob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html), path.name
    for path in PAGE.glob("*.js"):
        script = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", script), (
            path.name
        )
        assert script.count("\n") <= 300, path.name


def test_both_languages_say_the_same_things() -> None:
    for name in ("words.js", "lab.js"):
        script = (PAGE / name).read_text(encoding="utf-8")
        english, rest = re.split(r"const ZH|\n  zh: \{", script, maxsplit=1)
        chinese = re.split(r"\n(?:  )?\}", rest, maxsplit=1)[0]
        keys = [set(re.findall(r"(?:^|, |\{ |    |  )(\w+): (?=[\"\[])", part)) for part in (english, chinese)]
        assert keys[0] == keys[1], name
        assert len(keys[0]) > 30
