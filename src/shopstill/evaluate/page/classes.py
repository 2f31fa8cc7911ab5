"""The part of the page about classes: how well each is told, and what it is mistaken for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from shopstill.evaluate.findings import Findings
from shopstill.evaluate.page.html import Html, tag, wild
from shopstill.evaluate.page.looks import looks, name_of
from shopstill.evaluate.page.quality import table
from shopstill.evaluate.results import ClassScore
from shopstill.evaluate.words import number

_SHOWN = 30


def classes(findings: Findings) -> Html | None:
    """A row a class: its F1 by teacher and students, and the first student's commonest mistake."""
    found = findings.evaluation.classes
    models = [name for name in (findings.teacher, *findings.told) if name is not None]
    if not found or not models:
        return None
    rows = [list(group) for _, group in groupby(found, key=lambda score: score.label)]
    look = looks(findings.evaluation.roles)
    heads = [tag("th", "Class", scope="col"), tag("th", "Products", scope="col")]
    heads += [tag("th", name_of(model, look), tag("small", "F1"), scope="col") for model in models]
    heads.append(tag("th", f"{models[-1]} mistakes it for", scope="col"))
    cut = f" The {_SHOWN} largest of {len(rows)}; all are in report.json." if len(rows) > _SHOWN else ""
    return tag(
        "section",
        tag("h2", "Class by class", id="classes"),
        tag("p", f"F1 of each class on the test set, and what it is most often mistaken for.{cut}", class_="note"),
        table(
            "Classes",
            tag("thead", tag("tr", heads)),
            tag("tbody", (_row(scores, models) for scores in rows[:_SHOWN])),
            class_="figures",
        ),
    )


def _row(scores: Sequence[ClassScore], models: Sequence[str]) -> Html:
    by_model = {score.model: score for score in scores}
    last = by_model[models[-1]].mistaken_for
    return tag(
        "tr",
        tag("th", wild(scores[0].label), scope="row"),
        tag("td", f"{scores[0].support:,}"),
        (tag("td", number(_f1(by_model[model]))) for model in models),
        tag("td", (wild(last[0]), f" · {last[1]:,}") if last else "—"),
    )


def _f1(score: ClassScore) -> float:
    """Of a class that is never said, 0."""
    precision = score.precision or 0.0
    return 2 * precision * score.recall / (precision + score.recall) if precision + score.recall else 0.0
