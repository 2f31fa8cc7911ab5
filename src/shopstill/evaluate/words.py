"""Numbers and findings in words that claim no more than was shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopstill.evaluate.findings import Findings
from shopstill.evaluate.quality import OF_CLASSES, parse_metric
from shopstill.evaluate.results import Comparison, Kept
from shopstill.evaluate.significance import Estimate

_TITLES = {
    "ndcg": "NDCG",
    "ndcg_exp": "NDCG (2ᵍ−1)",
    "mrr": "MRR",
    "map": "MAP",
    "recall": "Recall",
    "hr": "HR",
    "precision": "Precision",
    "query_spearman": "Spearman per query",
    "spearman": "Spearman",
    "pearson": "Pearson",
    "rmse": "RMSE",
    "mae": "MAE",
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "hierarchical_f1": "Hierarchical F1",
    "ece": "ECE",
}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence and what it is: shown in our favour, shown against it, left open, or a plain fact."""

    state: Literal["good", "bad", "open", "fact"]
    text: str


def metric_title(name: str) -> str:
    """A metric's name as people write it.

    >>> metric_title("ndcg@10"), metric_title("rmse")
    ('NDCG@10', 'RMSE')
    """
    metric = parse_metric(name)
    return _TITLES[metric.base] + (f"@{metric.cutoff}" if metric.cutoff else "")


def number(value: float) -> str:
    """Three decimals, with a true minus.

    >>> number(-0.0042), number(-0.0001)
    ('−0.004', '0.000')
    """
    return _minus(f"{value:.3f}")


def signed(value: float) -> str:
    """Three decimals with a sign.

    >>> signed(0.0042), signed(0.0)
    ('+0.004', '0.000')
    """
    text = number(value)
    return text if text.startswith("−") or float(text) == 0 else f"+{text}"


def interval(estimate: Estimate, *, percent: bool = False) -> str:
    """The interval in brackets; empty where there is none.

    >>> (
    ...     interval(Estimate(value=0.5, low=-0.25, high=0.75)),
    ...     interval(Estimate(value=0.5, low=0.2, high=0.7), percent=True),
    ... )
    ('[−0.250, 0.750]', '[20.0, 70.0]')
    """
    if estimate.low is None or estimate.high is None:
        return ""
    bounds = (estimate.low, estimate.high)
    shown = [_minus(f"{100 * b:.1f}") for b in bounds] if percent else [number(b) for b in bounds]
    return f"[{shown[0]}, {shown[1]}]"


def share(estimate: Estimate | None) -> str:
    """A share in percent with its interval; a dash where there is none.

    >>> share(Estimate(value=0.963, low=0.94, high=0.98))
    '96.3% [94.0, 98.0]'
    """
    if estimate is None:
        return "—"
    return f"{_minus(f'{100 * estimate.value:.1f}')}% {interval(estimate, percent=True)}".rstrip()


def probability(p: float) -> str:
    """A p-value.

    >>> probability(0.0001), probability(0.25)
    ('p < 0.001', 'p = 0.250')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def milliseconds(ms: float) -> str:
    """A time with three significant digits and a fitting unit.

    >>> milliseconds(0.0123), milliseconds(0.56), milliseconds(694.4), milliseconds(12345)
    ('12.3 µs', '0.560 ms', '694 ms', '12.3 s')
    """
    value, unit = (ms * 1e3, "µs") if ms < 0.1 else (ms, "ms") if ms < 1e3 else (ms / 1e3, "s")
    return f"{_digits(value)} {unit}"


def times(value: float) -> str:
    """A ratio of times: how many times faster.

    >>> times(1239.7), times(12.34), times(0.8)
    ('1,240', '12.3', '0.80')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def size(count: float) -> str:
    """Bytes in decimal units, as shops sell them.

    >>> size(91_000_000), size(512)
    ('91.0 MB', '512 B')
    """
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{_digits(count / limit)} {unit}"
    return f"{count:.0f} B"


def nothing(metric: str) -> str:
    """What having no model means for a metric."""
    base = parse_metric(metric).base
    if base in ("rmse", "mae"):
        return "one constant grade for all"
    return "always saying the commonest class" if base in OF_CLASSES else "a random order"


