"""The student in a tab: the size of its folder, how soon a visit can search, and what a query takes with no network.

A simulated catalogue in English and Chinese is exported with a student and opened in headless Chromium, from a static
host on loopback. The host is then stopped and the browser's network cut, and queries that differ are asked one after
the other as the page asks them: from the question in the page to its answer there. Once more with the tab let run for a
quarter of the time, 1 ms in 4, which is a phone's speed, roughly: what browsers offer for that holds the page's own
thread and not the worker that searches. Each answer's first ten are compared with those of the server's engine over the
same catalogue.

Run: ``python -m benchmarks.browser --bundle BUNDLE``. Needs Linux, Chromium, and the npm registry once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from benchmarks._bench import publish, say
from benchmarks._catalogue import Catalogue, copied, prepared
from benchmarks._openloop import percentiles
from tests.export.test_browser_tab import READY, Host, offline
from tests.serve.page.cdp import Browser, chromium

from shopstill.export.browser import write_browser
from shopstill.serve.engine.engine import Engine
from shopstill.serve.forms import Search
from shopstill.serve.products import read_products

TOP, SLOW = 10, 4
_OPEN = "!document.querySelector('#q').disabled"
_ASK = """(async () => {
    const {Client} = await import("./page/client.js");
    const client = new Client();
    await client.facts;
    const found = [];
    for (const query of QUERIES) {
        const {hits, waited, ms} = await client.search(query, {limit: TOP});
        found.push({waited, ms, ids: hits.map(({id}) => id)});
    }
    client.worker.terminate();
    return found;
})()"""


def main() -> None:
    """Measure, print and publish."""
    options = _arguments()
    if not options.bundle.exists():
        say(f"skipped: {options.bundle} is not there; --bundle names a student with towers")
        return
    program = chromium()
    if program is None:
        say("skipped: no Chromium here; install chromium, chromium-browser or google-chrome")
        return
    catalogue = prepared(options.work, options.products, options.bundle, None)
    queries = catalogue.queries()[: options.queries]
    with TemporaryDirectory() as folder:
        site = write_browser(options.bundle, read_products(catalogue.shop)[0], Path(folder) / "site")
        stated = json.loads((site / "student" / "student.json").read_text(encoding="utf-8"))
        say("  in the browser")
        with _visited(program, site) as (browser, visit):
            found = {"laptop": _asked(browser, queries)}
            with _slowed(SLOW):
                found["phone"] = _asked(browser, queries)
    say("  on the server")
    same = _agreeing(catalogue, options.bundle, queries, [one["ids"] for one in found["laptop"]])
    waits = {name: percentiles(np.array([one["waited"] for one in taken]) / 1e3) for name, taken in found.items()}
    figures = {"products": options.products, "queries": len(queries), "bytes": stated["bytes"], **visit}
    rows = [[name, *(f"{wait[part]:.1f}" for part in ("p50", "p95", "p99"))] for name, wait in waits.items()]
    title = (
        f"{options.products:,} products in a tab: {stated['bytes']['all'] / 1e6:.1f} MB, ready after "
        f"{visit['seconds']:.1f} s, with no network {visit['again_seconds']:.1f}; {same:.1%} of first tens the server's"
    )
    publish(title, ("processor", "p50 ms", "p95", "p99"), rows, figures | {"ms": waits, "as_on_the_server": same})


@contextmanager
def _visited(program: str, site: Path) -> Iterator[tuple[Browser, dict[str, float]]]:
    """A browser that visited once and has no network now, and the seconds from address to search of both visits."""
    host, browser = Host(site), Browser(program)
    try:
        start = time.perf_counter()
        browser.open(host.url)
        browser.wait(_OPEN, 120)
        taken = {"seconds": time.perf_counter() - start}
        browser.wait(READY, 120)
        host.stop()
        offline(browser, True)
        start = time.perf_counter()
        browser.open(host.url)
        browser.wait(_OPEN, 120)
        yield browser, taken | {"again_seconds": time.perf_counter() - start}
    finally:
        browser.close()


@contextmanager
def _slowed(times: int) -> Iterator[None]:
    """What draws and searches tabs runs 1 ms, and then stands still until its share of the time is reached."""
    tabs = [tab for tab in _children(os.getpid()) if b"--type=renderer" in Path(f"/proc/{tab}/cmdline").read_bytes()]
    assert tabs, "no tab of Chromium is running"
    done = threading.Event()

    def beat() -> None:
        while not done.wait(0.001):
            _signal(tabs, signal.SIGSTOP)
            time.sleep(0.001 * (times - 1))
            _signal(tabs, signal.SIGCONT)

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join()


def _signal(processes: Sequence[int], what: signal.Signals) -> None:
    for one in processes:
        with suppress(ProcessLookupError):
            os.kill(one, what)


def _children(process: int) -> Iterator[int]:
    """All that a process started, and what these started."""
    for listed in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, listed.read_text().split()):
            yield child
            yield from _children(child)


def _asked(browser: Browser, queries: Sequence[str], at_once: int = 50) -> list[dict[str, Any]]:
    """What became of each query, in pieces: the browser answers one command within half a minute."""
    found: list[dict[str, Any]] = []
    for at in range(0, len(queries), at_once):
        piece = json.dumps(queries[at : at + at_once])
        found += browser.run(_ASK.replace("QUERIES", piece).replace("TOP", str(TOP)))
    return found


def _agreeing(catalogue: Catalogue, bundle: Path, queries: Sequence[str], ids: Sequence[Sequence[str]]) -> float:
    """The share of queries whose first ten are the server's, in its order."""
    with copied(catalogue.index) as index:
        engine = Engine.open(index, bundle)
        answers = [engine.search(Search(query=query, limit=TOP, budget_ms=10_000)) for query in queries]
        engine.close()
    same = [[hit.product.id for hit in one.hits] == list(own) for one, own in zip(answers, ids, strict=True)]
    for query in (query for query, equal in zip(queries, same, strict=True) if not equal):
        say(f"  other than the server's: {query!r}")
    return float(np.mean(same))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    bundle = Path("runs/homedepot/bundle/fast/bundle")
    parser.add_argument("--bundle", type=Path, default=bundle, help="of a student with towers")
    parser.add_argument("--work", type=Path, default=Path("runs/load"), help="folder of catalogues, which are kept")
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=500)
    return parser.parse_args()


if __name__ == "__main__":
    main()
