"""Cold start: from a process that begins to its first answer, over an index that is there.

In turn, each in a new process:

- *python*: an interpreter that does nothing;
- *imports*: the interpreter, and all that a server imports;
- *engine*: opens the bundle and the index, and answers one search;
- *server*: ``shopstill serve``, until the answer to ``GET /search`` has arrived; it is polled every 5 ms, so that up to
  this much is the clock's.

The model is two static towers with an interaction head, whose weights are drawn from a seed: times do not depend on
them. Products are simulated. The index's files are in the page cache, as after a restart of a server; what a disk adds
after a restart of the machine is left out. Run: ``python -m benchmarks.start``.
"""

from __future__ import annotations

import argparse
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import numpy as np
from benchmarks._bench import Variant, in_turn, publish, ratio, say, shown

from shopstill.data.lexical import LexicalIndex
from shopstill.data.pairs import PairTexts
from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, simulate
from shopstill.serve.engine.engine import create
from shopstill.serve.products import of_table

QUERY = "steel+pan"
POLL_S, PATIENCE_S = 0.005, 60
IMPORTS = "import shopstill.cli.serving, shopstill.serve.app.run, shopstill.serve.engine.engine"
ENGINE = """
import sys
from pathlib import Path
from shopstill.serve.engine.engine import Engine
from shopstill.serve.forms import Search
engine = Engine.open(Path(sys.argv[1]), Path(sys.argv[2]))
assert engine.search(Search(query="steel pan")).hits
engine.close()
"""


def main() -> None:
    """Measure, print and publish."""
    arguments = _arguments()
    with TemporaryDirectory() as folder:
        index, bundle = _made(Path(folder), arguments.products)
        server = _Server(index, bundle)
        variants: dict[str, Variant] = {
            "python": _process(server, "pass"),
            "imports": _process(server, IMPORTS),
            "engine": _process(server, ENGINE, index, bundle),
            "server": server.ready,
        }
        try:
            seconds = in_turn(variants, arguments.rounds)
        finally:
            server.stop()
        size = sum(path.stat().st_size for path in index.rglob("*") if path.is_file())
    _publish(seconds, arguments.products, size, server.peaks)


def _publish(seconds: dict[str, list[float]], products: int, size: int, peaks: Sequence[int]) -> None:
    rows = []
    figures: dict[str, Any] = {"products": products, "index_bytes": size, "server_peak_bytes": max(peaks)}
    for name, taken in seconds.items():
        times = ratio(taken, seconds["python"])
        figures[name] = {"seconds": taken, "median": statistics.median(taken), "of_python": times}
        least, most = min(taken), max(taken)
        rows.append([name, f"{statistics.median(taken):.2f}", f"{least:.2f}–{most:.2f}", shown(times)])
    columns = ("process", "seconds, median", "least–most", "times an idle interpreter")
    title = f"Cold start to the first answer, {products:,} products; the server's peak is {max(peaks) / 1e6:,.0f} MB"
    publish(title, columns, rows, figures)


def _made(where: Path, count: int) -> tuple[Path, Path]:
    """An index of simulated products, and the bundle that it is for."""
    from shopstill.export.bundle import About, write_bundle
    from shopstill.models import build
    from shopstill.models.build import TextModel
    from shopstill.models.towers import Towers

    say(f"  making an index of {count:,} products")
    simulate(Simulate(products=count, queries=20, events=0, languages=("en", "zh")), where / "shop")
    products = list(of_table(Shop(where / "shop").scan("products")))
    titles = [product.title for product in products]
    made, words = build.create(Towers(head="interaction"), None, 0), LexicalIndex.build(titles)
    made.network.eval()
    model = TextModel(network=made.network, tokenizer=made.tokenizer, lexical=words)
    few = np.arange(64)
    parity = PairTexts(queries=["steel pan"], products=titles[:64], query_N=0 * few, product_N=few)
    bundle = write_bundle(model, where / "bundle", about=About(name="start"), rows=parity)
    create(where / "index", bundle, products, len(products))
    return where / "index", bundle


def _process(server: _Server, script: str, *arguments: object) -> Variant:
    """A process that runs a script to its end, with no server beside it."""
    command = [sys.executable, "-c", script, *map(str, arguments)]

    def ready() -> Callable[[], Any]:
        server.stop()
        return lambda: subprocess.run(command, check=True)

    return ready


class _Server:
    """A server that is started while the clock runs, and stopped while it does not.

    Args:
        index: that it serves.
        bundle: that answers.
    """

    def __init__(self, index: Path, bundle: Path) -> None:
        self._command = [sys.executable, "-m", "shopstill", "serve", str(bundle), "--index", str(index), "--quiet"]
        self._running: subprocess.Popen[bytes] | None = None
        self._ask = build_opener(ProxyHandler({})).open
        self.peaks: list[int] = []

    def ready(self) -> Callable[[], Any]:
        """Stop what runs still, and choose a port."""
        self.stop()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return lambda: self._started(port)

    def _started(self, port: int) -> None:
        quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._running = subprocess.Popen([*self._command, "--port", str(port)], **quiet)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self._running.poll() is None:
            try:
                with self._ask(f"http://127.0.0.1:{port}/search?q={QUERY}", timeout=PATIENCE_S) as got:
                    assert b'"hits":[{' in got.read()
                    return
            except URLError:
                time.sleep(POLL_S)
        raise SystemExit(f"no answer within {PATIENCE_S} s of: {' '.join(self._command)} --port {port}")

    def stop(self) -> None:
        """End the server, and note the most memory that it held."""
        if self._running is None:
            return
        self.peaks.append(_peak(self._running.pid))
        self._running.send_signal(signal.SIGTERM)
        self._running.wait(PATIENCE_S)
        self._running = None


def _peak(process: int) -> int:
    """The most memory that a process held, in bytes; 0 where the system does not tell.

    Not what its parent is told of it: that counts the parent, whose copy it was at first.
    """
    stated = Path(f"/proc/{process}/status")
    found = re.search(r"^VmHWM:\s+(\d+) kB", stated.read_text(), re.MULTILINE) if stated.exists() else None
    return 1024 * int(found.group(1)) if found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


if __name__ == "__main__":
    main()
