"""What a server holds: a simulated catalogue behind HTTP on one core, the load on another, over loopback.

For each size of catalogue:

- *engine*: the engine's own time in process, without HTTP, on queries that differ; with facets and without;
- *saturated*: ``GET /search`` as fast as it is answered (``wrk``, a few connections that never rest), beside the same
  app with a stored answer (what the app costs) and a bare ASGI handler that sends the same bytes on the same server
  (what HTTP costs);
- *at a rate*: requests on a fixed schedule, latency counted from when each was due, so that a stall of the server is
  seen by all who would have come meanwhile (no coordinated omission);
- *overload*: five times what was held, on a schedule; and half of what was held before and after it;
- *swap*: a second bundle is loaded, activated and rolled back twice, and products are put and deleted, at half of what
  was held. No request may fail.

No query comes twice within a thousand others unless ``--repeat`` says so: the engine keeps as many rankings. Indexes
are built once under ``--work`` and kept; the second bundle's part of them too, so that *swap* times what loading is
where the products are encoded already. Servers are ended with their measurements. Needs Linux, ``wrk`` and two cores.

Run: ``python -m benchmarks.load --bundle BUNDLE --second BUNDLE --work FOLDER``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import _wrk
from benchmarks._bench import publish, say
from benchmarks._catalogue import Catalogue, address, copied, prepared
from benchmarks._inprocess import inprocess
from benchmarks._openloop import Plan, Sent, send
from benchmarks._server import Core, Served, on, served

from shopstill.serve.app.keys import add_key
from shopstill.serve.index.documents import form

OVER, CALM, BULK = 5.0, 0.5, 100


@dataclass
class Queries:
    """Paths of searches, handed out so that none comes again soon."""

    paths: list[str]
    at: int = 0

    def all(self) -> list[str]:
        """Every path, from the first that was not asked for yet."""
        return self.paths[self.at :] + self.paths[: self.at]

    def take(self, count: int) -> list[str]:
        """The next so many, from the start again where they end."""
        found = self.all()[:count]
        self.used(len(found))
        return found

    def used(self, count: int) -> None:
        """Say how many were asked for."""
        self.at = (self.at + count) % len(self.paths)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What one catalogue is measured with."""

    options: argparse.Namespace
    cores: Core
    queries: Queries
    folder: Path
    pool: ProcessPoolExecutor

    def begin(self, server: Served, rate: float, seconds: float) -> Future[Sent]:
        """Start sending at a rate, in the process that does so."""
        paths = self.queries.take(max(1, round(rate * seconds)))
        plan = Plan(host=server.host, port=server.port, paths=paths, rate=rate, seconds=seconds)
        return self.pool.submit(send, plan)

    def sent(self, server: Served, rate: float, seconds: float) -> dict[str, Any]:
        """Send at a rate until it is done: what became of it."""
        return {"rate": rate, **self.begin(server, rate, seconds).result().summary()}

    def saturated(self, server: Served, seconds: float) -> dict[str, Any]:
        """As many requests as it answers."""
        where, connections = f"{server.host}:{server.port}", self.options.connections
        found = _wrk.saturated(where, self.queries.all(), connections, seconds, self.folder)
        self.queries.used(found["requests"])
        return found


def main() -> None:
    """Measure every size, print and publish."""
    options = _arguments()
    if not _wrk.there():
        raise SystemExit(_wrk.MISSING)
    if not options.bundle.exists():
        say(f"skipped: {options.bundle} is not there; --bundle names a student with towers")
        return
    if not options.second.exists():
        say(f"{options.second} is not there: swaps are left out; --second names another bundle")
        options.second = None
    cores, figures = Core.two(), {}
    for products in options.products:
        catalogue = prepared(options.work, products, options.bundle, options.second)
        say(f"{products:,} products")
        with on(cores.load):
            figures[f"{products}"] = _measured(catalogue, options, cores)
    rows = [row for products, found in figures.items() for row in _rows(int(products), found)]
    columns = ("products", "what", "asked/s", "answered/s", "p50 ms", "p95 ms", "p99 ms", "refused", "failed")
    publish("GET /search, the server on one core", columns, rows, {"cores": vars(cores), "catalogues": figures})


