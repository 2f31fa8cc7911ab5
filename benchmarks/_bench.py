"""What every benchmark shares: its pairs, rounds in turn, and a published result that says where it was measured."""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from shopstill.core.hardware import machine
from shopstill.data.ingest import ingest
from shopstill.data.pairs import PairTexts
from shopstill.data.readers.homedepot import HomeDepot
from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, simulate

RESULTS = Path(__file__).parent / "results"
DATA = Path(os.environ.get("SHOPSTILL_DATA", Path(__file__).parents[2] / "shared" / "data"))
PACKAGES = ("shopstill", "torch", "transformers", "sentence-transformers", "numpy", "pyarrow")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Judged pairs of texts, drawn at random: ``grade_N`` from 0 to 1."""

    source: str
    queries: list[str]
    products: list[str]
    grade_N: np.ndarray

    def __len__(self) -> int:
        return len(self.queries)

    def texts(self) -> PairTexts:
        """The same with each text held once."""
        queries, query_N = np.unique(np.array(self.queries, dtype=object), return_inverse=True)
        products, product_N = np.unique(np.array(self.products, dtype=object), return_inverse=True)
        return PairTexts(queries=queries.tolist(), products=products.tolist(), query_N=query_N, product_N=product_N)

    def first(self, pairs: int) -> Judged:
        """The first so many of them."""
        return Judged(
            source=self.source,
            queries=self.queries[:pairs],
            products=self.products[:pairs],
            grade_N=self.grade_N[:pairs],
        )


@contextmanager
def opened_shop(queries: int) -> Iterator[tuple[Shop, str]]:
    """The Home Depot set where it is at hand, else a simulated shop of so many queries; and the name of its source."""
    path = DATA / "homedepot" / "train.csv.zip"
    with TemporaryDirectory() as folder:
        if path.exists():
            ingest(HomeDepot(path=path).read(), Path(folder))
            yield Shop(Path(folder) / "shop"), "Home Depot"
        else:
            yield simulate(Simulate(queries=queries, events=0), Path(folder)), "simulated shop"


def judged(pairs: int) -> Judged:
    """Pairs of the Home Depot set where it is at hand, else of a simulated shop."""
    with opened_shop(max(600, pairs // 15)) as (shop, source):
        tables = {name: shop.read(name) for name in ("products", "queries", "judgments")}
    texts = dict(zip(*(tables["queries"].column(c).to_pylist() for c in ("query_id", "text")), strict=True))
    titles = dict(zip(*(tables["products"].column(c).to_pylist() for c in ("product_id", "title")), strict=True))
    rows = tables["judgments"]
    if rows.num_rows < pairs:
        raise SystemExit(f"--pairs {pairs}: the {source} has {rows.num_rows:,} judged pairs")
    rows = rows.take(np.random.default_rng(0).permutation(rows.num_rows)[:pairs])
    grades = rows.column("grade").to_numpy()
    return Judged(
        source=source,
        queries=[texts[q] for q in rows.column("query_id").to_pylist()],
        products=[titles[p] for p in rows.column("product_id").to_pylist()],
        grade_N=((grades - grades.min()) / (grades.max() - grades.min())).astype(np.float32),
    )


Variant = Callable[[], Callable[[], Any]]
"""Makes ready, and returns the work that is timed."""


def in_turn(variants: Mapping[str, Variant], rounds: int, warm: bool = True) -> dict[str, list[float]]:
    """Seconds of each variant in each round; a round runs all of them, every second one in the opposite order."""
    names = list(variants)
    for name in names if warm else ():
        variants[name]()()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            work = variants[name]()
            gc.collect()
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
            say(f"  round {number + 1} of {rounds}: {name} {seconds[name][-1]:.2f} s")
    return seconds


def ratio(slow: Sequence[float], fast: Sequence[float]) -> dict[str, float]:
    """How many times as fast: the median of the rounds' ratios, with the least and the most."""
    ratios = [s / f for s, f in zip(slow, fast, strict=True)]
    return {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}


def shown(ratios: Mapping[str, float]) -> str:
    """A ratio for a table: ``2.10 (2.05–2.14)``."""
    return f"{ratios['median']:.2f} ({ratios['least']:.2f}–{ratios['most']:.2f})"


@contextmanager
def threads(count: int) -> Any:
    """Torch with so many threads, and as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def publish(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], figures: Mapping[str, Any]) -> None:
    """Print a table, and write the figures beside the machine, the versions and the command they come from."""
    from rich.console import Console
    from rich.table import Table

    name = Path(sys.argv[0]).stem
    table = Table(title=title, caption=f"{machine()['processor']}, load {_load()}")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*map(str, row))
    Console(width=max(120, Console().width)).print(table)
    stated = {
        "benchmark": name,
        "command": " ".join(["python", "-m", f"benchmarks.{name}", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": machine(),
        "load_at_end": _load(),
        "versions": {package: _version(package) for package in PACKAGES},
        "table": {"columns": list(columns), "rows": [[str(cell) for cell in row] for row in rows]},
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(stated, indent=2, ensure_ascii=False) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")


def say(text: str) -> None:
    """A line on standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def _load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
