"""What an answer costs as it is served: from a query's text to the scores of 100 candidates, one thread.

Contenders, in turn in one process:

- *teacher, as usually served*: MiniLM-L6 in onnxruntime, all pairs tokenised by transformers' tokenizer at each
  request, one padded batch;
- *teacher, tuned*: its bundle: titles tokenised ahead, rows sorted by length and run in pieces with hardly any padding;
- *2 × 128*: the bundle of a tiny cross-encoder that reads the first token, in float32, and after each pass of
  ``--schemes``.

Weights of heads are drawn from a seed: times do not depend on them, and quality is not told here. The machine's floor
is the rate of a large float32 matrix product on one thread, measured in every round; a model's share of the floor is
the time that its matrix products would take at this rate, of the time that its answers take. A model that reads the
first token computes its last layer for that token alone; its share is also given as if it computed all of them, as a
runtime that is given the usual graph does.

Run: ``python -m benchmarks.serving``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from benchmarks._bench import in_turn, judged, publish, ratio, say, shown, threads
from threadpoolctl import threadpool_limits

from shopstill.compress import PASSES
from shopstill.compress._calibration import Calibration
from shopstill.data.pairs import PairTexts
from shopstill.export.bundle import About, write_bundle
from shopstill.models import build
from shopstill.models.build import TextModel
from shopstill.models.cross import Cross
from shopstill.models.pretrained import locate
from shopstill.serve.bundle.load import load_bundle
from shopstill.tasks._contest import flops
from shopstill.train.batches import Examples
from shopstill.train.training import Training
from shopstill.types import Term

TEACHER, TINY = "all-minilm-l6-v2", "splade-tiny"
TOKENS, SIDE = 64, 2048


def main() -> None:
    """Measure, print and publish."""
    arguments = _arguments()
    pairs = judged(max(4 * arguments.candidates, 2000)).texts()
    asked = [_request(pairs, at, arguments.candidates) for at in range(arguments.queries)]
    with TemporaryDirectory() as folder, threads(1), threadpool_limits(1):
        where = Path(folder)
        models = {"teacher": _model(TEACHER), "2 × 128": _model(TINY)}
        for scheme in arguments.schemes:
            models[f"2 × 128, {scheme}"] = _squeezed(models["2 × 128"], scheme, pairs, where)
        for name, model in models.items():
            parity = replace(pairs, query_N=pairs.query_N[:64], product_N=pairs.product_N[:64])
            write_bundle(model, where / name, about=About(name=name), rows=parity)
        variants = {"teacher, as usually served": _usual(where / "teacher", asked)}
        titles = {"teacher": "teacher, tuned"}
        variants |= {titles.get(name, name): _served(where / name, asked) for name in models}
        variants["matrix product"] = _product
        seconds = in_turn(variants, arguments.rounds)
        work = {titles.get(n, n): np.mean([flops(m, q, ps) for q, ps in asked]) for n, m in models.items()}
        usual = {"teacher": _model(TEACHER, "sides"), "2 × 128": _model(TINY, "sides")}
        whole = {titles.get(n, n): np.mean([flops(m, q, ps) for q, ps in asked]) for n, m in usual.items()}
    _publish(seconds, work, whole, asked)


def _publish(seconds: dict[str, list[float]], work: dict[str, Any], whole: dict[str, Any], asked: list[Any]) -> None:
    rate = [2 * SIDE**3 / taken for taken in seconds["matrix product"]]
    rows, figures = [], {}
    for name, taken in seconds.items():
        if name == "matrix product":
            continue
        own = [t / len(asked) for t in taken]
        gains = {o: ratio(seconds[o], taken) for o in ("teacher, as usually served", "teacher, tuned")}
        shares = [_share(counted.get(name), rate, own) for counted in (work, whole)]
        figures[name] = {"seconds": own, "gains": gains, "operations": work.get(name), "all_tokens": whole.get(name)}
        figures[name] |= {"share_of_floor": shares[0], "share_of_floor_all_tokens": shares[1]}
        told = [f"{float(np.median(share)):.0%}" if share and "int8" not in name else "" for share in shares]
        rows.append([name, f"{1e3 * float(np.median(own)):.1f}", *(shown(g) for g in gains.values()), *told])
    columns = ("contender", "ms", "× usual", "× tuned", "of the float32 floor", "of that of all tokens")
    candidates = len(asked[0][1])
    found = {"candidates": candidates, "queries": len(asked), "product_flops_a_second": rate, "contenders": figures}
    publish(f"{candidates} candidates from text, one thread", columns, rows, found)


def _request(pairs: PairTexts, at: int, candidates: int) -> tuple[str, list[str]]:
    """A query with candidates, both real, drawn apart: what they mean to each other costs nothing."""
    draw = np.random.default_rng(at)
    rows = draw.choice(len(pairs.products), candidates, replace=False)
    return pairs.queries[at % len(pairs.queries)], [pairs.products[row] for row in rows]


def _share(operations: float | None, rate: list[float], own: list[float]) -> list[float]:
    """The part of each round's time that matrix products would take at the machine's rate."""
    return [operations / r / t for r, t in zip(rate, own, strict=True)] if operations else []


def _model(start: str, pooling: Literal["first", "sides"] = "first") -> TextModel:
    return build.create(Cross(start=start, pooling=pooling, max_tokens=TOKENS), None, 0)


def _squeezed(model: TextModel, scheme: str, pairs: PairTexts, where: Path) -> TextModel:
    """The model after one pass, calibrated on real pairs."""

    def examples(of: TextModel, rows: int | None) -> Examples:
        some = replace(pairs, query_N=pairs.query_N[:rows], product_N=pairs.product_N[:rows])
        return Examples(
            feed=of.network.feed(of.tokenizer, some),
            target_N=np.zeros(len(some), np.float32),
            group_N=np.arange(len(some)),
            teacher_N=np.zeros(len(some), np.float32),
        )

    calibration = Calibration(
        examples=examples,
        objective=(Term(loss="soft_bce"),),
        judge=lambda _: lambda network: {"none": 0.0},
        texts=lambda: [*pairs.queries, *pairs.products],
        training=Training(epochs=1),
        folder=where / "work",
    )
    made: TextModel = PASSES.get(scheme)().apply(model, calibration)
    return made


def _served(folder: Path, asked: list[tuple[str, list[str]]]) -> Callable[[], Callable[[], None]]:
    bundle = load_bundle(folder)
    ready = [(query, bundle.ahead(products), np.arange(len(products))) for query, products in asked]

    def work() -> None:
        for query, ahead, candidates in ready:
            ahead.score(query, candidates)

    return lambda: work


def _usual(folder: Path, asked: list[tuple[str, list[str]]]) -> Callable[[], Callable[[], None]]:
    """The same graph as most people serve it."""
    import onnxruntime as ort
    from transformers import AutoTokenizer

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(folder / "pair.onnx"), options, providers=["CPUExecutionProvider"])
    tokenizer = AutoTokenizer.from_pretrained(str(locate(TEACHER)))
    names = [given.name for given in session.get_inputs()]

    def work() -> None:
        for query, products in asked:
            rows = tokenizer(
                [query] * len(products), products, padding=True, truncation=True, max_length=TOKENS, return_tensors="np"
            )
            session.run(None, {name: rows[name].astype(np.int64) for name in names})

    return lambda: work


def _product() -> Callable[[], None]:
    one = torch.rand(SIDE, SIDE)
    other = torch.rand(SIDE, SIDE)

    def work() -> None:
        start = time.perf_counter()
        torch.mm(one, other)
        say(f"  {2e-9 * SIDE**3 / (time.perf_counter() - start):.0f} GFLOP/s")

    return work


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--queries", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--schemes", nargs="*", default=["int8_static", "int8_dynamic"], help="passes of arithmetic")
    return parser.parse_args()


if __name__ == "__main__":
    main()
