"""Cost on the page: quality against time, the table of times, sizes."""

from __future__ import annotations

import re

from shopstill.evaluate.findings import Findings
from shopstill.evaluate.latency import Cell, Latency
from shopstill.evaluate.page.charts import Level, Point, linear, logarithmic, plane
from shopstill.evaluate.page.html import Html, tag
from shopstill.evaluate.page.looks import looks, name_of
from shopstill.evaluate.page.quality import table
from shopstill.evaluate.words import interval, metric_title, milliseconds, number, size, threads, times


def tradeoff(findings: Findings) -> Html | None:
    """Quality against time of every model that was timed; the others as lines."""
    if findings.place is None or not _points(findings):
        return None
    points, levels = _points(findings), _levels(findings)
    across = logarithmic([p.x for p in points])
    heights = [v for p in points for v in (p.y.low, p.y.high, p.y.value) if v is not None] + [v.y for v in levels]
    up = linear(heights, pad=0.08, ticks=6)
    candidates, used = findings.place
    call = findings.words.call.format(candidates)
    chart = plane(
        points,
        levels,
        (across, [_tick(t) for t in across.ticks]),
        (up, [number(t) for t in up.ticks]),
    )
    return tag(
        "section",
        tag("h2", "Quality against time", id="tradeoff"),
        tag(
            "p",
            f"Upwards: {metric_title(findings.primary)}. To the right: median time to {call} "
            f"on {threads(used)}; each step is ten times slower. Best is the top left. Lines: not timed.",
            class_="note",
        ),
        tag("figure", chart),
    )


def _tick(ms: float) -> str:
    """A power of ten without the zeros that say nothing."""
    return re.sub(r"\.0+(?= )|(?<=\.[1-9])0+(?= )", "", milliseconds(ms))


def _points(findings: Findings) -> list[Point]:
    look, out = looks(findings.evaluation.roles), []
    for model in findings.evaluation.roles:
        cell, score = findings.cell(model), findings.evaluation.score(model, findings.primary)
        if cell is None or score is None:
            continue
        told = f"{model}: {number(score.estimate.value)} {interval(score.estimate)} at {milliseconds(cell.p50)}"
        name = model if model in findings.labelled else ""
        out.append(Point(name, look[model], cell.p50, score.estimate, told))
    return out


def _levels(findings: Findings) -> list[Level]:
    """Baselines without times; a twin takes its student's time and would only lie over it."""
    look, out = looks(findings.evaluation.roles), []
    for model, role in findings.evaluation.roles.items():
        score = findings.evaluation.score(model, findings.primary)
        if score and findings.cell(model) is None and role.kind in ("baseline", "random"):
            out.append(Level(model, look[model], score.estimate.value))
    return out


def costs(findings: Findings) -> Html | None:
    """Times and sizes as tables."""
    parts = [part for part in (_times(findings), _sizes(findings)) if part is not None]
    return tag("section", tag("h2", "Time and size", id="cost"), parts) if parts else None


def _times(findings: Findings) -> Html | None:
    latency = findings.latency
    if latency is None or not latency.cells:
        return None
    look = looks(findings.evaluation.roles)
    asked = findings.words.asked.capitalize()
    heads = ("Contender", asked, "Threads", "p50", "p95", "p99", "as fast as the reference", "samples")
    rows = [
        tag("tr", tag("th", name_of(cell.contender, look), scope="row"), (tag("td", v) for v in _cells(latency, cell)))
        for cell in latency.cells
    ]
    notes = [tag("li", tag("b", name), ": ", note) for name, note in latency.notes.items() if note]
    return tag(
        "div",
        table(
            "Time of one answer",
            tag("thead", tag("tr", (tag("th", h, scope="col") for h in heads))),
            tag("tbody", rows),
            class_="figures",
        ),
        tag("ul", notes, class_="note") if notes else None,
    )


def _cells(latency: Latency, cell: Cell) -> list[str]:
    ratio = latency.ratio(cell.contender, cell.candidates, cell.threads)
    faster = "reference" if any(r.reference == cell.contender for r in latency.ratios) else "—"
    if ratio is not None:
        bounds = ", ".join(times(b) for b in (ratio.times.low, ratio.times.high) if b is not None)
        faster = f"{times(ratio.times.value)}× [{bounds}]"
    late = ["too few" if v is None else milliseconds(v) for v in (cell.p95, cell.p99)]
    repeated = f"{cell.samples:,}" + (f" × {cell.repeats:,}" if cell.repeats > 1 else "")
    return [str(cell.candidates), str(cell.threads), milliseconds(cell.p50), *late, faster, repeated]


def _sizes(findings: Findings) -> Html | None:
    if not findings.sizes:
        return None
    look = looks(findings.evaluation.roles)
    heads = ("Model", "On disk", "Parameters", "Operations", "Peak memory", "Cold start", "What is counted")
    rows = [
        tag(
            "tr",
            tag("th", name_of(model, look), scope="row"),
            tag("td", size(own.bytes)),
            tag("td", "—" if own.parameters is None else f"{own.parameters:,}"),
            tag("td", "—" if own.flops is None else f"{own.flops / 1e9:,.3g} GFLOP"),
            tag("td", "—" if own.alone is None else size(own.alone.peak_memory_bytes)),
            tag("td", "—" if own.alone is None else f"{own.alone.seconds:.2f} s"),
            tag("td", own.note, class_="text"),
        )
        for model, own in findings.sizes.items()
    ]
    return table(
        "Size",
        tag("thead", tag("tr", (tag("th", h, scope="col") for h in heads))),
        tag("tbody", rows),
        class_="figures",
    )
