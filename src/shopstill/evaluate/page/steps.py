"""Compression on the page: quality, size and time of each step, what it came from, and which of them nothing beats."""

from __future__ import annotations

from shopstill.evaluate.findings import Findings
from shopstill.evaluate.page.charts import Point, linear, logarithmic, plane
from shopstill.evaluate.page.html import Html, tag
from shopstill.evaluate.page.looks import looks, name_of
from shopstill.evaluate.page.quality import table
from shopstill.evaluate.steps import Step
from shopstill.evaluate.words import interval, metric_title, milliseconds, number, share, size, times

_FAST_INTEGERS = ("avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")
_HEADS = ("Model", "Made by", "From", "Quality", "Of the teacher’s", "On disk", "p50", "as fast", "")


def steps(findings: Findings) -> Html | None:
    """Every step as a chart of quality against size, with lines from each model to what was made of it, and a table."""
    if not findings.steps:
        return None
    best = set(findings.front)
    rows = [_row(findings, step, step.name in best) for step in findings.steps]
    metric = metric_title(findings.primary)
    return tag(
        "section",
        tag("h2", "Step by step", id="steps"),
        tag(
            "p",
            f"Upwards: {metric}. To the right: bytes on disk, all that a server needs; each step is ten times larger. "
            "Lines go from a model to what was made of it. A star: nothing is at once as good, as small and as fast.",
            class_="note",
        ),
        tag("figure", _chart(findings)),
        tag("p", _on_integers(findings), class_="note")
        if any("int8" in step.told for step in findings.steps)
        else None,
        table(
            f"Steps, {metric} with its interval",
            tag("thead", tag("tr", (tag("th", h, scope="col") for h in _HEADS))),
            tag("tbody", rows),
            class_="figures",
        ),
    )


def _on_integers(findings: Findings) -> str:
    """What int8 arithmetic can gain on the processor at hand."""
    flags = findings.machine.get("flags")
    has = [flag for flag in _FAST_INTEGERS if isinstance(flags, list) and flag in flags]
    if has:
        return f"This processor multiplies int8 in one instruction ({', '.join(has)}): int8 is where its speed is."
    return (
        "This processor has no instruction for int8 products (such as VNNI): it widens them to 16 bits first. Int8 "
        "can then be at most about 1.6 times as fast as float32, and in all often gains nothing: it buys size."
    )


def _chart(findings: Findings) -> Html:
    look = looks(findings.evaluation.roles)
    points: list[Point] = []
    place: dict[str, int] = {}
    for model, own in findings.sizes.items():
        score = findings.evaluation.score(model, findings.primary)
        if score is not None:
            told = f"{model}: {number(score.estimate.value)} {interval(score.estimate)}, {size(own.bytes)}"
            name = model if model in findings.labelled else ""
            place[model] = len(points)
            points.append(Point(name, look[model], own.bytes / 1e6, score.estimate, told))
    edges = [(place[s.parent], place[s.name]) for s in findings.steps if s.parent in place and s.name in place]
    across = logarithmic([p.x for p in points])
    up = linear([v for p in points for v in (p.y.low, p.y.high, p.y.value) if v is not None], pad=0.08, ticks=6)
    return plane(points, [], (across, [f"{t:g} MB" for t in across.ticks]), (up, [number(t) for t in up.ticks]), edges)


def _row(findings: Findings, step: Step, starred: bool) -> Html:
    cell, ratio, own = findings.cell(step.name), findings.ratio(step.name), findings.sizes.get(step.name)
    cells = [
        f"{step.told} ({step.note})" if step.note else step.told,
        step.parent,
        _quality(findings, step.name),
        _kept(findings, step.name),
        size(own.bytes) if own else "—",
        milliseconds(cell.p50) if cell else "—",
        f"{times(ratio.times.value)}×" if ratio else "—",
        "★" if starred else "",
    ]
    name = name_of(step.name, looks(findings.evaluation.roles))
    return tag("tr", tag("th", name, scope="row"), (tag("td", value) for value in cells))


def _quality(findings: Findings, model: str) -> str:
    score = findings.evaluation.score(model, findings.primary)
    return f"{number(score.estimate.value)} {interval(score.estimate)}" if score else "—"


def _kept(findings: Findings, model: str) -> str:
    kept = findings.evaluation.kept_by(model, findings.primary)
    return share(kept.headroom) if kept and kept.headroom else "—"