def _measured(catalogue: Catalogue, options: argparse.Namespace, cores: Core) -> dict[str, Any]:
    """All measurements of one catalogue."""
    texts = catalogue.queries()[: options.repeat or None]
    with copied(catalogue.index) as index, TemporaryDirectory() as scratch, _pool() as pool:
        queries = Queries([address(text) for text in texts])
        bench = Bench(options=options, cores=cores, queries=queries, folder=Path(scratch), pool=pool)
        with on(cores.server), _pool() as measuring:
            own = measuring.submit(inprocess, index, options.bundle, texts, options.queries).result()
        answer = Path(scratch) / "answer.json"
        answer.write_bytes(own.pop("answer"))
        found = {"queries": len(texts), "built": catalogue.built, "engine": own}
        found |= _app(bench, catalogue, index)
        for kind in ("stored", "plain"):
            say(f"  {kind}")
            with bench_server(bench, kind, answer=answer) as server:
                found[kind] = bench.saturated(server, options.seconds)
    found["answer_bytes"] = own["answer_bytes"]
    return found | {"cost_ms": costs(found)}


def costs(found: dict[str, Any]) -> dict[str, float]:
    """Milliseconds of the core that a request takes: of HTTP alone, of the app above it, of the engine above both.

    >>> held = {"saturated": {"answered_a_second": 200.0}, "stored": {"answered_a_second": 1000.0}}
    >>> costs({**held, "plain": {"answered_a_second": 4000.0}})
    {'http': 0.25, 'app': 0.75, 'engine': 4.0}
    """
    app, stored, plain = (1e3 / found[kind]["answered_a_second"] for kind in ("saturated", "stored", "plain"))
    return {"http": plain, "app": stored - plain, "engine": app - stored}


def _app(bench: Bench, catalogue: Catalogue, index: Path) -> dict[str, Any]:
    """What the app with its engine does under each load."""
    options, keys = bench.options, bench.folder / "keys.json"
    key = add_key(keys, ("products", "models"), "bench")
    models = options.second.resolve().parent if options.second else None
    with bench_server(bench, "app", index=index, bundle=options.bundle, keys=keys, models=models) as server:
        bench.saturated(server, max(1.0, options.seconds / 5))
        say("  saturated")
        found: dict[str, Any] = {"start_seconds": server.start_seconds}
        found["saturated"] = bench.saturated(server, options.seconds)
        held = found["saturated"]["answered_a_second"]
        say(f"  holds {held:.0f} requests a second; at {options.rate:g}")
        found["rate"] = bench.sent(server, options.rate, 2 * options.seconds)
        say("  overload")
        found["overload"] = _overload(bench, server, held)
        if options.second:
            say("  swap")
            found["swap"] = _swap(bench, server, catalogue, key, held)
    return found


def _overload(bench: Bench, server: Served, held: float) -> dict[str, Any]:
    seconds, memory = bench.options.seconds, {"before": server.memory()}
    before = bench.sent(server, CALM * held, seconds)
    over = bench.sent(server, OVER * held, seconds)
    memory["at the end"] = server.memory()
    after = bench.sent(server, CALM * held, seconds)
    memory["after"] = server.memory()
    return {"before": before, "over": over, "after": after, "memory": memory}


def _swap(bench: Bench, server: Served, catalogue: Catalogue, key: str, held: float) -> dict[str, Any]:
    """Models come and go and products change, while requests are answered."""
    second, seconds = bench.options.second, 2 * bench.options.seconds
    rate, done = CALM * held, list[dict[str, Any]]()
    asked = bench.begin(server, rate, seconds)

    def step(what: str, method: str, path: str, body: bytes = b"") -> None:
        start = time.perf_counter()
        status, told = server.ask(method, path, body, key)
        done.append({"what": what, "status": status, "seconds": time.perf_counter() - start})
        if status != 200:
            say(f"  {what}: answered with {status}: {told[:300]!r}")

    loading = json.dumps({"name": "second", "path": second.resolve().name}).encode()
    switching = [("activate", "/models/second/activate"), ("roll back", "/models/rollback")] * 2
    models = iter([("load", "/models", loading), *((what, path, b"") for what, path in switching)])
    for lines in _changes(catalogue):
        if wait([asked], timeout=seconds / 20).done:
            break
        what, path, body = next(models, ("", "", b""))
        if what:
            step(what, "POST", path, body)
        step("change products", "POST", "/products", lines)
    found = {"rate": rate, **asked.result().summary(), "steps": done, "memory": server.memory()}
    assert next(models, None) is None, "there was too little time for all swaps; give more with --seconds"
    return found | {"failed_steps": sum(one["status"] != 200 for one in done)}


