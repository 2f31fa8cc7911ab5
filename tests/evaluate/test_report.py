"""The page asks nothing of the network, runs nothing that it quotes, and claims no more than was shown."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from shopstill.evaluate.findings import Findings
from shopstill.evaluate.page import page
from shopstill.evaluate.page.html import tag
from shopstill.evaluate.report import terminal_tables, write_report
from shopstill.evaluate.results import Comparison, Disagreement
from shopstill.evaluate.significance import Estimate
from shopstill.evaluate.words import claims, compared, headline

HOSTILE = '<script>alert("x")</script><img src=//evil.example/x onerror=alert(1)>\x00\x1b\ud800\u202e'


class Elements(HTMLParser):
    """Checks that elements nest, and collects them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append((name, dict(attributes)))
        if name not in ("meta", "br", "hr"):
            self.open.append(name)

    def handle_startendtag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append((name, dict(attributes)))

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name


@pytest.fixture(scope="module")
def text(findings: Findings) -> str:
    return page(findings)


def test_the_page_is_whole_and_asks_for_nothing(text: str) -> None:
    told = Elements(text)
    assert told.open == []
    assert not {name for name, _ in told.seen} & {"script", "link", "img", "iframe", "object", "base", "form"}
    for name, attributes in told.seen:
        assert not {a for a in attributes if a.startswith("on") or a in ("src", "srcset", "style")}, name
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text.replace("&#x27;", "'")


def test_every_section_is_there_and_linked(text: str) -> None:
    told = Elements(text)
    ids = [a["id"] for _, a in told.seen if "id" in a]
    links = [a["href"] for name, a in told.seen if name == "a"]
    assert len(ids) == len(set(ids)) == 9
    assert links == [
        f"#{i}"
        for i in ("shown", "tradeoff", "quality", "differences", "slices", "disagreements", "cost", "lineage", "method")
    ]


def test_the_lineage_says_what_became_of_the_rows(text: str) -> None:
    for said in (
        "rows read: products 39,000, queries 9,463",
        "rows kept: products 38,211, queries 9,463",
        "rows set aside: products: wrong type 789",
        "left out: picture cannot be used 4",
    ):
        assert f"<li>{said}</li>" in text
    assert "rows repeated" not in text


def test_charts_and_tables_have_words_for_those_who_cannot_see_them(text: str) -> None:
    told = Elements(text)
    charts = [a for name, a in told.seen if name == "svg"]
    assert len(charts) > 30
    assert all(a.get("aria-hidden") == "true" or (a.get("role") == "img" and a.get("aria-label")) for a in charts)
    tables = [name for name, _ in told.seen if name in ("table", "caption")]
    assert tables.count("table") == tables.count("caption") > 5
    assert all(a.get("scope") in ("col", "row") for name, a in told.seen if name == "th")


def test_text_from_the_wild_stays_text(findings: Findings) -> None:
    first = findings.evaluation.disagreements[0]
    shown = tuple(replace(s, title=HOSTILE, product_id=HOSTILE) for s in first.student_top)
    wild: Disagreement = replace(first, query=HOSTILE, student_top=shown)
    hostile = page(replace(findings, title=HOSTILE, evaluation=replace(findings.evaluation, disagreements=(wild,))))
    told = Elements(hostile)
    assert not {"script", "img"} & {name for name, _ in told.seen}
    hostile.encode("utf-8")
    assert "\x00" not in hostile
    assert tag("p", HOSTILE, title='"><b>').count("<") == 2


def test_colours_are_readable_in_light_and_dark(text: str) -> None:
    palettes = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[:2]
    for palette in palettes:
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", palette))
        for name in ("ink", "soft", "copper", "navy", "plum", "pine", "ochre", "grey", "good", "bad"):
            for ground in ("paper", "card"):
                assert _contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def _contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def _difference(low: float, high: float, verdict: str, question: str = "student-twin") -> Comparison:
    return Comparison(
        question=question,
        first="fast",
        second="other",
        metric="ndcg@10",
        difference=Estimate(value=(low + high) / 2, low=low, high=high),
        p=0.04,
        p_corrected=0.2 if verdict == "not shown" else 0.01,
        verdict=verdict,  # type: ignore[arg-type]
    )


def test_words_follow_the_verdict() -> None:
    open_claim = compared(_difference(-0.001, 0.004, "not shown"))
    assert open_claim.state == "open"
    assert "No gain from distillation was shown" in open_claim.text
    assert compared(_difference(0.001, 0.004, "better")).text.startswith("Distillation helped")
    assert compared(_difference(-0.004, -0.001, "worse")).text.startswith("Distillation hurt")
    alike = compared(_difference(-0.001, 0.004, "not shown", "student-teacher"))
    assert "no proof that there is none" in alike.text


def test_a_teacher_without_headroom_makes_no_headline_of_a_share(findings: Findings) -> None:
    none = tuple(replace(k, headroom=None) for k in findings.evaluation.kept)
    flat = replace(findings, evaluation=replace(findings.evaluation, kept=none))
    assert "says little" in headline(flat, "fast")
    assert "no headroom" in page(flat)


def test_the_headline_gives_share_interval_and_time(findings: Findings) -> None:
    said = headline(findings, "fast")
    assert re.fullmatch(
        r"The student fast keeps [\d.]+% \[[\d., ]+\] of what its teacher gains .* at 1/[\d,]+ of its time\.", said
    )
    assert headline(replace(findings, latency=None), "fast").endswith("(NDCG@10).")
    assert any("times as fast" in claim.text for claim in claims(findings))


def test_files_say_the_same(findings: Findings, tmp_path: Path) -> None:
    f = findings
    path = write_report(f.evaluation, f.latency, f.sizes, f.lineage, tmp_path / "report", title=HOSTILE)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    told = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert told["headlines"]["fast"] == headline(findings, "fast")
    assert told["evaluation"]["scores"]
    assert told["latency"]["cells"]
    assert [a["path"] for a in told["lineage"]] == ["shop", "teacher", "labels", "fast", "exact"]
    assert pq.read_table(tmp_path / "report" / "units.parquet").equals(f.evaluation.per_unit)


def test_quality_alone_is_a_report_too(findings: Findings, tmp_path: Path) -> None:
    bare = replace(findings.evaluation, comparisons=(), kept=(), slices=(), disagreements=())
    text = write_report(bare, None, {}, [], tmp_path).read_text(encoding="utf-8")
    told = Elements(text)
    assert "Nothing to compare." in text
    assert not {"tradeoff", "slices", "cost", "lineage"} & {a.get("id") for _, a in told.seen}


def test_the_terminal_shows_values_and_verdicts(findings: Findings) -> None:
    console = Console(width=140, record=True, file=io.StringIO())
    for table in terminal_tables(findings.evaluation, findings.latency, findings.sizes):
        console.print(table)
    said = console.export_text()
    assert re.search(r"fast .*0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", said)
    assert "no difference shown" in said
    assert "×" in said