def headline(findings: Findings, student: str) -> str:
    """One sentence: what a student keeps, at which part of the time."""
    kept = findings.evaluation.kept_by(student, findings.primary)
    score = findings.evaluation.score(student, findings.primary)
    cost = _cost(findings, student)
    if kept is not None:
        return f"The student {student} {_keeps(kept)}{cost}."
    value = (
        f"reaches {metric_title(findings.primary)} {number(score.estimate.value)} {interval(score.estimate)}"
        if score
        else "was not judged"
    )
    return f"The student {student} {value.rstrip()}{cost}."


def _keeps(kept: Kept) -> str:
    metric = metric_title(kept.metric)
    if kept.headroom is None:
        return (
            f"keeps {share(kept.ratio)} of its teacher’s {metric}, which says little: the teacher itself was not "
            f"shown to differ from {nothing(kept.metric)}"
        )
    return f"keeps {share(kept.headroom)} of what its teacher gains over {nothing(kept.metric)} ({metric})"


def _cost(findings: Findings, student: str) -> str:
    ratio = findings.ratio(student)
    if ratio is None:
        return ""
    faster = ratio.times.value >= 1
    return (
        f", at 1/{times(ratio.times.value)} of its time"
        if faster
        else f", at {times(1 / ratio.times.value)} times its time"
    )


def claims(findings: Findings) -> list[Claim]:
    """What was shown and what was not, on the primary metric, then times."""
    about = {*findings.told, findings.teacher}
    asked = [c for c in findings.evaluation.comparisons if c.metric == findings.primary and c.first in about]
    order = ("teacher-baseline", "student-twin", "student-teacher", "student-baseline")
    told = [compared(c) for question in order for c in asked if c.question == question]
    return told + [claim for student in findings.told for claim in _speed(findings, student)]


def compared(comparison: Comparison) -> Claim:
    """A paired difference as a claim; where the interval holds zero or the test fails, that nothing was shown."""
    first, second, metric = comparison.first, comparison.second, metric_title(comparison.metric)
    figures = (
        f"{metric} {signed(comparison.difference.value)} {interval(comparison.difference)}".rstrip()
        + f", {probability(comparison.p_corrected)}"
    )
    better = comparison.verdict == "better"
    if comparison.verdict == "not shown":
        what = {
            "student-twin": f"No gain from distillation was shown for {first} against {second}, trained directly",
            "student-teacher": f"No difference was shown between {first} and {second} (no proof that there is none)",
        }.get(comparison.question, f"No difference was shown between {first} and {second}")
        return Claim(state="open", text=f"{what}: {figures}.")
    if comparison.question == "student-teacher":
        place = "above" if better else "below"
        return Claim(state="good" if better else "fact", text=f"{first} is {place} {second}: {figures}.")
    if comparison.question == "student-twin":
        what = (
            f"Distillation {'helped' if better else 'hurt'}: {first} is {'better' if better else 'worse'} than "
            f"{second}, the same model trained without the teacher"
        )
    else:
        what = f"{first} {'is better' if better else 'is worse'} than {second}"
    return Claim(state="good" if better else "bad", text=f"{what}: {figures}.")


def _speed(findings: Findings, student: str) -> list[Claim]:
    own, ratio = findings.cell(student), findings.ratio(student)
    teacher = findings.cell(findings.teacher) if findings.teacher else None
    if own is None or ratio is None or teacher is None:
        return []
    bounds = [times(b) for b in (ratio.times.low, ratio.times.high) if b is not None]
    does = findings.words.calls.format(own.candidates)
    text = (
        f"{student} {does} on {threads(own.threads)} in {milliseconds(own.p50)} (median), "
        f"{ratio.reference} in {milliseconds(teacher.p50)}: {times(ratio.times.value)} times as fast "
        f"[{', '.join(bounds)}]."
    )
    low, high = ratio.times.low or 0.0, ratio.times.high or 0.0
    return [Claim(state="good" if low > 1 else "bad" if high < 1 else "open", text=text)]


def threads(count: int) -> str:
    """A number of threads in words."""
    return "one thread" if count == 1 else f"{count} threads"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.{2 if value >= 1 else 3}f}"


def _minus(text: str) -> str:
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")
