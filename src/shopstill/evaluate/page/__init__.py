"""The report as one HTML page that asks nothing of the network."""

from __future__ import annotations

from importlib.resources import files

from shopstill.evaluate.findings import Findings
from shopstill.evaluate.page import classes, quality, speed, steps, summary, trust
from shopstill.evaluate.page.html import Html, join, tag

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_LINKS = {
    "shown": "Findings",
    "tradeoff": "Trade-off",
    "steps": "Steps",
    "quality": "Quality",
    "differences": "Differences",
    "slices": "Slices",
    "classes": "Classes",
    "disagreements": "Disagreements",
    "cost": "Cost",
    "lineage": "Lineage",
    "method": "Method",
}


def page(findings: Findings) -> str:
    """The whole page as text."""
    sections = [
        summary.summary(findings),
        speed.tradeoff(findings),
        steps.steps(findings),
        quality.quality(findings),
        None if findings.steps else quality.differences(findings),
        quality.slices(findings),
        classes.classes(findings),
        trust.disagreements(findings),
        speed.costs(findings),
        trust.lineage(findings),
        trust.method(findings),
    ]
    body = join(section for section in sections if section is not None)
    links = [tag("a", name, href=f"#{at}") for at, name in _LINKS.items() if f'id="{at}"' in body]
    return "<!doctype html>\n" + tag(
        "html",
        tag("head", _head(findings.title)),
        tag("body", _top(findings, links), tag("main", body), tag("footer", _foot(findings))),
        lang="en",
    )


def _head(title: str) -> Html:
    style = files(__name__).joinpath("style.css").read_text(encoding="utf-8")
    return join(
        [
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("title", f"{title} · shopstill"),
            tag("style", Html(style)),
        ]
    )


def _top(findings: Findings, links: list[Html]) -> Html:
    return tag(
        "header",
        tag("p", _still(), tag("span", "shopstill"), tag("time", findings.made), class_="brand"),
        tag("h1", findings.title),
        tag("nav", links, aria_label="Sections"),
    )


def _foot(findings: Findings) -> str:
    from shopstill import __version__

    return f"Made by shopstill {__version__}. The same numbers are in report.json, values per query in units.parquet."


def _still() -> Html:
    """A retort and its drop."""
    return tag(
        "svg",
        tag("path", d="M7 4.5h5v4.2a7.5 7.5 0 1 1-5 0z", class_="glass"),
        tag("path", d="M12 6.5c5 0 9 2.5 11.5 7", class_="pipe"),
        tag("path", d="M24 17.5c1.8 2.6 2.4 3.6 2.4 4.8a2.4 2.4 0 0 1-4.8 0c0-1.2.6-2.2 2.4-4.8z", class_="drop"),
        viewBox="0 0 30 28",
        width=30,
        height=28,
        aria_hidden="true",
    )
