"""A million simulated products and five million pairs through ``prepare`` and the label store's bookkeeping.

Each step runs in a process of its own, so that its peak memory is its own; ``imports alone`` is what a process takes
that does nothing, and ``bytes a row`` is what the peak is above that. Shards are mapped into memory, and the pages that
were touched count. Seconds on a busy machine are long; ``of processor`` are those that the process itself worked.

- simulate: the simulated shop is made and written, with the digest of its content.
- ingest: its products, queries and judgments are read as an export of another shop would be: cleaned, checked for
  repeated, dangling and unknown values, and written as a shop again.
- scan: every table is read piece by piece, and the digest of its content is made anew; it must be the stated one.
- split: queries are parted and checked for leaks.
- pairs: every judged pair's texts are found, and the key of each pair made.
- label: ``teach.label.label`` into an empty store: keys, what is missing, shards written and synced.
- lookup: the store is opened, each shard's bytes checked, and the labels of all pairs read.
- again: ``label`` once more, with a teacher that stops the benchmark when it is asked.

The teacher is a checksum of both texts: what is timed is the bookkeeping. Left out: events, pictures and edges other
than the taxonomy and the products' own; one language; and mining, which is a search, not bookkeeping. A shop has a
query for every ``--judged`` pairs. Run: ``python -m benchmarks.scale`` (at most 1 GB of disk, given back at the end).
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks._bench import publish, say

from shopstill.core.fingerprint import fingerprint
from shopstill.core.hardware import peak_memory_bytes
from shopstill.data.ingest import ingest
from shopstill.data.pairs import PairTexts
from shopstill.data.readers.columns import Columns, TableFile
from shopstill.data.schema import SCHEMAS
from shopstill.data.shop import Shop, TableDigest
from shopstill.data.simulate import Simulate, simulate
from shopstill.data.split import SplitConfig, split_queries
from shopstill.teach.label import keys_of, label
from shopstill.teach.store import LabelStore

BYTES_A_PRODUCT = 1_000
"""Disk, with a wide margin and five pairs each: two shops, what an ingest puts by, keys and labels."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a step did: of what, how many rows, its parts' seconds; the process's seconds, and its peak in bytes."""

    of: str
    rows: int
    parts: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0


