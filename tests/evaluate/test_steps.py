"""What nothing beats, and the page of steps."""

from __future__ import annotations

import io
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from shopstill.evaluate.findings import Findings
from shopstill.evaluate.page import page
from shopstill.evaluate.report import plain, terminal_tables
from shopstill.evaluate.steps import Step, front

_STEPS = (
    Step(name="exact", parent="teacher", told="layers keep=2 <script>"),
    Step(name="fast", parent="exact", told="tables"),
)
_COST = st.tuples(st.integers(0, 3), st.integers(0, 3))


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 3), _COST), min_size=1, max_size=8))
def test_a_model_is_off_the_front_where_and_only_where_another_beats_it(
    models: dict[str, tuple[int, tuple[int, int]]],
) -> None:
    kept = front({m: float(q) for m, (q, _) in models.items()}, {m: c for m, (_, c) in models.items()})
    for name, (quality, costs) in models.items():
        own = (-quality, *costs)
        others = [(-q, *c) for q, c in models.values()]
        beaten = any(o != own and all(a <= b for a, b in zip(o, own, strict=True)) for o in others)
        assert (name in kept) != beaten


def test_the_page_draws_each_step_and_the_line_from_its_parent(findings: Findings) -> None:
    told = page(replace(findings, steps=_STEPS))
    assert told.count('class="edge"') == 2
    assert 'id="steps"' in told
    assert "<script>" not in told
    assert 'id="steps"' not in page(findings)


def test_steps_go_to_json_and_to_the_terminal(findings: Findings) -> None:
    whole = replace(findings, steps=_STEPS)
    assert [step["parent"] for step in plain(whole)["steps"]] == ["teacher", "exact"]
    assert plain(whole)["front"] == whole.front
    assert "fast" in whole.front
    console = Console(file=io.StringIO(), width=200)
    for table in terminal_tables(whole.evaluation, whole.latency, whole.sizes, whole.steps):
        console.print(table)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "fast ★" in shown
    assert all(len(line) <= 100 for line in shown.splitlines())
