"""A million items and ten million events of a million shoppers, from a shop's tables to recommendations.

Each step runs in a process of its own, so that its peak memory is its own; ``imports alone`` is what a process takes
that does nothing. Every step but the first two opens the task as a run does: it reads the histories from the shop and
parts them; that time stands beside its own.

- events: a shop of products with titles and of events is made and written, piece by piece.
- histories: read from the shop, numbered, sorted, parted (leave-one-out).
- batches: training batches with 512 drawn negatives.
- teacher, student: a model's first steps: a full table of width 32, and one of rank 16.
- label: the teacher's best 50 items and 50 others of each place, as many places as it says in ``--seconds``.
- taught: an epoch of the student over these labels.
- store: labels of every place, 16 items each, by a stand-in for the teacher; found again and read in batches.
- start: 8 codes for each item, found by k-means near what shoppers took up together.
- baselines: popularity, item-kNN and Markov chain on 64 questions.
- bundle: the student, and the table of codes, each with titles, through the parity gate.
- serve: a history of 20 ids to ten ids out of all items, one thread, in a process without torch.

Left out: attributes; the search engine's index of as many products (``scale`` and ``load`` have it); later steps.
Run: ``python -m benchmarks.histories`` (at most 5 GB of disk, given back at the end).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from benchmarks._bench import publish, say
from benchmarks._shoppers import Shoppers, write
from benchmarks.scale import Done, measured, nothing

from shopstill.data.histories import HistoryConfig, leave_one_out, read_histories
from shopstill.data.shop import Shop

_READ, _TOP, _REQUESTS = 20, 10, 300


@dataclass(frozen=True, kw_only=True)
class Torch:
    """A step of ``benchmarks._sequences``, which is imported where it runs: this file imports no torch."""

    name: str
    steps: int
    seconds: float
    given: tuple[Any, ...] = ()

    def __call__(self, where: Path) -> Done:
        from benchmarks import _sequences as torch_steps

        shares = torch_steps.Shares(steps=self.steps, seconds=self.seconds)
        given = [getattr(torch_steps, name) if name.isupper() else name for name in self.given]
        done: Done = getattr(torch_steps, self.name)(where, shares, *given)
        return done


def main() -> None:
    """Measure, print and publish."""
    arguments = _arguments()
    with TemporaryDirectory(dir=arguments.folder) as folder:
        where = Path(folder)
        rows: list[tuple[str, ...]] = []
        figures: dict[str, dict[str, Any]] = {}
        for name, step in _steps(arguments).items():
            done, grown = measured(step, where)
            rows.append(_row(name, done, grown))
            figures[name] = {**asdict(done), "disk": grown}
            say(f"  {name}: {done.seconds:.1f} s, peak {done.peak / 1e6:,.0f} MB {done.parts}")
    sizes = {"items": arguments.items, "shoppers": arguments.shoppers, "events": arguments.events}
    title = ", ".join(f"{count:,} {name}" for name, count in sizes.items())
    columns = ("step", "rows", "seconds", "of processor", "peak MB", "disk MB", "parts, seconds")
    publish(title, columns, rows, {**sizes, "steps": figures})


def _steps(arguments: argparse.Namespace) -> dict[str, Callable[[Path], Done]]:
    sizes = Shoppers(items=arguments.items, shoppers=arguments.shoppers, events=arguments.events)
    torch = partial(Torch, steps=arguments.steps, seconds=arguments.seconds)
    return {
        "imports alone": nothing,
        "events": partial(making, sizes=sizes),
        "histories": reading,
        "imports with torch": torch(name="importing"),
        "batches": torch(name="batches"),
        "teacher": torch(name="training", given=("TEACHER", "teacher")),
        "student": torch(name="training", given=("STUDENT", "student")),
        "label": torch(name="labelling"),
        "taught": torch(name="learning"),
        "store": torch(name="storing"),
        "start": torch(name="starting"),
        "baselines": torch(name="baselines"),
        "bundle": torch(name="exporting", given=("student",)),
        "bundle of codes": torch(name="exporting", given=("coded",)),
        "serve": partial(serving, name="student"),
        "serve codes": partial(serving, name="coded"),
    }


def making(where: Path, sizes: Shoppers) -> Done:
    """Make the shop."""
    shop = write(sizes, where / "shop")
    return Done(of="rows of two tables", rows=sum(shop.counts.values()))


def reading(where: Path) -> Done:
    """Read histories and part them."""
    start = time.perf_counter()
    settings = HistoryConfig(kinds=("click",), core=1, repeats="first")
    histories = read_histories(Shop(where / "shop"), settings)
    parts = {"read": time.perf_counter() - start}
    found = leave_one_out(histories)
    parts["part"] = time.perf_counter() - start - parts["read"]
    assert len(found.test) == len(histories), "a shopper is not tested on"
    return Done(of="events", rows=len(histories.item_E), parts=parts)


def serving(where: Path, name: str) -> Done:
    """Load a bundle, and recommend to one shopper after the other."""
    from shopstill.serve.bundle.load import load_history

    start = time.perf_counter()
    bundle = load_history(where / "bundles" / name)
    bundle.recommend(bundle.item_ids[:1])
    parts = {"load": time.perf_counter() - start}
    number_NT = np.random.default_rng(2).integers(len(bundle.item_ids), size=(_REQUESTS, _READ))
    took = []
    for row in number_NT.tolist():
        history = [bundle.item_ids[at] for at in row]
        start = time.perf_counter()
        assert len(bundle.recommend(history, _TOP)) == _TOP, "too few items"
        took.append(time.perf_counter() - start)
    assert "torch" not in sys.modules, "a server needs no torch"
    parts |= {f"p{share}": float(np.percentile(took, share)) for share in (50, 95, 99)}
    return Done(of="requests", rows=_REQUESTS, parts=parts)


def _row(name: str, done: Done, grown: int) -> tuple[str, ...]:
    parts = ", ".join(f"{part} {seconds:.3g}" for part, seconds in done.parts.items())
    rows = f"{done.rows:,} {done.of}" if done.rows else ""
    return (
        name,
        rows,
        f"{done.seconds:,.1f}",
        f"{done.cpu:,.1f}",
        f"{done.peak / 1e6:,.0f}",
        f"{grown / 1e6:,.0f}",
        parts,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--shoppers", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--steps", type=int, default=20, help="steps of training")
    parser.add_argument("--seconds", type=float, default=20.0, help="that the teacher is asked for, at least")
    parser.add_argument("--folder", type=Path, default=None, help="where the temporary folder is made")
    return parser.parse_args()


if __name__ == "__main__":
    main()