def main() -> None:
    """Measure, print and publish."""
    arguments = _arguments()
    with TemporaryDirectory(dir=arguments.folder) as folder:
        where, needed = Path(folder), arguments.products * BYTES_A_PRODUCT * max(1, arguments.pairs_each // 5)
        free = shutil.disk_usage(where).free
        if free < needed:
            raise SystemExit(f"{where}: {free / 1e9:.1f} GB are free, {needed / 1e9:.1f} may be needed; use --folder")
        rows: list[tuple[str, ...]] = []
        figures: dict[str, dict[str, Any]] = {}
        for name, step in _steps(arguments, where).items():
            done, grown = measured(step, where)
            per_row = (done.peak - figures["imports alone"]["peak"]) / done.rows if done.rows else 0
            rows.append(_row(name, done, grown, per_row))
            figures[name] = {**asdict(done), "bytes_a_row": per_row, "disk": grown}
            say(f"  {name}: {done.seconds:.1f} s, peak {done.peak / 1e6:,.0f} MB {_shown(done.parts)}")
    columns = ("step", "rows", "seconds", "of processor", "rows/s", "peak MB", "bytes a row", "disk MB")
    title = f"{arguments.products:,} simulated products, {arguments.pairs_each} pairs each"
    publish(title, columns, rows, {"products": arguments.products, "steps": figures})


def measured(step: Callable[[Path], Done], where: Path) -> tuple[Done, int]:
    """A step in a process of its own, whose start is not timed; and the bytes that it left on disk."""
    before = _size(where)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as one:
        done = one.submit(_timed, step, where).result()
    return done, _size(where) - before


def _timed(step: Callable[[Path], Done], where: Path) -> Done:
    start, cpu = time.perf_counter(), time.process_time()
    done = step(where)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return replace(done, seconds=seconds, cpu=cpu, peak=peak_memory_bytes())


def _steps(arguments: argparse.Namespace, where: Path) -> dict[str, Callable[[Path], Done]]:
    queries = max(1, arguments.products * arguments.pairs_each // arguments.judged)
    options = {"products": arguments.products, "queries": queries, "judged_per_query": arguments.judged}
    return {
        "imports alone": nothing,
        "simulate": partial(simulating, options=options),
        "ingest": ingesting,
        "scan": scanning,
        "split": splitting,
        "pairs": pairing,
        "label": labelling,
        "lookup": looking_up,
        "again": labelling_again,
    }


def nothing(where: Path) -> Done:
    """What the imports take."""
    return Done(of="", rows=0)


def simulating(where: Path, options: dict[str, Any]) -> Done:
    """Make the shop."""
    shop = simulate(Simulate(**options, events=0), where / "simulated")
    return Done(of="rows of all tables", rows=sum(shop.counts.values()))


def ingesting(where: Path) -> Done:
    """Read the tables as another shop's export."""
    files = {
        name: TableFile(
            path=where / "simulated" / f"{name}.parquet",
            columns={column: column for column in SCHEMAS[name].names if column not in ("split", "image")},
        )
        for name in ("products", "queries", "judgments")
    }
    report = ingest(Columns(**files).read(), where / "ingested", strict=True)
    return Done(of="rows of three tables", rows=sum(report.kept.values()))


def scanning(where: Path) -> Done:
    """Read every table once, and compare its digest with the stated one."""
    shop, digests = _shop(where), {}
    for name in shop.tables:
        digest = TableDigest(SCHEMAS[name])
        for batch in shop.scan(name):
            digest.update(pa.Table.from_batches([batch]))
        digests[name] = digest.hexdigest()
    if fingerprint(digests) != shop.fingerprint:
        raise SystemExit(f"{shop.path}: what was read is not what was written")
    return Done(of="rows of three tables", rows=sum(shop.counts.values()))


def splitting(where: Path) -> Done:
    """Part the queries."""
    split = split_queries(_shop(where), SplitConfig())
    pq.write_table(split, where / "split.parquet")
    return Done(of="queries", rows=split.num_rows)


def pairing(where: Path) -> Done:
    """The pairs' texts, and their keys, without a store's labels."""
    start = time.perf_counter()
    pairs = _pairs(where)
    found = time.perf_counter()
    keys = keys_of(pairs, LabelStore(where / "empty", teacher="none", preparation="none"))
    parts = {"texts": found - start, "keys": time.perf_counter() - found}
    return Done(of="pairs", rows=len(keys), parts=parts)


def labelling(where: Path) -> Done:
    """Label every pair."""
    pairs = _pairs(where)
    start = time.perf_counter()
    done = label(pairs, checksums, _store(where))
    parts = {"label": time.perf_counter() - start}
    start = time.perf_counter()
    checksums(*pairs.texts(np.arange(min(len(pairs), 100_000))))
    parts["checksums of 100,000"] = time.perf_counter() - start
    return Done(of="pairs", rows=done.labelled, parts=parts)


def looking_up(where: Path) -> Done:
    """Read the labels of all pairs, and check those of some."""
    pairs = _pairs(where)
    start = time.perf_counter()
    store = _store(where)
    opened = time.perf_counter()
    keys = keys_of(pairs, store)
    made = time.perf_counter()
    logit_N = store.lookup(keys).logits
    parts = {"open": opened - start, "keys": made - opened, "lookup": time.perf_counter() - made}
    some = np.random.default_rng(0).integers(len(pairs), size=10_000)
    if not np.array_equal(logit_N[some], np.array(checksums(*pairs.texts(some)), np.float32)):
        raise SystemExit("the store answers with other labels than were stored")
    return Done(of="pairs", rows=len(logit_N), parts=parts)


def labelling_again(where: Path) -> Done:
    """Find that nothing is missing."""
    pairs, store = _pairs(where), _store(where)
    start = time.perf_counter()
    done = label(pairs, _refuse, store)
    return Done(of="pairs", rows=done.reused, parts={"label": time.perf_counter() - start})


def checksums(queries: Sequence[str], products: Sequence[str]) -> list[float]:
    """A made-up teacher, as good as instantaneous: a number from 0 to 1 for each pair of texts."""
    return [crc32(p.encode(), crc32(q.encode())) / 2**32 for q, p in zip(queries, products, strict=True)]


def _refuse(queries: Sequence[str], products: Sequence[str]) -> list[float]:
    raise SystemExit(f"{len(queries):,} pairs were asked again, such as {queries[0]!r} with {products[0]!r}")


def _pairs(where: Path) -> PairTexts:
    shop = _shop(where)
    pairs = shop.read("judgments", ["query_id", "product_id"])
    queries, products = shop.read("queries", ["query_id", "text"]), shop.read("products", ["product_id", "title"])
    return PairTexts.of(pairs, queries, products)


def _shop(where: Path) -> Shop:
    return Shop(where / "ingested" / "shop")


def _store(where: Path) -> LabelStore:
    return LabelStore(where / "labels", teacher="checksums", preparation="none")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _row(name: str, done: Done, grown: int, per_row: float) -> tuple[str, ...]:
    peak = f"{done.peak / 1e6:,.0f}"
    if not done.rows:
        return (name, "", "", "", "", peak, "", "")
    spent = (f"{done.seconds:,.1f}", f"{done.cpu:,.1f}", f"{done.rows / done.seconds:,.0f}")
    return (name, f"{done.rows:,} {done.of}", *spent, peak, f"{per_row:,.0f}", f"{grown / 1e6:,.0f}")


def _shown(parts: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--pairs-each", type=int, default=5)
    parser.add_argument("--judged", type=int, default=20, help="pairs of a query")
    parser.add_argument("--folder", type=Path, default=None, help="where the temporary folder is made")
    return parser.parse_args()


if __name__ == "__main__":
    main()
