"""The report: one HTML page, the same as JSON, and tables for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from shopstill import __version__
from shopstill.core.artifact import Artifact
from shopstill.evaluate.findings import Findings
from shopstill.evaluate.latency import Latency
from shopstill.evaluate.page import page
from shopstill.evaluate.results import UNITS_FILE, Evaluation
from shopstill.evaluate.size import Size
from shopstill.evaluate.steps import Step
from shopstill.evaluate.words import (
    claims,
    compared,
    headline,
    interval,
    metric_title,
    milliseconds,
    number,
    probability,
    share,
    signed,
    size,
    threads,
    times,
)

if TYPE_CHECKING:
    from rich.table import Table

HTML_FILE, JSON_FILE = "report.html", "report.json"


def write_report(
    evaluation: Evaluation,
    latency: Latency | None,
    sizes: Mapping[str, Size],
    lineage: Sequence[Artifact],
    folder: Path,
    title: str = "Distillation report",
    steps: Sequence[Step] = (),
) -> Path:
    """Write ``report.html``, ``report.json`` and ``units.parquet`` into a folder.

    Args:
        evaluation: from ``compare``.
        latency: from ``measure``; contenders that bear a model's name are shown with it. None: no times.
        sizes: model → size.
        lineage: the artifacts that led here, in the order they were made.
        folder: made if absent.
        title: what the report is of.
        steps: what passes made of which model.

    Returns:
        The path of the page.
    """
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    findings = Findings(
        title=title, evaluation=evaluation, latency=latency, sizes=sizes, lineage=lineage, made=made, steps=steps
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / HTML_FILE
    path.write_text(page(findings), encoding="utf-8")
    # Half a character pair in a title must not cost the report: JSON can say it escaped.
    text = json.dumps(plain(findings), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / JSON_FILE).write_text(text, encoding="utf-8", errors="backslashreplace")
    pq.write_table(evaluation.per_unit, folder / UNITS_FILE, compression="zstd")
    return path


def plain(findings: Findings) -> dict[str, Any]:
    """Everything in the report as plain JSON values."""
    return {
        "title": findings.title,
        "made": findings.made,
        "shopstill": __version__,
        "headlines": {student: headline(findings, student) for student in findings.students},
        "claims": [asdict(claim) for claim in claims(findings)],
        "evaluation": findings.evaluation.plain(),
        "latency": asdict(findings.latency) if findings.latency else None,
        "sizes": {model: asdict(own) for model, own in findings.sizes.items()},
        "steps": [asdict(step) for step in findings.steps],
        "front": findings.front if findings.steps else [],
        "lineage": [_artifact(artifact) for artifact in findings.lineage],
        "machine": dict(findings.machine),
    }


def _artifact(artifact: Artifact) -> dict[str, Any]:
    values = asdict(artifact)
    return {**values, "path": artifact.path.name}


def terminal_tables(
    evaluation: Evaluation,
    latency: Latency | None = None,
    sizes: Mapping[str, Size] | None = None,
    steps: Sequence[Step] = (),
) -> list[Table]:
    """The result for a terminal: quality, what students keep at which cost, differences on the primary metric.

    Where there are steps of compression: what each of them is worth, instead.
    """
    findings = Findings(title="", evaluation=evaluation, latency=latency, sizes=sizes or {}, steps=steps)
    if steps:
        return [_steps(findings)]
    return [_quality(findings), _cost(findings), _differences(findings)]


def _quality(findings: Findings) -> Table:
    evaluation = findings.evaluation
    rows = []
    for model, role in evaluation.roles.items():
        scores = [evaluation.score(model, metric) for metric in evaluation.metrics]
        said = f"twin of {role.of}" if role.of else role.kind
        rows.append([model, said, *(f"{number(s.estimate.value)} {interval(s.estimate)}" if s else "" for s in scores)])
    return _table("Quality", ["model", "role", *map(metric_title, evaluation.metrics)], rows)


def _cost(findings: Findings) -> Table:
    metrics, rows = findings.evaluation.metrics, []
    for model in (
        m for m, role in findings.evaluation.roles.items() if role.kind in ("teacher", "student", "baseline")
    ):
        kept = [findings.evaluation.kept_by(model, metric) for metric in metrics]
        cell, ratio, own = findings.cell(model), findings.ratio(model), findings.sizes.get(model)
        rows.append(
            [
                model,
                *(share(k.headroom) if k and k.headroom else "" for k in kept),
                milliseconds(cell.p50) if cell else "",
                f"{times(ratio.times.value)}×" if ratio else "",
                size(own.bytes) if own else "",
            ]
        )
    at = (
        f" (time to {findings.words.call.format(findings.place[0])}, {threads(findings.place[1])})"
        if findings.place
        else ""
    )
    heads = ["model", *(f"{metric_title(m)} kept" for m in metrics), "p50", "as fast", "size"]
    return _table(f"Share of the teacher’s gain kept, and its cost{at}", heads, rows)


def _steps(findings: Findings) -> Table:
    """Shares without their intervals, so that a line a model fits a terminal; the report has all of it."""
    rows = []
    for model in findings.sizes:
        kept = [findings.evaluation.kept_by(model, metric) for metric in findings.evaluation.metrics]
        cell, ratio = findings.cell(model), findings.ratio(model)
        rows.append(
            [
                f"{model} ★" if model in findings.front else model,
                *(f"{k.headroom.value:.1%}" if k and k.headroom else "" for k in kept),
                size(findings.sizes[model].bytes),
                milliseconds(cell.p50) if cell else "",
                f"{times(ratio.times.value)}×" if ratio else "",
            ]
        )
    heads = ["model", *map(metric_title, findings.evaluation.metrics), "size", "p50", "as fast"]
    title = "Kept of the teacher’s gain, step by step; a star: nothing is at once as good, as small and as fast"
    return _table(title, heads, rows)


def _differences(findings: Findings) -> Table:
    said = {"good": "better", "bad": "worse", "fact": "worse", "open": "no difference shown"}
    rows = [
        [
            f"{c.first} − {c.second}",
            f"{signed(c.difference.value)} {interval(c.difference)}",
            probability(c.p_corrected),
            said[compared(c).state],
        ]
        for c in findings.evaluation.comparisons
        if c.metric == findings.primary
    ]
    return _table(f"Paired differences, {metric_title(findings.primary)}", ["", "difference", "corrected", ""], rows)


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text  # never str: brackets would be read as markup

    out = Table(title=title, title_justify="left")
    for head in heads:
        out.add_column(head, justify="left" if head in ("", "model", "role") else "right", no_wrap=head == "model")
    for row in rows:
        out.add_row(*map(Text, row))
    return out
