"""Simulated catalogues with an index and queries, made once and kept; and copies of an index to serve and to change."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from benchmarks._bench import say

from shopstill.core.hardware import peak_memory_bytes
from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, simulate
from shopstill.data.text import normalise
from shopstill.serve.bundle.manifest import read
from shopstill.serve.engine.engine import create
from shopstill.serve.forms import Product
from shopstill.serve.index import generation
from shopstill.serve.index.live import current
from shopstill.serve.products import read_products

QUERIES = 30_000
"""Queries of a shop, so many that none is asked twice within a thousand others: the engine keeps that many rankings."""

_BUILT, _CURRENT = "built.json", "CURRENT"


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """A simulated catalogue with its index.

    Attributes:
        products: how many there are.
        shop: its folder.
        index: of a bundle, and prepared for a second one.
        built: what building took, when it was built.
    """

    products: int
    shop: Path
    index: Path
    built: dict[str, Any]

    def queries(self) -> list[str]:
        """Its queries, each once, as a shopper typed them."""
        texts: list[str] = Shop(self.shop).read("queries").column("text").to_pylist()
        return list(dict.fromkeys(normalise(text) for text in texts))

    def some(self, count: int) -> list[Product]:
        """The first products, to be changed and put again."""
        return list(islice(read_products(self.shop)[0], count))


def prepared(work: Path, products: int, bundle: Path, second: Path | None) -> Catalogue:
    """A catalogue that is kept under ``work``; what is missing is made, each step in a process of its own."""
    folder = work / str(products)
    shop, index = folder / "shop", folder / f"index-{read(bundle).digest[:16]}"
    if not (index / _BUILT).exists():
        say(f"building {products:,} products under {folder}: once, some minutes for a million")
        shutil.rmtree(index, ignore_errors=True)
        built = _apart(_build, shop, index, bundle, products)
        (index / _BUILT).write_text(json.dumps(built, indent=2) + "\n", encoding="utf-8")
    if second is not None:
        _apart(_prepare, index, second)
    stated = json.loads((index / _BUILT).read_text(encoding="utf-8"))
    return Catalogue(products=products, shop=shop, index=index, built=stated)


@contextmanager
def copied(index: Path) -> Iterator[Path]:
    """A copy of an index that takes no room and may be changed: what is never written to again is linked."""
    with TemporaryDirectory(dir=index.parent) as folder:
        copy, name = Path(folder) / "index", current(index)
        shutil.copytree(index / name, copy / name, copy_function=os.link)
        shutil.copy2(index / _CURRENT, copy / _CURRENT)
        yield copy


def address(query: str) -> str:
    """The path of a search."""
    return f"/search?q={quote(query, safe='')}"


def _build(shop: Path, index: Path, bundle: Path, products: int) -> dict[str, Any]:
    start = time.perf_counter()
    if not (shop / "shop.json").exists():
        simulate(
            Simulate(products=products, queries=QUERIES, judged_per_query=2, events=0, languages=("en", "zh"), seed=7),
            shop,
        )
    made = time.perf_counter()
    found, total = read_products(shop)
    create(index, bundle, found, total)
    folder = index / current(index)
    return {
        "shop_seconds": made - start,
        "seconds": time.perf_counter() - made,
        "peak_bytes": peak_memory_bytes(),
        "bytes": {path.name: _bytes(path) for path in sorted(folder.iterdir())},
    }


def _prepare(index: Path, bundle: Path) -> None:
    """What a second model needs of the products, so that loading it is what is left to time."""
    folder = index / current(index)
    if not (folder / "models" / read(bundle).digest[:16]).is_dir():
        say(f"preparing {index} for {bundle}: once")
        generation.prepare(folder, bundle)


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _apart(work: Any, *given: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *given).result()
