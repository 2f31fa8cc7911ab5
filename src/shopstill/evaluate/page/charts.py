"""Charts as inline SVG whose x is in percent and y in pixels: they grow with the page and their text does not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shopstill.evaluate.page.html import Html, join, tag
from shopstill.evaluate.significance import Estimate


@dataclass(frozen=True)
class Axis:
    """Values from ``low`` to ``high`` onto 0–100 percent; with ``log``, by their logarithm."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def percent(self, value: float) -> float:
        """Where a value lies, in percent, kept within the chart."""
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return round(min(100.0, max(0.0, 100 * (at - low) / (high - low))), 2)


def linear(values: Sequence[float], *, pad: float = 0.06, ticks: int = 4) -> Axis:
    """An axis around values, with round ticks.

    >>> linear([0.0, 1.0], pad=0).ticks
    (0.0, 0.25, 0.5, 0.75, 1.0)
    """
    low, high = min(values), max(values)
    spread = (high - low) or abs(high) or 1.0
    low, high = low - pad * spread, high + pad * spread
    step = _round_step((high - low) / ticks)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(low, high, tuple(round(i * step, 10) for i in range(first, last + 1)))


def logarithmic(values: Sequence[float]) -> Axis:
    """A logarithmic axis around values above 0, with a tick at each power of ten.

    >>> logarithmic([0.5, 300.0]).ticks
    (1.0, 10.0, 100.0)
    """
    low, high = min(values) / 2, max(values) * 2
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    return Axis(low, high, tuple(10.0**p for p in powers), log=True)


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= step * 0.999)


def strip(axis: Axis, marks: Sequence[tuple[Estimate, str]], *, zero: bool, label: str) -> Html:
    """One row of a plot: marks with whiskers, one below the other, over the axis's grid lines."""
    height = 18 * len(marks) + 24
    grid = [_vertical(axis.percent(t), height, "grid") for t in axis.ticks]
    if zero:
        grid.append(_vertical(axis.percent(0.0), height, "zero"))
    drawn = [_mark(axis, estimate, 21 + 18 * i, look) for i, (estimate, look) in enumerate(marks)]
    return tag("svg", tag("title", label), grid, drawn, class_="strip", height=height, role="img", aria_label=label)


def scale(axis: Axis, shown: Sequence[str]) -> Html:
    """The axis below rows of strips; ``shown`` are its ticks' labels."""
    texts = [
        tag("text", text, x=f"{axis.percent(tick)}%", y=14, class_="tick", text_anchor=_anchor(axis.percent(tick)))
        for tick, text in zip(axis.ticks, shown, strict=True)
    ]
    return tag("svg", texts, class_="strip", height=20, aria_hidden="true")


@dataclass(frozen=True)
class Point:
    """A model in the plane of cost and quality; one without a name is told of where a pointer rests on it."""

    name: str
    look: str
    x: float
    y: Estimate
    told: str


@dataclass(frozen=True)
class Level:
    """A model whose time is not known, as a line across."""

    name: str
    look: str
    y: float


@dataclass(frozen=True)
class _Frame:
    """Where the plane's values lie: x in percent, y in pixels from the top."""

    x: Axis
    y: Axis
    top: int = 30
    bottom: int = 360

    def down(self, value: float) -> float:
        return round(self.top + (self.bottom - self.top) * (1 - self.y.percent(value) / 100), 1)


def plane(
    points: Sequence[Point],
    levels: Sequence[Level],
    x: tuple[Axis, Sequence[str]],
    y: tuple[Axis, Sequence[str]],
    edges: Sequence[tuple[int, int]] = (),
) -> Html:
    """Quality upwards against cost to the right; the axes come with their ticks' labels, ``edges`` join two points."""
    frame = _Frame(x[0], y[0])
    named = [p for p in points if p.name]
    heights = iter(_apart([_above(p.y, frame) for p in named], [frame.x.percent(p.x) for p in named]))
    dots = [_point(p, frame, next(heights) if p.name else 0.0) for p in points]
    told = "; ".join(p.told for p in points)
    lines = [_edge(points[first], points[second], frame) for first, second in edges]
    drawn = [tag("title", told), _ticks(frame, x[1], y[1]), (_level(v, frame) for v in levels), lines, dots]
    return tag("svg", drawn, class_="plane", height=frame.bottom + 26, role="img", aria_label=told)


