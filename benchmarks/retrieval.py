"""What each way of finding brings on real ratings, over a whole catalogue: Icecat, which the student never saw.

Every query of the Chorus project that people rated is asked of the whole catalogue, not of its rated products alone;
what nobody rated counts as irrelevant. *Of what was rated* leaves it out of every answer instead: people rated what
searches by words had brought, and what else is found is not wrong for that (condensed lists: Sakai, "Alternatives to
Bpref", SIGIR 2007). Contenders:

- *BM25 over titles*: the project's baseline (``data.bm25``);
- *lexical*: the engine's leg of words, alone; what the others are compared with;
- *dense*: a student's vectors, alone;
- *fused*: both, by their ranks; by their scores where the student was shipped for that;
- *fused, re-ranked*: as the engine answers where nothing else is said, which is *fused* where cosines order already;
- *lexical, re-ranked*: what the student's order brings without its vectors.

Gains are the grades, 0 to 3 (*exp*: 2^grade − 1); a product is relevant from grade 2 on. Intervals are paired
bootstraps over queries, p-values paired permutation tests against *lexical*, corrected by Holm within a metric. The
budget is so long that nothing is cut, so that the answers, not the machine, are measured.

Run: ``shopstill export recipes/homedepot-find.yaml find``, then ``python -m benchmarks.retrieval``; ``--bundles`` names
others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from benchmarks._bench import DATA, publish, say

from shopstill.data.bm25 import BM25
from shopstill.data.ingest import ingest
from shopstill.data.readers.icecat import Icecat
from shopstill.data.shop import Shop
from shopstill.evaluate.judged import Judged, judged
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.significance import Estimate, bootstrap, holm, permutation_test
from shopstill.evaluate.statistic import Statistic, statistic
from shopstill.serve.bundle.manifest import read
from shopstill.serve.engine.engine import Engine, create
from shopstill.serve.forms import Search
from shopstill.serve.products import read_products

METRICS = {"ndcg@10": "NDCG@10", "ndcg_exp@10": "NDCG@10, exp", "recall@100": "Recall@100", "mrr@100": "MRR"}
CONDENSED = {"ndcg@10": "NDCG@10 of what was rated", "mrr@100": "MRR of what was rated"}
DEEP, RELEVANT, PATIENT_MS = 100, 2.0, 10_000
BASE, BASELINE = "lexical", "BM25 over titles"
WORDS = {"legs": ("lexical",), "rerank": False}
WAYS: dict[str, dict[str, Any]] = {
    "dense": {"legs": ("dense",), "rerank": False},
    "fused": {"rerank": False},
    "fused, re-ranked": {},
    "lexical, re-ranked": {"legs": ("lexical",)},
}


@dataclass(frozen=True, kw_only=True)
class Rated:
    """Queries with the grade of each product that was rated for them."""

    queries: Sequence[str]
    grades: Sequence[Mapping[str, float]]


def main() -> None:
    """Ask, judge, print and publish."""
    arguments = _arguments()
    missing = [path for path in (arguments.data, *arguments.bundles) if not path.exists()]
    if missing:
        say(f"skipped: {missing[0]} is not there; --data names the Icecat catalogue, --bundles students with towers")
        return
    manifests = [read(bundle) for bundle in arguments.bundles]
    found: dict[str, list[list[str]]] = {}
    for bundle, manifest in zip(arguments.bundles, manifests, strict=True):
        with _opened(arguments.data, bundle) as (shop, engine):
            rated, products = _rated(shop), shop.count("products")
            if not found:
                say(f"{products:,} products, {len(rated.queries)} queries")
                found = {BASELINE: _by_titles(shop, rated.queries), BASE: _asked(engine, rated.queries, WORDS)}
            ways = {way: how for way, how in WAYS.items() if manifest.fusion is None or not way.startswith("fused, ")}
            found |= {f"{way}, {manifest.name}": _asked(engine, rated.queries, how) for way, how in ways.items()}
    much = (arguments.resamples, arguments.permutations)
    figures = {
        **_judged(METRICS, *pooled(rated, found), *much),
        "unrated": {way: unrated(rated, ranked) for way, ranked in found.items()},
        "condensed": _judged(CONDENSED, *pooled(rated, condensed(rated, found)), *much),
        "products": products,
        "queries": len(rated.queries),
        "rated_pairs": sum(map(len, rated.grades)),
        "bundles": [{"name": m.name, "kind": m.kind, "fusion": m.fusion, "digest": m.digest} for m in manifests],
    }
    columns = ("metric", "found by", "mean", f"above {BASE}", "p", "p, corrected")
    title = f"{products:,} products, {len(rated.queries)} rated queries"
    shown = ((METRICS, figures["metrics"]), (CONDENSED, figures["condensed"]["metrics"]))
    rows = [_row(of[name], ways[name], way) for of, ways in shown for name in of for way in found]
    rows += [["first ten, not rated", way, f"{share:.1%}", "", "", ""] for way, share in figures["unrated"].items()]
    publish(title, columns, rows, figures)


def pooled(rated: Rated, found: Mapping[str, Sequence[Sequence[str]]]) -> tuple[Judged, dict[str, np.ndarray]]:
    """Ratings and rankings as one set of rows that all contenders share: what was rated, and what anyone found.

    Below what a contender found stand as many empty rows as it may find, and only then what it did not find, so that a
    metric with a cutoff of no more than ``DEEP`` never counts a product that was not found.
    """
    unit_N: list[int] = []
    grade_N: list[float] = []
    scores: dict[str, list[float]] = {way: [] for way in found}
    for unit, grades in enumerate(rated.grades):
        ids = sorted({*grades, *(one for ranked in found.values() for one in ranked[unit])})
        unit_N += [unit] * (len(ids) + DEEP)
        grade_N += [grades.get(one, 0.0) for one in ids] + [0.0] * DEEP
        for way, ranked in found.items():
            place = {one: -float(at) for at, one in enumerate(ranked[unit][:DEEP])}
            scores[way] += [place.get(one, -3.0 * DEEP) for one in ids] + [-2.0 * DEEP] * DEEP
    truth = judged(unit_N, grade_N, grade_N, units=len(rated.grades), relevant_grade=RELEVANT)
    return truth, {way: np.array(score) for way, score in scores.items()}


def condensed(rated: Rated, found: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, list[list[str]]]:
    """What was found, without the products that nobody rated for the query."""
    return {
        way: [[one for one in ids if one in grades] for ids, grades in zip(ranked, rated.grades, strict=True)]
        for way, ranked in found.items()
    }


def unrated(rated: Rated, ranked: Sequence[Sequence[str]], first: int = 10) -> float:
    """The share of the first answers that nobody rated for their query."""
    shown = [one in grades for ids, grades in zip(ranked, rated.grades, strict=True) for one in ids[:first]]
    return 1 - sum(shown) / len(shown)


def _judged(
    metrics: Iterable[str], truth: Judged, scores: Mapping[str, np.ndarray], resamples: int, permutations: int
) -> dict[str, Any]:
    """Some metrics of every contender, and its difference to the leg of words."""
    figures: dict[str, Any] = {"metrics": {}, "per_query": {}}
    for name in metrics:
        made = {way: statistic(parse_metric(name), truth, score_N) for way, score_N in scores.items()}
        figures["metrics"][name] = _compared(made, resamples, permutations)
        figures["per_query"][name] = {
            way: [None if np.isnan(value) else round(float(value), 6) for value in one.spread_over(truth.units)]
            for way, one in made.items()
        }
    return figures


def _compared(made: Mapping[str, Statistic], resamples: int, permutations: int) -> dict[str, Any]:
    sampled = bootstrap(made, resamples=resamples)
    others = [way for way in made if way != BASE]
    p_values = [permutation_test(made[way], made[BASE], permutations=permutations) for way in others]
    beside = {
        way: {**asdict((sampled[way] - sampled[BASE]).estimate()), "p": p, "p_holm": corrected}
        for way, p, corrected in zip(others, p_values, holm(p_values), strict=True)
    }
    return {
        way: {**asdict(sampled[way].estimate()), "queries": len(one.unit_V), "difference": beside.get(way)}
        for way, one in made.items()
    }


def _row(metric: str, ways: Mapping[str, Any], way: str) -> list[str]:
    own = ways[way]
    apart = own["difference"]
    row = [metric, way, _shown(own)]
    return [*row, _shown(apart, "+"), f"{apart['p']:.2g}", f"{apart['p_holm']:.2g}"] if apart else [*row, "", "", ""]


def _shown(own: Mapping[str, Any], sign: str = "") -> str:
    estimate = Estimate(value=own["value"], low=own["low"], high=own["high"])
    bounds = "" if estimate.low is None else f" ({estimate.low:{sign}.3f}–{estimate.high:{sign}.3f})"
    return f"{estimate.value:{sign}.3f}{bounds}"


@contextmanager
def _opened(data: Path, bundle: Path) -> Iterator[tuple[Shop, Engine]]:
    """The catalogue as a shop, and an engine over an index of all of it."""
    with TemporaryDirectory() as folder:
        ratings = tuple(sorted(data.glob("*.csv")))
        ingest(Icecat(path=data, ratings=ratings).read(), Path(folder))
        products, total = read_products(Path(folder))
        create(Path(folder) / "index", bundle, products, total)
        engine = Engine.open(Path(folder) / "index", bundle)
        try:
            yield Shop(Path(folder) / "shop"), engine
        finally:
            engine.close()


def _rated(shop: Shop) -> Rated:
    texts = dict(zip(*(shop.read("queries").column(c).to_pylist() for c in ("query_id", "text")), strict=True))
    rows = shop.read("judgments")
    grades: dict[str, dict[str, float]] = {}
    columns = (rows.column(name).to_pylist() for name in ("query_id", "product_id", "grade"))
    for query, product, grade in zip(*columns, strict=True):
        grades.setdefault(query, {})[product] = float(grade)
    return Rated(queries=[texts[query] for query in grades], grades=list(grades.values()))


def _by_titles(shop: Shop, queries: Sequence[str]) -> list[list[str]]:
    products = shop.read("products", ["product_id", "title"])
    ids = products.column("product_id").to_pylist()
    index_QK, _ = BM25.build(products.column("title").to_pylist()).top(queries, DEEP)
    return [[ids[row] for row in row_K if row >= 0] for row_K in index_QK.tolist()]


def _asked(engine: Engine, queries: Sequence[str], how: Mapping[str, Any]) -> list[list[str]]:
    answers = [engine.search(Search(query=query, limit=DEEP, budget_ms=PATIENT_MS, **how)) for query in queries]
    cut = sum(not answer.complete for answer in answers)
    assert not cut, f"{cut} answers were cut short by a budget of {PATIENT_MS} ms"
    return [[hit.product.id for hit in answer.hits] for answer in answers]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    usual = [Path("bundles/homedepot-find/find")]
    parser.add_argument("--bundles", type=Path, nargs="+", default=usual, help="of students with towers")
    parser.add_argument("--data", type=Path, default=DATA / "chorus", help="the Icecat catalogue and its ratings")
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--permutations", type=int, default=100_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
