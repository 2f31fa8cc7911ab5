"""The top of the page: the headline, a card per student, and what was shown."""

from __future__ import annotations

import re

from shopstill.evaluate.findings import Findings
from shopstill.evaluate.page.charts import gauge
from shopstill.evaluate.page.html import Html, tag
from shopstill.evaluate.page.looks import looks, name_of
from shopstill.evaluate.words import (
    Claim,
    claims,
    headline,
    interval,
    metric_title,
    milliseconds,
    nothing,
    share,
    signed,
    size,
    threads,
    times,
)

_SIGNS = {"good": ("✓", "shown"), "bad": ("✗", "shown, against"), "open": ("–", "not shown"), "fact": ("•", "fact")}


def summary(findings: Findings) -> Html:
    """Headline, cards and claims."""
    evaluation = findings.evaluation
    words = findings.words
    # Where each unit has one row, to count both would say that there are as many classes as products.
    rows = f" with {evaluation.rows:,} {words.rows}" if evaluation.rows != evaluation.units else ""
    basis = f"Judged on {evaluation.units:,} {words.units}{rows}."
    first = findings.told[:1]
    return tag(
        "section",
        tag("p", _spoken(headline(findings, first[0])) if first else "No student was judged.", class_="headline"),
        tag("p", basis, class_="basis"),
        tag("div", (_card(findings, student) for student in findings.told), class_="cards"),
        tag("h2", "What was shown", id="shown"),
        tag("ul", (_claim(claim) for claim in claims(findings)), class_="claims"),
        class_="summary",
    )


def _spoken(text: str) -> list[Html]:
    """A sentence with its intervals set back."""
    parts = re.split(r"(\[[^\[\]]*\])", text)
    return [tag("span", part, class_="bounds" if at % 2 else None) for at, part in enumerate(parts)]


def _card(findings: Findings, student: str) -> Html:
    return tag(
        "article",
        tag("h3", name_of(student, looks(findings.evaluation.roles))),
        _kept(findings, student),
        tag("dl", _time(findings, student), _weight(findings, student), _gain(findings, student)),
        class_=f"card {looks(findings.evaluation.roles)[student]}",
    )


def _kept(findings: Findings, student: str) -> Html | None:
    kept = findings.evaluation.kept_by(student, findings.primary)
    shown = (kept.headroom or kept.ratio) if kept else None
    if kept is None or shown is None:
        return None
    over = f" gain over {nothing(kept.metric)}" if kept.headroom else ""
    value, _, bounds = share(shown).partition(" ")
    return tag(
        "div",
        tag("p", value, class_="figure"),
        gauge(shown, f"kept: {share(shown)}"),
        tag("p", f"{bounds} of its teacher’s {metric_title(kept.metric)}{over}", class_="under"),
    )


def _fact(name: str, value: str, under: str) -> Html:
    return tag("div", tag("dt", name), tag("dd", tag("b", value), tag("span", under, class_="under")))


def _time(findings: Findings, student: str) -> Html | None:
    cell, ratio = findings.cell(student), findings.ratio(student)
    if cell is None:
        return None
    under = f"{milliseconds(cell.p50)} for {cell.candidates} {findings.words.asked}, {threads(cell.threads)}"
    return _fact("Speed", f"{times(ratio.times.value)}× as fast" if ratio else milliseconds(cell.p50), under)


def _weight(findings: Findings, student: str) -> Html | None:
    own = findings.sizes.get(student)
    teacher = findings.sizes.get(findings.teacher) if findings.teacher else None
    if own is None:
        return None
    under = f"{size(teacher.bytes)} for {findings.teacher}" if teacher else "on disk"
    return _fact("Size", size(own.bytes), under)


def _gain(findings: Findings, student: str) -> Html | None:
    twin = findings.twin(student)
    if twin is None:
        return None
    verdict = {"better": "gained", "worse": "lost", "not shown": "no gain shown"}[twin.verdict]
    under = f"{signed(twin.difference.value)} {interval(twin.difference)} {metric_title(twin.metric)} against its twin"
    return _fact("Distillation", verdict, under)


def _claim(claim: Claim) -> Html:
    sign, said = _SIGNS[claim.state]
    return tag(
        "li",
        tag("span", sign, class_="sign", role="img", aria_label=said),
        tag("span", _spoken(claim.text)),
        class_=claim.state,
    )
