"""What lets a reader check: disagreements in words, lineage, machine, and how each number was computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from shopstill.core.artifact import Artifact
from shopstill.evaluate.findings import Findings
from shopstill.evaluate.page.html import Html, join, tag, wild
from shopstill.evaluate.page.looks import looks, name_of
from shopstill.evaluate.page.quality import table
from shopstill.evaluate.results import Disagreement, Shown
from shopstill.evaluate.words import metric_title, nothing, number

_CARDS = 6
_ROWS = {
    "read": "rows read",
    "kept": "rows kept",
    "repeated": "rows repeated",
    "rejected": "rows set aside",
    "left_out": "left out",
}


def disagreements(findings: Findings) -> Html | None:
    """The units where student and teacher differ most."""
    found = findings.evaluation.disagreements
    if not found:
        return None
    most = max(s.grade for d in found for s in (*d.student_top, *d.teacher_top))
    parts = []
    for student, group in groupby(found, key=lambda d: d.student):
        cards = list(group)
        rest = f" The next {len(cards) - _CARDS} are in report.json." if len(cards) > _CARDS else ""
        parts += [
            tag(
                "h3",
                name_of(student, looks(findings.evaluation.roles)),
                tag("small", f"against {cards[0].teacher}.{rest}"),
            ),
            tag("div", (_card(d, most, findings.words.ranked) for d in cards[:_CARDS]), class_="disagreements"),
        ]
    return tag(
        "section",
        tag("h2", "What went wrong" if found[0].truth else "Where student and teacher differ most", id="disagreements"),
        tag("p", findings.words.shown, class_="note"),
        parts,
    )


def _card(d: Disagreement, most: float, ranked: str) -> Html:
    return tag(
        "article",
        tag(
            "h4",
            tag("img", src=d.picture, alt="", class_="picture") if d.picture else None,
            tag("q", wild(d.query)),
            tag("small", _under(d, ranked)),
        ),
        tag(
            "div",
            _top(d.student, d.student_value, d.student_top, most),
            _top(d.teacher, d.teacher_value, d.teacher_top, most),
            class_="tops",
        ),
        class_="disagreement",
    )


def _under(d: Disagreement, ranked: str) -> Html | str:
    if d.truth is not None:
        return join(["is: ", wild(d.truth)])
    ahead = d.student if d.student_value > d.teacher_value else d.teacher
    return f"{d.candidates:,} {ranked} · {metric_title(d.metric)} · {ahead} is ahead"


def _top(model: str, value: float, shown: Sequence[Shown], most: float) -> Html:
    items = [
        tag(
            "li",
            tag("span", f"{s.grade:.3g}", class_=f"grade g{_step(s.grade, most)}", title=f"grade {s.grade:.3g}"),
            wild(s.title),
        )
        for s in shown
    ]
    return tag("div", tag("h5", tag("bdi", model), tag("span", number(value))), tag("ol", items))


def _step(grade: float, most: float) -> int:
    return max(0, min(4, round(4 * grade / most))) if most > 0 else 0


def lineage(findings: Findings) -> Html | None:
    """What was made from what."""
    if not findings.lineage:
        return None
    names = {artifact.fingerprint: artifact.path.name for artifact in findings.lineage}
    heads = ("Artifact", "Kind", "Fingerprint", "Made from", "Measured")
    rows = [_artifact(artifact, names) for artifact in findings.lineage]
    return tag(
        "section",
        tag("h2", "Lineage", id="lineage"),
        table(
            "What was made from what",
            tag("thead", tag("tr", (tag("th", h, scope="col") for h in heads))),
            tag("tbody", rows),
            class_="texts",
        ),
    )


def _artifact(artifact: Artifact, names: dict[str, str]) -> Html:
    parents = [
        tag("li", names.get(digest, name), " ", tag("code", digest[:12])) for name, digest in artifact.parents.items()
    ]
    measured = [
        tag("li", f"{name.replace('_', ' ')} {_plain(value)}")
        for name, value in artifact.measurements.items()
        if isinstance(value, int | float | str)
    ]
    measured += [
        tag("li", f"{words}: ", ", ".join(f"{name} {_plain(count)}" for name, count in found.items()))
        for kind, words in _ROWS.items()
        if isinstance(found := artifact.measurements.get(kind), Mapping) and found
    ]
    return tag(
        "tr",
        tag("th", artifact.path.name, scope="row"),
        tag("td", artifact.kind),
        tag("td", tag("code", artifact.fingerprint[:12], title=artifact.fingerprint)),
        tag("td", tag("ul", parents)),
        tag("td", tag("ul", measured)),
    )


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _left_out(findings: Findings) -> str:
    if not any(findings.evaluation.left_out.values()):
        return "No " + findings.words.unit + " is left out."
    least = findings.evaluation.config["min_candidates"]
    return (
        f"Metrics per {findings.words.unit} leave out {findings.words.units} with fewer than {least} products "
        "and those that no ranking can do well on; the same for every model."
    )


def method(findings: Findings) -> Html:
    """How each number was computed, and on which machine."""
    config, words = findings.evaluation.config, findings.words
    confidence = f"{100 * config['confidence']:.0f}%"
    zero = "; ".join(f"{metric_title(m)}, {nothing(m)}" for m in findings.evaluation.metrics)
    told = {
        "Metrics": f"One value per {words.unit} where the metric allows it, then the mean. Equal scores count as their "
        f"expected value over all orders of the tied products. {_left_out(findings)}",
        "Intervals": f"{confidence} expanded percentile intervals of {config['resamples']:,} paired bootstrap "
        f"resamples (slices: {config['slice_resamples']:,}); whole {words.units} are drawn, seed {config['seed']}.",
        "Tests": f"Two-sided paired permutation tests: {config['permutations']:,} exchanges of the two models’ outputs "
        f"by {words.unit}; Holm’s correction over all comparisons on this page. A difference is called shown when the "
        f"corrected p is at most {1 - config['confidence']:.2g} and the interval leaves out zero. Slices carry "
        "intervals without a test.",
        "Kept": f"(student − nothing) / (teacher − nothing), and the plain ratio beside it. Nothing is, for {zero}.",
        "Twin": "The same student with the same budget, trained on the truth alone, without the teacher.",
        "Time": "All contenders in one process, in interleaved rounds of random order, after warm-up. Ratios are of "
        "medians, their intervals over rounds. Percentiles are left out where samples are too few to say.",
        "Size": "Bytes of the files on disk; parameters from the weights’ headers; peak memory of a fresh process.",
    }
    machine = {k: ", ".join(v) if isinstance(v, list | tuple) else str(v) for k, v in findings.machine.items()}
    return tag(
        "section",
        tag("h2", "How each number was computed", id="method"),
        tag("dl", ([tag("dt", name), tag("dd", text)] for name, text in told.items()), class_="method"),
        tag("h3", "Machine"),
        tag("dl", ([tag("dt", k.replace("_", " ")), tag("dd", v or "—")] for k, v in machine.items()), class_="method"),
    )