def _changes(catalogue: Catalogue) -> Iterator[bytes]:
    """Bodies of changes without end: products dearer than they were, new ones, and some of these deleted again."""
    products = catalogue.some(BULK)
    number = 0
    while True:
        number += 1
        lines = [b'{"put":%s}' % form.dump_json(replace(one, price=float(number))) for one in products[: BULK // 2]]
        new = [replace(one, id=f"new-{number}-{one.id}") for one in products[BULK // 2 :]]
        lines += [b'{"put":%s}' % form.dump_json(one) for one in new]
        if number > 1:
            gone = [f"new-{number - 1}-{one.id}" for one in products[BULK // 2 :][:10]]
            lines += [json.dumps({"delete": one}).encode() for one in gone]
        yield b"\n".join(lines) + b"\n"


@contextmanager
def bench_server(bench: Bench, kind: str, **options: object) -> Iterator[Served]:
    """A server on the server's core."""
    first = bench.queries.take(1)[0]
    with served(kind, bench.cores.server, first, bench.folder / "server.log", **options) as server:
        yield server


@contextmanager
def _pool() -> Iterator[ProcessPoolExecutor]:
    """A process beside this one, which measures."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def _rows(products: int, found: dict[str, Any]) -> Iterator[Sequence[str]]:
    """The table of one catalogue."""
    size = f"{products:,}"
    for name, own in found["engine"]["searches"].items():
        yield [size, f"engine, {name}", "", "", *_ms(own["ms"]), "", ""]
    for kind, name in (("saturated", "app"), ("stored", "app, stored answer"), ("plain", "plain handler")):
        own = found[kind]
        yield [size, f"{name}, saturated", "", f"{own['answered_a_second']:,.0f}", *_ms(own), *_lost(own, "requests")]
    sent = {"app, at a rate": found["rate"]}
    sent |= {f"app, {name}": found["overload"][part] for name, part in _PARTS.items()}
    sent |= {"app, swaps and changes": found["swap"]} if "swap" in found else {}
    for name, own in sent.items():
        rates = (f"{own['rate']:,.0f}", f"{own['answered_a_second']:,.0f}")
        yield [size, name, *rates, *_ms(own["answered_ms"]), *_lost(own, "sent")]


_PARTS = {"half load": "before", "overload": "over", "half load again": "after"}


def _ms(own: dict[str, float]) -> list[str]:
    return [f"{own[name]:.2f}" if name in own else "" for name in ("p50", "p95", "p99")]


def _lost(own: dict[str, Any], of: str) -> list[str]:
    failed = own["broken"] if "broken" in own else own["failed"] + own.get("failed_steps", 0)
    return [f"{own['refused'] / own[of]:.1%}", str(failed)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    bundles = Path("runs/homedepot/bundle")
    parser.add_argument("--bundle", type=Path, default=bundles / "fast" / "bundle", help="of a student with towers")
    parser.add_argument(
        "--second", type=Path, default=bundles / "fast-small" / "1-tables" / "bundle", help="to swap with"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/load"), help="folder of catalogues, which are kept")
    parser.add_argument("--products", type=int, nargs="+", default=[20_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=2_000, help="asked of the engine in process, in each way")
    parser.add_argument("--rate", type=float, default=100, help="requests a second on a schedule")
    parser.add_argument("--seconds", type=float, default=10, help="of a measurement; twice as long at a rate")
    parser.add_argument("--connections", type=int, default=4, help="of wrk")
    parser.add_argument("--repeat", type=int, default=0, help="ask so many queries again and again; 0 for never")
    return parser.parse_args()


if __name__ == "__main__":
    main()
