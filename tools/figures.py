"""The figures of a run as Markdown, without a word of its data: for README and benchmarks.

Run as ``python tools/figures.py runs/homedepot``; the run must have been evaluated. Those of its chains follow, where
these were judged.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from shopstill.core.errors import ShopstillError
from shopstill.evaluate.costs import load as load_costs
from shopstill.evaluate.latency import Latency
from shopstill.evaluate.results import Evaluation, load
from shopstill.evaluate.significance import Estimate


def main(arguments: list[str]) -> int:
    """Print the tables of each run named."""
    if not arguments:
        sys.stderr.write("name a run's folder, such as runs/homedepot\n")
        return 2
    for folder in map(Path, arguments):
        try:
            parts = [folder / part for part in ("evaluate", "compressed")]
            sys.stdout.write("\n\n".join(tables(part) for part in parts if part == parts[0] or part.exists()) + "\n")
        except (ShopstillError, FileNotFoundError) as fault:
            sys.stderr.write(f"{folder}: {fault}\n")
            return 1
    return 0


def tables(folder: Path) -> str:
    """Quality of every model with intervals, what students keep, differences, and times."""
    evaluation = load(folder)
    latency = load_costs(folder).latency
    parts = [_quality(evaluation), *_kept(evaluation), _differences(evaluation), _times(latency) if latency else ""]
    return "\n\n".join(part for part in parts if part)


def _quality(evaluation: Evaluation) -> str:
    metrics = evaluation.metrics
    rows = [[model, *(_said(evaluation.score(model, metric)) for metric in metrics)] for model in evaluation.roles]
    return _table(["model", *evaluation.metrics], rows)


def _said(score: Any) -> str:
    return "" if score is None else _interval(score.estimate)


def _kept(evaluation: Evaluation) -> tuple[str, str]:
    gain, whole = [], []
    for student in evaluation.named("student"):
        found = [evaluation.kept_by(student, metric) for metric in evaluation.metrics]
        gain.append([student, *(_percent(None if one is None else one.headroom) for one in found)])
        whole.append([student, *(_percent(None if one is None else one.ratio) for one in found)])
    heads = "kept of the teacher's gain over random", "of the teacher's"
    return _table([heads[0], *evaluation.metrics], gain), _table([heads[1], *evaluation.metrics], whole)


def _differences(evaluation: Evaluation) -> str:
    rows = [
        [f"{c.first} − {c.second}", c.metric, _interval(c.difference, signed=True), f"{c.p_corrected:.4f}"]
        for c in evaluation.comparisons
    ]
    return _table(["difference", "metric", "value", "corrected p"], rows)


def _times(latency: Latency) -> str:
    rows = []
    for cell in latency.cells:
        ratio = latency.ratio(cell.contender, cell.candidates, cell.threads)
        times = "" if ratio is None else _slower(ratio.times)
        rows.append([cell.contender, str(cell.candidates), str(cell.threads), f"{cell.p50:.3f}", times])
    machine = ", ".join(str(v) for v in latency.machine.values())
    table = _table(["model", "candidates", "threads", "p50 ms", "of the teacher's time"], rows)
    return f"{table}\n\nMachine: {machine}"


def _slower(times: Estimate) -> str:
    """How many times as long the teacher takes; with a decimal where that is less than ten."""
    said = [f"{v:,.0f}" if times.value >= 10 else f"{v:.1f}" for v in (times.value, times.low or 0, times.high or 0)]
    return f"1/{said[0]} [{said[1]}, {said[2]}]"


def _interval(estimate: Estimate, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{estimate.value:{sign}.4f} [{estimate.low:{sign}.4f}, {estimate.high:{sign}.4f}]"


def _percent(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.value:.1%} [{estimate.low:.1%}, {estimate.high:.1%}]"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if rows else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