def _ticks(frame: _Frame, x_names: Sequence[str], y_names: Sequence[str]) -> list[Html]:
    out = []
    for value, name in zip(frame.y.ticks, y_names, strict=True):
        y = frame.down(value)
        out.append(tag("line", x1="0%", x2="100%", y1=y, y2=y, class_="grid"))
        out.append(tag("text", name, x=-10, y=y + 4, class_="tick", text_anchor="end"))
    for value, name in zip(frame.x.ticks, x_names, strict=True):
        at = frame.x.percent(value)
        out.append(_vertical(at, frame.bottom, "grid", frame.top))
        out.append(tag("text", name, x=f"{at}%", y=frame.bottom + 18, class_="tick", text_anchor=_anchor(at)))
    return out


def _level(level: Level, frame: _Frame) -> Html:
    y = frame.down(level.y)
    line = tag("line", x1="0%", x2="100%", y1=y, y2=y, class_="level")
    name = tag("text", level.name, x="100%", y=y - 5, class_="name", text_anchor="end")
    return tag("g", line, name, class_=level.look)


def _edge(first: Point, second: Point, frame: _Frame) -> Html:
    ends: dict[str, str | float] = {}
    for end, point in enumerate((first, second), 1):
        ends |= {f"x{end}": f"{frame.x.percent(point.x)}%", f"y{end}": frame.down(point.y.value)}
    return tag("g", tag("line", **ends, class_="edge"), class_=second.look)


def _above(estimate: Estimate, frame: _Frame) -> float:
    highest = estimate.value if estimate.high is None else estimate.high
    return min(frame.down(highest), frame.down(estimate.value) - 7) - 7


def _point(point: Point, frame: _Frame, name_y: float) -> Html:
    x, y = frame.x.percent(point.x), frame.down(point.y.value)
    whisker = None
    if point.y.low is not None and point.y.high is not None:
        ends = frame.down(point.y.low), frame.down(point.y.high)
        whisker = tag("line", x1=f"{x}%", x2=f"{x}%", y1=ends[0], y2=ends[1], class_="whisker")
    dot = tag("circle", cx=f"{x}%", cy=y, r=7, class_="dot")
    anchor = "start" if x < 12 else "end" if x > 88 else "middle"
    name = tag("text", point.name, x=f"{x}%", y=name_y, class_="name", text_anchor=anchor) if point.name else None
    return tag("g", tag("title", point.told), whisker, dot, name, class_=point.look)


def _apart(ys: Sequence[float], xs: Sequence[float], gap: float = 17.0, near: float = 25.0) -> list[float]:
    """Where names go: above their points, and higher where another name is near (``near`` percent in x).

    >>> _apart([50.0, 45.0], [10.0, 20.0])
    [50.0, 33.0]
    """
    out: dict[int, float] = {}
    for index in sorted(range(len(ys)), key=lambda i: -ys[i]):
        at = ys[index]
        for other in sorted(out, key=lambda i: -out[i]):
            if abs(xs[other] - xs[index]) < near and abs(out[other] - at) < gap:
                at = out[other] - gap
        out[index] = at
    return [out[i] for i in range(len(ys))]


def _mark(axis: Axis, estimate: Estimate, y: float, look: str) -> Html:
    whisker = None
    if estimate.low is not None and estimate.high is not None:
        low, high = f"{axis.percent(estimate.low)}%", f"{axis.percent(estimate.high)}%"
        whisker = tag("line", x1=low, x2=high, y1=y, y2=y, class_="whisker")
    dot = tag("circle", cx=f"{axis.percent(estimate.value)}%", cy=y, r=5, class_="dot")
    return tag("g", whisker, dot, class_=look)


def gauge(estimate: Estimate, label: str) -> Html:
    """A share from 0 to 100 percent as a filled bar, with its interval."""
    axis = Axis(0.0, 1.0, ())
    parts = [
        tag("rect", x=0, y=7, width="100%", height=8, rx=4, class_="track"),
        tag("rect", x=0, y=7, width=f"{axis.percent(estimate.value)}%", height=8, rx=4, class_="fill"),
    ]
    if estimate.low is not None and estimate.high is not None:
        ends = [f"{axis.percent(v)}%" for v in (estimate.low, estimate.high)]
        parts.append(tag("line", x1=ends[0], x2=ends[1], y1=11, y2=11, class_="whisker"))
        parts += [tag("line", x1=end, x2=end, y1=5, y2=17, class_="whisker") for end in ends]
    return tag("svg", tag("title", label), join(parts), class_="gauge", height=22, role="img", aria_label=label)


def _vertical(percent: float, height: float, look: str, top: float = 0) -> Html:
    return tag("line", x1=f"{percent}%", x2=f"{percent}%", y1=top, y2=height, class_=look)


def _anchor(percent: float) -> str:
    return "start" if percent < 4 else "end" if percent > 96 else "middle"
