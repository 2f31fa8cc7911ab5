"""Quality on the page: the table of models and metrics, paired differences, slices."""

from __future__ import annotations

from itertools import groupby

from shopstill.evaluate.findings import Findings
from shopstill.evaluate.page.charts import Axis, linear, scale, strip
from shopstill.evaluate.page.html import Html, tag
from shopstill.evaluate.page.looks import looks, name_of
from shopstill.evaluate.results import Comparison, Kept, Role, SliceScore
from shopstill.evaluate.significance import Estimate
from shopstill.evaluate.words import interval, metric_title, nothing, number, probability, share, signed


def quality(findings: Findings) -> Html:
    """Every metric of every model, and what each student keeps."""
    evaluation = findings.evaluation
    head = [tag("th", "Model", scope="col")]
    head += [tag("th", metric_title(m), _arrow(findings, m), scope="col") for m in evaluation.metrics]
    rows = (_row(findings, model, role) for model, role in evaluation.roles.items())
    return tag(
        "section",
        tag("h2", "Quality", id="quality"),
        table("Every metric of every model", tag("thead", tag("tr", head)), tag("tbody", rows)),
        tag("p", _note(findings), class_="note"),
        _kept(findings),
    )


def _kept(findings: Findings) -> Html | None:
    evaluation = findings.evaluation
    metrics = [m for m in evaluation.metrics if any(k.metric == m for k in evaluation.kept)]
    if not metrics:
        return None
    look = looks(evaluation.roles)
    head = [tag("th", "Student", scope="col")]
    head += [tag("th", metric_title(m), tag("small", f"gain over {nothing(m)}"), scope="col") for m in metrics]
    rows = [
        tag(
            "tr",
            tag("th", name_of(student, look), scope="row"),
            (_kept_cell(evaluation.kept_by(student, metric)) for metric in metrics),
        )
        for student in findings.students
    ]
    caption = f"What each student keeps of {findings.teacher}"
    return tag("div", tag("h3", caption), table(caption, tag("thead", tag("tr", head)), tag("tbody", rows)))


def _kept_cell(kept: Kept | None) -> Html:
    if kept is None:
        return _two("—", "")
    value, _, bounds = share(kept.headroom).partition(" ") if kept.headroom else ("no headroom", "", "")
    plain = tag("small", f"plain ratio {share(kept.ratio)}")
    return tag("td", tag("span", value, class_="value"), tag("small", bounds), plain)


def table(caption: str, *parts: Html, class_: str = "") -> Html:
    """A table that scrolls by itself on a narrow screen."""
    inner = tag("table", tag("caption", caption, class_="hidden"), parts, class_=class_ or None)
    return tag("div", inner, class_="scroll", role="region", aria_label=caption, tabindex=0)


def _arrow(findings: Findings, metric: str) -> Html:
    return tag("small", "higher is better" if findings.higher(metric) else "lower is better")


def _row(findings: Findings, model: str, role: Role) -> Html:
    evaluation = findings.evaluation
    said = f"twin of {role.of}" if role.of else "no model at all" if role.kind == "random" else role.kind
    cells = [tag("th", name_of(model, looks(evaluation.roles)), tag("small", said), scope="row")]
    for metric in evaluation.metrics:
        score = evaluation.score(model, metric)
        cells.append(_two(number(score.estimate.value), interval(score.estimate)) if score else _two("—", ""))
    return tag("tr", cells, class_=role.kind)


def _two(value: str, under: str) -> Html:
    return tag("td", tag("span", value, class_="value"), tag("small", under))


def _note(findings: Findings) -> str:
    config, units = findings.evaluation.config, findings.words.units
    brackets = f"{100 * config['confidence']:.0f}% intervals, from {config['resamples']:,} resamples of {units}."
    out = [f"Brackets: {brackets}"]
    for metric, reasons in findings.evaluation.left_out.items():
        out += [f"{metric_title(metric)} leaves out {count:,} {units}: {reason}." for reason, count in reasons.items()]
    return " ".join(out)


def differences(findings: Findings) -> Html:
    """The paired differences, a plot per metric."""
    plots = [
        _plot(findings, metric, list(group))
        for metric, group in groupby(findings.evaluation.comparisons, key=lambda c: c.metric)
    ]
    count, unit = len(findings.evaluation.comparisons), findings.words.unit
    corrected = f"p-values of paired permutation tests, corrected (Holm) over all {count} comparisons."
    return tag(
        "section",
        tag("h2", f"Differences, paired {unit} by {unit}", id="differences"),
        tag(
            "p",
            "Hollow: no difference was shown; the whisker meets zero or the corrected test fails. ",
            corrected,
            class_="note",
        ),
        plots or tag("p", "Nothing to compare.", class_="note"),
    )


