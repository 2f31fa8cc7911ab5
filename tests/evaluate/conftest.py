"""A shop that never was, with numbers such as real ones have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopstill.core.artifact import Artifact
from shopstill.evaluate.alone import Alone
from shopstill.evaluate.calibrate import fit_curve
from shopstill.evaluate.compare import Judging, compare
from shopstill.evaluate.findings import Findings
from shopstill.evaluate.judged import Truth
from shopstill.evaluate.latency import Cell, Latency, Ratio
from shopstill.evaluate.significance import Estimate
from shopstill.evaluate.size import Size
from shopstill.evaluate.slices import by_frequency, by_length, seen

_HOSTILE = '<script>alert("x")</script> 50% off & "more"'
_THINGS = ("drill", "shower head", "ceiling fan", "deck stain", "led bulb", "无线蓝牙耳机", "garden hose", "door lock")
_KINDS = ("cordless 18v", "chrome", "brushed nickel 5 light", "white", "heavy duty", "正品", "2 in. x 4 in.")
_MAKERS = ("Ryobi", "Delta", "Hampton Bay", "Behr", "Philips", "华为", "Gilmour", "Schlage")


@pytest.fixture(scope="session")
def truth() -> Truth:
    rng = np.random.default_rng(7)
    units = 400
    size_U = rng.integers(5, 20, units)
    unit_N = np.repeat(np.arange(units), size_U)
    grade_N = np.round(3 * rng.beta(2.2, 1.2, len(unit_N))) / 3 * 2 + 1
    pick = rng.integers(0, 8, (3, units))
    queries = [f"{_KINDS[a % 7]} {_THINGS[b]}" if c % 3 else _THINGS[b] for a, b, c in pick.T]
    titles = [f"{_MAKERS[rng.integers(8)]} {_KINDS[rng.integers(7)]} {_THINGS[pick[1, u]]}" for u in unit_N]
    titles[0] = queries[0] = _HOSTILE
    ids = [f"{100000 + i}" for i in rng.integers(0, 4000, len(unit_N))]
    return Truth(
        unit_ids=[f"q{u}" for u in range(units)],
        queries=queries,
        unit_N=unit_N,
        product_ids=ids,
        titles=titles,
        grade_N=grade_N,
        gain_N=grade_N - 1,
        slices={
            "query length": by_length(queries),
            "query frequency": by_frequency([int(f) for f in rng.pareto(0.9, units) * 10 + 1]),
            "language": ["zh" if any("一" <= c <= "鿿" for c in q) else "en" for q in queries],
            "campaign": ["spring" if u < 12 else "" for u in range(units)],
        },
        row_slices={"product in training": seen(ids, set(ids[::2]))},
    )


@pytest.fixture(scope="session")
def scores(truth: Truth) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    grade_N = np.asarray(truth.grade_N)
    shared_N = rng.normal(size=len(grade_N))
    noise = {"teacher": 0.75, "fast": 0.84, "fast-direct": 1.05, "exact": 0.77, "exact-direct": 0.79, "bm25": 2.6}
    return {name: grade_N + s * (0.8 * shared_N + 0.6 * rng.normal(size=len(grade_N))) for name, s in noise.items()}


_ROLES = {
    "teacher": "teacher",
    "fast": "student",
    "exact": "student",
    "fast-direct": "twin of fast",
    "exact-direct": "twin of exact",
    "bm25": "baseline",
}


@pytest.fixture(scope="session")
def roles() -> dict[str, str]:
    return dict(_ROLES)


@pytest.fixture(scope="session")
def findings(truth: Truth, scores: dict[str, np.ndarray], roles: dict[str, str]) -> Findings:
    judging = Judging(
        metrics=("ndcg@10", "spearman", "rmse"),
        min_candidates=5,
        resamples=400,
        slice_resamples=200,
        permutations=10_000,
    )
    half = len(truth.titles) // 2
    predictions = {name: fit_curve(s[:half], truth.grade_N[:half])(s) for name, s in scores.items()}
    evaluation = compare(truth, {name: scores[name] for name in roles}, roles, judging, predictions)
    return Findings(
        title="Home improvement search relevance",
        evaluation=evaluation,
        latency=_latency(),
        sizes={
            "teacher": Size(
                bytes=91_250_000,
                parameters=22_713_601,
                alone=Alone(seconds=0.4, peak_memory_bytes=437_000_000),
                note="weights and vocabulary",
            ),
            "fast": Size(
                bytes=8_310_000,
                parameters=7_813_121,
                alone=Alone(seconds=0.4, peak_memory_bytes=78_000_000),
                note="token table, head, vocabulary",
            ),
            "exact": Size(
                bytes=17_800_000,
                parameters=4_386_049,
                alone=Alone(seconds=0.4, peak_memory_bytes=81_000_000),
                note="weights and vocabulary",
            ),
        },
        lineage=_lineage(),
        made="2026-02-03 10:20 UTC",
    )


_MACHINE = {
    "processor": "Example Processor 9000",
    "flags": ["avx2"],
    "cores": 2,
    "memory_gib": 24.0,
    "system": "Linux x86_64",
    "python": "3.11.2",
}
_NOTES = {
    "teacher": "text of query and titles in, scores out; padded batch",
    "fast": "query text in; products encoded ahead",
}


def _latency() -> Latency:
    cells = tuple(
        _cell(name, ms, candidates, threads)
        for threads in (1, 2)
        for candidates in (1, 10, 100)
        for name, ms in {"teacher": 7.1, "fast": 0.0054, "exact": 0.55, "bm25": 0.0021}.items()
    )
    p50 = {(c.contender, c.candidates, c.threads): c.p50 for c in cells}
    ratios = tuple(
        _ratio(c, p50["teacher", c.candidates, c.threads] / c.p50) for c in cells if c.contender != "teacher"
    )
    return Latency(cells=cells, ratios=ratios, notes=_NOTES, machine=_MACHINE)


def _cell(name: str, ms: float, candidates: int, threads: int) -> Cell:
    p50 = ms * candidates ** (0.35 if name == "fast" else 0.98) / (1.7 if threads == 2 and ms > 0.1 else 1)
    slow = p50 > 100
    return Cell(
        contender=name,
        candidates=candidates,
        threads=threads,
        p50=p50,
        p95=None if slow else p50 * 1.08,
        p99=None if slow else p50 * 1.3,
        samples=15 if slow else 4200,
        repeats=1 if p50 > 0.1 else 12,
        rounds=15,
    )


def _ratio(cell: Cell, times: float) -> Ratio:
    return Ratio(
        contender=cell.contender,
        reference="teacher",
        candidates=cell.candidates,
        threads=cell.threads,
        times=Estimate(value=times, low=times * 0.97, high=times * 1.02),
    )


def _prepared() -> dict[str, Any]:
    rows = {"read": {"products": 39_000, "queries": 9_463}, "kept": {"products": 38_211, "queries": 9_463}}
    return {
        "conflicting": 3,
        **rows,
        "repeated": {},
        "rejected": {"products: wrong type": 789},
        "left_out": {"picture cannot be used": 4},
    }


def _lineage() -> list[Artifact]:
    made = [
        ("shop", "prepare", {"train.csv.zip": "9c" * 16}, _prepared()),
        ("teacher", "teacher", {"shop": "a0" * 16}, {"epochs": 2, "valid_spearman": 0.5281}),
        ("labels", "labels", {"shop": "a0" * 16, "teacher": "a1" * 16}, {"pairs": 312_400, "pairs_per_second": 171.4}),
        ("fast", "student", {"labels": "a2" * 16}, {"seconds": 412.0}),
        ("exact", "student", {"labels": "a2" * 16}, {"seconds": 903.5}),
    ]
    return [
        Artifact(path=Path("runs") / name, kind=kind, fingerprint=f"a{i}" * 16, parents=parents, measurements=measured)
        for i, (name, kind, parents, measured) in enumerate(made)
    ]
