from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

from shopstill.core.errors import ConfigError, DataError
from shopstill.data.shop import Shop, ShopWriter
from shopstill.data.split import LeakError, SplitConfig, check_leaks, folds, same_query, split_queries, strata


@pytest.fixture
def make(tmp_path):
    """A shop from texts, with frequencies, or judgments as (query number, side)."""

    def build(texts, frequencies=None, judged=(), name="shop") -> Shop:
        with ShopWriter(tmp_path / name) as writer:
            frequencies = frequencies or [None] * len(texts)
            rows = [
                {"query_id": f"q{i}", "text": t, "frequency": f}
                for i, (t, f) in enumerate(zip(texts, frequencies, strict=True))
            ]
            writer.write("queries", rows)
            pairs = [
                {"query_id": f"q{q}", "product_id": str(n), "grade": 1.0, "gain": 1.0, "split": side}
                for n, (q, side) in enumerate(judged)
            ]
            writer.write("judgments", pairs)
        return Shop(tmp_path / name)

    return build


def sides(table: pa.Table) -> dict[str, object]:
    return dict(zip(table["query_id"].to_pylist(), table.column(1).to_pylist(), strict=True))


def words(count: int) -> list[str]:
    return [f"item{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}" for i in range(count)]


def test_shares_hold_overall_and_in_every_stratum(make) -> None:
    shop = make(words(600), frequencies=[max(1, 20_000 // (i + 1)) for i in range(600)])
    found, rank = sides(split_queries(shop, SplitConfig(seed=3))), sides(strata(shop))
    assert Counter(found.values()) == {"train": 420, "valid": 60, "test": 120}
    assert Counter(rank.values())["head"] < Counter(rank.values())["torso"] < Counter(rank.values())["tail"]
    for stratum, size in Counter(rank.values()).items():
        tested = sum(found[q] == "test" and rank[q] == stratum for q in found)
        assert abs(tested - 0.2 * size) <= 1, stratum


def test_a_split_repeats_under_its_seed_and_not_by_row_order(make) -> None:
    texts = words(200)
    shop, turned = make(texts, name="one"), make(texts[::-1], name="two")
    one, again = (split_queries(shop, SplitConfig(seed=1)) for _ in range(2))
    assert one.equals(again)
    assert sides(one) != sides(split_queries(shop, SplitConfig(seed=2)))
    other = {texts[::-1][int(q[1:])]: side for q, side in sides(split_queries(turned, SplitConfig(seed=1))).items()}
    assert {texts[int(q[1:])]: side for q, side in sides(one).items()} == other


def test_the_same_query_in_other_words_stays_on_one_side(make) -> None:
    shop = make([*words(60), *(f"{text}s" for text in words(60)), *(text.upper() for text in words(60))])
    for seed in range(5):
        found = sides(split_queries(shop, SplitConfig(seed=seed, test=0.3)))
        assert all(found[f"q{i}"] == found[f"q{i + 60}"] == found[f"q{i + 120}"] for i in range(60))


def test_same_query() -> None:
    assert same_query("patio chairs") == same_query("Chair, PATIO")
    assert same_query('3/4" pipe') == same_query("pipe 3/4 inch")
    assert same_query("红色 马克杯") == same_query("马克杯 红色")
    assert same_query("5 gal bucket") != same_query("10 gal bucket")
    assert same_query("???") != same_query("!!!")


def test_strata_by_judgments_where_no_frequency_is_known(make) -> None:
    judged = [(0, None)] * 30 + [(1, None)] * 15 + [(2, None)] * 15 + [(i, None) for i in range(3, 33)]
    rank = sides(strata(make(words(34), judged=judged)))
    assert [rank[f"q{i}"] for i in (0, 1, 2, 3, 32, 33)] == ["head", "torso", "torso", "tail", "tail", "unjudged"]


def test_folds_part_all_queries_evenly(make) -> None:
    shop = make([*words(50), *(f"{text}s" for text in words(50))])
    found = sides(folds(shop, 5, seed=4))
    assert Counter(found.values()) == dict.fromkeys(range(5), 20)
    assert all(found[f"q{i}"] == found[f"q{i + 50}"] for i in range(50))
    with pytest.raises(ConfigError, match="at least 2"):
        folds(shop, 1)


def test_each_fold_is_tested_on_once_and_the_others_train(make) -> None:
    shop = make(words(120))
    parts = [sides(split_queries(shop, SplitConfig(folds=4, fold=fold, valid=0.1))) for fold in range(4)]
    assert all(Counter(part.values()) == {"test": 30, "valid": 12, "train": 78} for part in parts)
    assert all(sum(part[query] == "test" for part in parts) == 1 for query in parts[0])


def test_a_fold_that_is_not_there_is_refused(make) -> None:
    shop = make(words(20))
    with pytest.raises(ConfigError, match=r"split\.fold: 3 is not one of 3 folds; they are numbered from 0 to 2"):
        split_queries(shop, SplitConfig(folds=3, fold=3))
    with pytest.raises(ConfigError, match="give one of the two"):
        split_queries(shop, SplitConfig(folds=3, publisher=True))


def test_a_leak_is_named(make) -> None:
    shop = make(["deck over", "Deck  Over", "mug"])
    leaking = pa.table({"query_id": ["q0", "q1", "q2"], "split": ["train", "test", "train"]})
    with pytest.raises(LeakError, match=r"'deck over' \(q0\) is in split 'train'.*'Deck  Over' \(q1\) is in 'test'"):
        check_leaks(shop, leaking)
    with pytest.raises(LeakError):
        check_leaks(shop, pa.table({"query_id": ["q2", "q2"], "fold": [0, 1]}))
    check_leaks(shop, pa.table({"query_id": ["q0", "q1", "q2"], "fold": [0, 0, 1]}))


def test_the_publishers_sides_are_kept_and_its_leaks_left_out(make) -> None:
    texts = [*words(40), "Itemaaa", "unplaced words"]
    judged = [(i, "train" if i >= 10 else "test") for i in range(40)] + [(40, "train")]
    shop = make(texts, judged=judged)
    found = sides(split_queries(shop, SplitConfig(publisher=True, valid=0.2)))
    assert all(found[f"q{i}"] == "test" for i in range(10))
    assert Counter(found.values()) == {"train": 24, "valid": 6, "test": 10}
    assert "q40" not in found, "a training query that says the same as a test query"
    assert "q41" not in found, "a query that the publisher placed nowhere"


def test_the_publishers_own_mistakes_stop(make) -> None:
    with pytest.raises(LeakError, match=r"'q0' into 'train' and 'test'"):
        split_queries(make(["mug"], judged=[(0, "train"), (0, "test")]), SplitConfig(publisher=True))
    with pytest.raises(ConfigError, match="name no sides"):
        split_queries(make(["mug"], judged=[(0, None)], name="none"), SplitConfig(publisher=True))


@pytest.mark.parametrize("texts", [[], ["mug"], ["mug", "Mugs", "MUG", "mugs"]])
def test_too_few_queries_stop(make, texts) -> None:
    with pytest.raises(DataError, match=r"too few|^the shop has no queries"):
        split_queries(make(texts), SplitConfig())


def test_shares_must_leave_a_rest(make) -> None:
    with pytest.raises(ConfigError, match="leave nothing"):
        split_queries(make(words(10)), SplitConfig(valid=0.5, test=0.5))