def _plot(findings: Findings, metric: str, asked: list[Comparison]) -> Html:
    bounds = [v for c in asked for v in (c.difference.low, c.difference.high, c.difference.value) if v is not None]
    axis = linear([*bounds, 0.0])
    look = looks(findings.evaluation.roles)
    rows = [
        tag(
            "tr",
            tag("th", name_of(c.first, look), tag("span", "−", class_="minus"), name_of(c.second, look), scope="row"),
            tag("td", strip(axis, [(c.difference, look[c.first])], zero=True, label=_told(c)), class_="plot"),
            tag(
                "td",
                tag("span", signed(c.difference.value), " ", tag("small", interval(c.difference))),
                tag("small", probability(c.p_corrected), class_="p"),
                class_="numbers",
            ),
            class_="shown" if c.verdict != "not shown" else "open",
        )
        for c in asked
    ]
    better = "right is better for the first" if findings.higher(metric) else "left is better for the first: less error"
    foot = tag("tr", tag("td"), tag("td", scale(axis, [signed(t) for t in axis.ticks]), class_="plot"), tag("td"))
    return tag(
        "div",
        tag("h3", metric_title(metric), tag("small", better)),
        tag(
            "table",
            tag("caption", f"Differences in {metric_title(metric)}", class_="hidden"),
            tag("tbody", rows),
            tag("tfoot", foot, aria_hidden="true"),
            class_="strips",
        ),
        class_="block",
    )


def _told(c: Comparison) -> str:
    return f"{c.first} minus {c.second}: {signed(c.difference.value)} {interval(c.difference)}"


def slices(findings: Findings) -> Html | None:
    """The primary metric on each part of the test set."""
    primary = [s for s in findings.evaluation.slices if s.metric == findings.primary]
    if not primary:
        return None
    kinds = ("teacher", "student", "baseline")
    chosen = [m for m, role in findings.evaluation.roles.items() if role.kind in kinds]
    shown = [s for s in primary if s.model in chosen]
    axis = linear([v for s in shown for v in (s.estimate.low, s.estimate.high, s.estimate.value) if v is not None])
    small = findings.evaluation.config["small"]
    look = looks(findings.evaluation.roles)
    return tag(
        "section",
        tag("h2", "Where it holds, and where it does not", id="slices"),
        tag(
            "p",
            f"{metric_title(findings.primary)} on parts of the test set; at the right, each student less "
            f"{findings.teacher or 'the teacher'}. Parts of fewer than {small} {findings.words.units} "
            "are pale: too few to claim.",
            class_="note",
        ),
        tag("p", (name_of(m, look) for m in chosen), class_="legend"),
        (
            _slicing(name, list(group), chosen, axis, findings)
            for name, group in groupby(shown, key=lambda s: s.slicing)
        ),
    )


def _slicing(name: str, scores: list[SliceScore], chosen: list[str], axis: Axis, findings: Findings) -> Html:
    rows = [
        _label(label, list(group), chosen, axis, findings) for label, group in groupby(scores, key=lambda s: s.label)
    ]
    foot = tag("tr", tag("td"), tag("td", scale(axis, [number(t) for t in axis.ticks]), class_="plot"), tag("td"))
    return tag(
        "div",
        tag("h3", name),
        tag(
            "table",
            tag("caption", f"By {name}", class_="hidden"),
            tag("tbody", rows),
            tag("tfoot", foot, aria_hidden="true"),
            class_="strips",
        ),
        class_="block",
    )


def _label(label: str, scores: list[SliceScore], chosen: list[str], axis: Axis, findings: Findings) -> Html:
    look = looks(findings.evaluation.roles)
    by_model = {s.model: s for s in scores}
    present = [by_model[m] for m in chosen if m in by_model]
    marks: list[tuple[Estimate, str]] = [(s.estimate, look[s.model]) for s in present]
    told = "; ".join(f"{s.model} {number(s.estimate.value)} {interval(s.estimate)}" for s in present)
    apart = [
        tag(
            "span",
            tag("bdi", s.model),
            " ",
            signed(s.against_teacher.value),
            " ",
            tag("small", interval(s.against_teacher)),
            class_=f"difference {look[s.model]}",
        )
        for s in present
        if s.against_teacher is not None and look[s.model].startswith("student")
    ]
    count = f"{present[0].units:,} {findings.words.units}"
    return tag(
        "tr",
        tag("th", label, tag("small", count + (" · too few" if present[0].small else "")), scope="row"),
        tag("td", strip(axis, marks, zero=False, label=f"{label}: {told}"), class_="plot"),
        tag("td", apart, class_="numbers"),
        class_="small" if present[0].small else None,
    )
