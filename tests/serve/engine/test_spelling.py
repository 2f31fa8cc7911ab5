"""A word that no product has stands for the nearest that products do have, whatever order they lie in."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.serve.conftest import Bundles

from shopstill.serve.engine.engine import Engine, create
from shopstill.serve.forms import Product, Search


def called(word: str, count: int, category: str) -> list[Product]:
    return [Product(id=f"{word}{at}", title=f"garden {word} {at}", category=(category,)) for at in range(count)]


@pytest.mark.parametrize("first", ["zzone", "zztone"])
def test_of_words_as_near_the_commonest_is_meant_wherever_its_products_lie(
    first: str, bundles: Bundles, tmp_path: Path
) -> None:
    bundle = bundles("static towers, interaction")
    goods = [
        product
        for word, count in {"zzone": 40, "zztone": 90}.items()
        for product in called(word, count, "a" if word == first else "b")
    ]
    create(tmp_path / "index", bundle, iter(goods), len(goods))
    engine = Engine.open(tmp_path / "index", bundle)
    # A letter less than one word, another letter than the other.
    answer = engine.search(Search(query="garden zzxone", legs=("lexical",)))
    engine.close()
    assert (answer.spelling, answer.total) == ("garden zztone", 90)


def test_of_many_words_as_near_the_commonest_is_meant(engine: Engine) -> None:
    """Each with a category of its own, so that those of one word lie together."""
    for first in "bcdfghjklmnpqrstv":
        engine.put(called(f"{first}uillon", 35, first))
    engine.put(called("wuillon", 50, "w"))
    assert engine.search(Search(query="xuillon")).spelling == "wuillon"


def test_words_that_are_nearer_come_before_commoner_ones(engine: Engine) -> None:
    engine.put([*called("quillstone", 60, "a"), *called("quillstane", 3, "b")])
    assert engine.search(Search(query="quilstane")).spelling == "quillstane"
