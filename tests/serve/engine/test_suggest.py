"""Ways to go on typing, over a small shop."""

from __future__ import annotations

from dataclasses import replace

from shopstill.serve.engine.engine import Engine
from shopstill.serve.forms import Product, Search

MUGS = [Product(id=f"mug{n}", title=f"Zed bright red mug {n} ml", brand="Zed", price=float(n)) for n in range(1, 41)]


def test_suggestions_lead_somewhere(engine: Engine) -> None:
    engine.put(MUGS)
    found = engine.suggest("bright red mu")
    assert found[0].text == "bright red mug"
    assert found[0].count >= 40
    assert any(one.kind == "brand" and one.text == "Zed" for one in engine.suggest("ze"))
    assert engine.suggest("   ") == []


def test_a_rare_word_is_suggested_beside_what_was_typed(engine: Engine) -> None:
    engine.put([Product(id=f"lamp{n}", title=f"desk l{'abcdefghijklmnop'[n % 16]}mp") for n in range(48)])
    engine.put([Product(id="step", title="Premium Step Ladder")])
    assert engine.suggest("premium step l")[0].text == "premium step ladder"


def test_a_blank_finishes_the_last_word(engine: Engine) -> None:
    engine.put([*MUGS, Product(id="wren", title="wren")])
    for query in ("bright red mu", "bright red m", "wr"):
        assert {one.kind for one in engine.suggest(query)} >= {"completion", "product"}
        assert engine.suggest(f"{query} ") == engine.suggest(f"{query}\u3000\n") == []
    asked = Search(query="wr", prefix=True, legs=("lexical",))
    assert [engine.search(replace(asked, query=query)).total for query in ("wr", "wr ", "wren ")] == [1, 0, 1]


def test_signs_before_a_word_are_no_words(engine: Engine) -> None:
    engine.put(MUGS)
    for typed in ("(mu", '"mu', "# mu", "& mu", "-mu"):
        assert engine.suggest(typed)[0].text == f"{typed}g", typed


def test_a_model_number_is_gone_on_with(engine: Engine) -> None:
    engine.put([Product(id="wh", title="Sony WH1000XM4")])
    assert engine.suggest("sony wh1000")[0].text == "sony wh1000xm4"
