"""The page about a shop of one's own: its files are filled up, its recipes run, its Python executed beside the run."""

from __future__ import annotations

import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from shopstill import cli, pipeline
from shopstill.core.config import build
from shopstill.core.errors import ConfigError, DataError
from shopstill.data.shop import Shop
from shopstill.recipe import Recipe, read
from shopstill.recipe.check import check

from .test_documents import ROOT, blocks

PAGE = ROOT / "docs" / "your-shop.md"
THINGS, MAKERS, COLOURS = ("mug", "pan", "chair", "lamp", "rug"), ("Acme", "Borg"), ("red", "blue", "black", "oak")
FILES = ("products.csv", "queries.csv", "grades.csv", "events.csv")


def _blocks(language: str) -> list[str]:
    return [block.text for block in blocks(PAGE) if block.language == language]


def _more() -> dict[str, list[str]]:
    """Rows in the layout of the page's own, enough for a run."""
    draw = random.Random(3)
    things = list(product(MAKERS, COLOURS, THINGS))
    rows: dict[str, list[str]] = {name: [] for name in FILES}
    for at, (maker, colour, thing) in enumerate(things):
        price = f"{draw.randint(1, 9)}.{draw.randint(100, 999)},{draw.randint(10, 99)} €"
        rows["products.csv"].append(f"{at};{maker} {colour} {thing};{maker};Home > {thing};{price};{colour}")
    for at, query in enumerate([f"{first} {thing}" for first in (*COLOURS, *MAKERS) for thing in THINGS]):
        rows["queries.csv"].append(f"{query},{at + 1}")
        for sku in draw.sample(range(len(things)), 8):
            fitting = len({*query.split()} & {*things[sku]})
            rows["grades.csv"].append(f"{query},{sku},{('wrong', 'partial', 'exact')[fitting]}")
            rows["events.csv"].append(f"u{at % 7},{query},{sku},basket,2024-05-0{1 + at % 9}T12:00:00")
    return rows


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's files, filled up."""
    more = _more()
    for name, text in zip(FILES, _blocks("csv"), strict=True):
        (tmp_path / name).write_text("\n".join([text, *more[name], ""]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _recipe(number: int = 0, **changes: Any) -> Recipe:
    """The page's recipe, with another teacher of the page in place of its own."""
    first, *others = map(yaml.safe_load, _blocks("yaml"))
    return build(Recipe, {**first, **(others[number - 1] if number else {}), **changes})


def _python(number: int) -> None:
    exec(compile(_blocks("python")[number], str(PAGE), "exec"), {"__name__": "__main__"})


def test_the_recipe_has_no_fault_and_runs_to_its_report(shop: Path, tiny_start: Path) -> None:
    """The page's own recipe is checked; it runs with a smaller teacher and student, which are judged in less time."""
    (shop / "my-shop.yaml").write_text(_blocks("yaml")[0], encoding="utf-8")
    assert cli.main(["recipe", "check", "my-shop.yaml"]) == 0
    quick = "{epochs: 1, batch_rows: 32}"
    side = f"{{kind: static, start: {tiny_start}, max_tokens: 16}}"
    changes = [
        f"teacher={{kind: cross, model: {{start: {tiny_start}, max_tokens: 24}}, training: {quick}}}",
        f"students.fast.model={{kind: towers, head: interaction, width: 8, query: {side}, product: {side}}}",
        f"students.fast.training={quick}",
        *(f"judging.{name}=100" for name in ("resamples", "slice_resamples", "permutations")),
        "timing=null",
    ]
    made = pipeline.run(read(Path("my-shop.yaml"), changes))
    assert made[-1].path == Path("runs/my-shop/report")
    page = (made[-1].path / "report.html").read_text(encoding="utf-8")
    assert "rows set aside: products: " in page


def test_the_files_are_read_as_the_page_says(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = _recipe()
    made = pipeline.run(recipe, "prepare")[0]
    found = Shop(made.path / "shop")
    mug = found.read("products").slice(0, 1).to_pylist()[0]
    assert (mug["price"], mug["category"], mug["attributes"]) == (
        12.5,
        ["Home", "Kitchen", "Mugs"],
        [("colour", "red")],
    )
    assert {*found.read("events", ["kind"])["kind"].to_pylist()} == {"click", "cart", "purchase"}
    assert found.read("judgments", ["grade", "gain", "label"]).slice(0, 1).to_pylist() == [
        {"grade": 2.0, "gain": 3.0, "label": "exact"}
    ]
    _python(0)
    assert capsys.readouterr().out.startswith("products.csv:4: products.price 'on request': wrong type")
    (shop / "queries.csv").write_text("text,count\nmug,1\n", encoding="utf-8")
    with pytest.raises(DataError, match="lacks 'query'"):
        check(recipe)


def test_scores_made_elsewhere_teach_as_the_page_says(shop: Path) -> None:
    pipeline.run(_recipe(), "prepare")
    _python(1)
    labelled = pipeline.run(_recipe(1), "label")[-1].measurements
    assert labelled["labelled"] == labelled["judged"] > 0
    assert labelled["mined"] == 0


def test_a_model_made_elsewhere_teaches_as_it_is(shop: Path, tiny_start: Path) -> None:
    recipe = _recipe(2)
    with pytest.raises(ConfigError, match="models/our-reranker"):
        check(recipe)
    (shop / "models").mkdir()
    (shop / "models" / "our-reranker").symlink_to(tiny_start)
    made = pipeline.run(_recipe(2, mine={"bm25": 2, "others": 0, "neighbours": 0, "random": 0}), "label")
    assert made[1].measurements["member 0"] == {}
    assert made[2].measurements["labelled"] > made[2].measurements["judged"]
