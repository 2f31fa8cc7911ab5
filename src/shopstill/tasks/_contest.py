"""What an answer of each model of relevance costs: a query against so many candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from shopstill.data.pairs import PairTexts
from shopstill.evaluate.alone import alone
from shopstill.evaluate.costs import Costs
from shopstill.evaluate.latency import Call, Timing
from shopstill.models import build
from shopstill.models.ahead import Ahead, ahead
from shopstill.models.build import TextModel
from shopstill.models.towers import TwoTowers
from shopstill.serve.bundle.load import Ahead as ServedAhead
from shopstill.serve.bundle.load import load_texts
from shopstill.tasks._catalogue import Catalogue
from shopstill.tasks._turns import interleaved, operations

BM25 = "bm25"
_QUERIES, _PRODUCTS, _CANDIDATES = 64, 1000, 100
_ANSWER_ONCE, _SERVE_ONCE = f"{__name__}:answer_once", "shopstill.serve.bundle.load:answer_once"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A contender: one query against so many candidates, from text to scores, everything about products done ahead."""

    models: tuple[Ahead | ServedAhead, ...]
    queries: list[str]
    products: int
    note: str

    def prepare(self, candidates: int, threads: int) -> Call:
        """Queries in turn, each against candidates drawn ahead."""
        torch.set_num_threads(threads)
        threadpool_limits(threads, "blas")
        draw = np.random.default_rng(0)
        chosen = [draw.choice(self.products, min(candidates, self.products), replace=False) for _ in self.queries]
        state = {"at": -1}

        def call() -> object:
            state["at"] = (state["at"] + 1) % len(self.queries)
            place = state["at"]
            return sum(model.score(self.queries[place], chosen[place]) for model in self.models)

        return call


@dataclass(frozen=True, kw_only=True)
class Served:
    """A contender: the same, answered by a bundle."""

    folder: Path
    queries: list[str]
    products: list[str]
    note: str = "as served: from a bundle, with onnxruntime; everything about products done ahead"

    def prepare(self, candidates: int, threads: int) -> Call:
        """Queries in turn, each against candidates drawn ahead."""
        ready = load_texts(self.folder, threads).ahead(self.products)
        whole = Answer(models=(ready,), queries=self.queries, products=len(self.products), note=self.note)
        return whole.prepare(candidates, threads)


def costs(catalogue: Catalogue, folders: Mapping[str, Sequence[Path]], timing: Timing) -> Costs:
    """Measure models, or ensembles of several, on test queries and products.

    Args:
        catalogue: the shop.
        folders: contender → folders of its models; one without any is left out.
        timing: how times are taken.
    """
    queries, products = _asked(catalogue)
    there = {name: list(those) for name, those in folders.items() if those}
    loaded = {name: [build.load(folder) for folder in those] for name, those in there.items()}
    calls = {
        name: (_ANSWER_ONCE, [[str(f) for f in those], queries[0], products[:_CANDIDATES]])
        for name, those in there.items()
    }
    return Costs(
        latency=interleaved({name: _contender(those, queries, products) for name, those in loaded.items()}, timing),
        alone={name: alone(*call) for name, call in calls.items() if timing.memory},
        flops={
            name: sum(flops(m, queries[0], products[:_CANDIDATES]) for m in those) for name, those in loaded.items()
        },
    )


def served_costs(
    catalogue: Catalogue, bundles: Mapping[str, Path], models: Mapping[str, Path], timing: Timing
) -> Costs:
    """Measure bundles on test queries and products; ``models`` are the folders that operations are counted from."""
    queries, products = _asked(catalogue)
    few = products[:_CANDIDATES]
    contenders = {name: Served(folder=folder, queries=queries, products=products) for name, folder in bundles.items()}
    return Costs(
        latency=interleaved(contenders, timing),
        alone={n: alone(_SERVE_ONCE, [str(f), queries[0], few]) for n, f in bundles.items() if timing.memory},
        flops={name: flops(build.load(folder), queries[0], few) for name, folder in models.items()},
    )


def _asked(catalogue: Catalogue) -> tuple[list[str], list[str]]:
    test = catalogue.judged("test")
    queries = [catalogue.queries[q] for q in np.unique(test.query_N)[:_QUERIES]]
    return queries, [catalogue.products[p] for p in np.unique(test.product_N)[:_PRODUCTS]]


def answer_once(folders: Sequence[str], query: str, products: Sequence[str]) -> None:
    """Load models and score a query with all products, as a process would that does nothing else."""
    for folder in folders:
        ahead(build.load(Path(folder)), products).score(query, np.arange(len(products)))


def flops(model: TextModel, query: str, products: Sequence[str]) -> int:
    """Floating point operations of scoring a query with all products from their ids, with nothing done ahead."""
    zero, rows = np.zeros(len(products), np.int64), np.arange(len(products))
    wide = np.zeros((len(products), model.network.lexical), np.float32)
    pairs = PairTexts(queries=[query], products=products, query_N=zero, product_N=rows, lexical_NF=wide)
    return operations(lambda: model.network(**model.network.feed(model.tokenizer, pairs).inputs(rows)))


def _contender(models: Sequence[TextModel], queries: list[str], products: list[str]) -> Answer:
    apart = all(isinstance(model.network, TwoTowers) for model in models)
    joined = "query tokenised, joined with titles tokenised ahead, every pair read"
    note = "query tokenised and encoded; products encoded ahead of time" if apart else joined
    done = tuple(ahead(model, products) for model in models)
    return Answer(models=done, queries=queries, products=len(products), note=note)
