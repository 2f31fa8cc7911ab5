"""Mining: never a judged pair, never another split, repeatable, from each source what it is named for."""

from __future__ import annotations

import numpy as np
import pytest

from shopstill.core.errors import DataError
from shopstill.data.shop import Shop, ShopWriter
from shopstill.data.split import same_query
from shopstill.teach.mine import Mine, Mined, mine

KINDS = ["mug", "chair", "lamp", "kettle", "保温杯"]
COLOURS = ["red", "blue", "green", "steel", "oak", "白色"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    titles = [f"{c} {k} size {n}" for k in KINDS for c in COLOURS for n in range(8)]
    queries = [f"{c} {k}" for k in KINDS for c in COLOURS]
    random = np.random.default_rng(0)
    with ShopWriter(folder) as writer:
        writer.write("products", [{"product_id": f"p{i}", "title": t} for i, t in enumerate(titles)])
        writer.write("queries", [{"query_id": f"q{i}", "text": t} for i, t in enumerate(queries)])
        judged = [(q, int(p)) for q in range(len(queries)) for p in random.choice(len(titles), 5, replace=False)]
        judged += [(q, q * 8) for q in range(len(queries)) if (q, q * 8) not in judged]
        rows = [{"query_id": f"q{q}", "product_id": f"p{p}", "grade": 1.0, "gain": 1.0} for q, p in judged]
        writer.write("judgments", rows)
    return Shop(folder)


TRAIN = [f"q{i}" for i in range(20)]


def _rows(mined: Mined) -> list[tuple[str, str, str]]:
    return [(r["query_id"], r["product_id"], r["source"]) for r in mined.pairs.to_pylist()]


def test_nothing_judged_nothing_twice_and_no_other_query(shop: Shop) -> None:
    rows = _rows(mine(shop, TRAIN, Mine(bm25=5, others=3, neighbours=3, random=3)))
    pairs = [(q, p) for q, p, _ in rows]
    judged = {(r["query_id"], r["product_id"]) for r in shop.read("judgments").to_pylist()}
    assert len(set(pairs)) == len(pairs)
    assert not set(pairs) & judged
    assert {q for q, _ in pairs} == set(TRAIN)
    assert {s for _, _, s in rows} == {"bm25", "others", "neighbours", "random"}


def test_each_source_keeps_its_number(shop: Shop) -> None:
    rows = _rows(mine(shop, TRAIN, Mine(bm25=5, others=2, neighbours=3, random=4)))
    for source, most in (("bm25", 5), ("others", 2), ("neighbours", 3), ("random", 4)):
        counts = [sum(q == query and s == source for q, _, s in rows) for query in TRAIN]
        assert max(counts) == most, source
    assert all(sum(q == query and s == "bm25" for q, _, s in rows) == 5 for query in TRAIN)
    assert not mine(shop, TRAIN, Mine(bm25=0, others=0, neighbours=0, random=0)).pairs.num_rows


def test_sources_give_what_they_are_named_for(shop: Shop) -> None:
    titles = dict(zip(*shop.read("products", ["product_id", "title"]).to_pydict().values(), strict=True))
    texts = dict(zip(*shop.read("queries", ["query_id", "text"]).to_pydict().values(), strict=True))
    train_judged = {r["product_id"] for r in shop.read("judgments").to_pylist() if r["query_id"] in TRAIN}
    for query, product, source in _rows(mine(shop, TRAIN, Mine(bm25=4, others=2, neighbours=0, random=0))):
        if source == "bm25":
            assert set(texts[query].split()) & set(titles[product].split())
        else:
            assert product in train_judged, "a product judged only for a query of another split came from others"


def test_the_seed_repeats_and_a_query_draws_alone(shop: Shop) -> None:
    how = Mine(bm25=3, others=0, neighbours=2, random=5, cut_queries=4, varied_queries=4)
    first, again, other = (mine(shop, TRAIN, how, seed) for seed in (1, 1, 2))
    assert first.pairs.equals(again.pairs)
    assert first.queries.equals(again.queries)
    assert not first.pairs.equals(other.pairs)
    alone = _rows(mine(shop, ["q3"], Mine(bm25=3, others=0, neighbours=2, random=5), 1))
    assert alone == [row for row in _rows(first) if row[0] == "q3"]


def test_made_up_queries_are_mined_and_give_no_query_of_the_shop_away(shop: Shop) -> None:
    mined = mine(shop, TRAIN, Mine(bm25=3, others=1, neighbours=1, random=1, cut_queries=20, varied_queries=10))
    made = mined.queries.to_pydict()
    known = {same_query(text) for text in shop.read("queries", ["text"]).column("text").to_pylist()}
    assert len(made["text"]) == 30 == len({same_query(t) for t in made["text"]})
    assert not known & {same_query(text) for text in made["text"]}
    mined_for = {q for q, _, _ in _rows(mined)}
    assert set(made["query_id"]) <= mined_for


def test_unknown_and_repeated_queries_are_named(shop: Shop) -> None:
    with pytest.raises(DataError, match="query 'nope' is not in the shop"):
        mine(shop, ["q1", "nope"])
    with pytest.raises(DataError, match="given twice"):
        mine(shop, ["q1", "q1"])
    assert mine(shop, []).pairs.num_rows == 0
