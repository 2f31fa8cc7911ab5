"""The publishers' own files, where they are at hand."""

from __future__ import annotations

from pathlib import Path

from shopstill.data.ingest import ingest
from shopstill.data.readers.homedepot import HomeDepot
from shopstill.data.readers.icecat import Icecat
from shopstill.data.shop import Shop
from shopstill.data.split import SplitConfig, same_query, split_queries, strata


def test_real_home_depot(real, tmp_path: Path) -> None:
    reader = HomeDepot(path=real("homedepot/train.csv.zip"))
    terms = {t for c in reader.read() if c.table == "queries" for t in c.data["text"].to_pylist()}
    report = ingest(reader.read(), tmp_path, strict=True)
    assert report.read["judgments"] == 59_445
    assert len(terms) == 9_463
    assert report.kept == {"products": 45_894, "queries": 9_461, "judgments": 59_440}
    assert (report.repeated["judgments"], report.conflicting) == (5, 5)
    gains = Shop(tmp_path / "shop").read("judgments", ["gain"])["gain"].to_numpy()
    assert (gains.min(), gains.max()) == (0.0, 2.0)


def test_real_chorus(real, tmp_path: Path) -> None:
    folder = real("chorus")
    rated = tuple(folder / f"Broad_Query_Set_{name}.csv" for name in ("rated", "individual_ratings"))
    report = ingest(Icecat(path=folder, ratings=rated).read(), tmp_path, strict=True)
    assert report.read == {"products": 19_406, "queries": 3_667, "judgments": 3_667}
    assert report.kept == {"products": 19_406, "queries": 69, "judgments": 1_957}
    assert report.conflicting == 6


def test_real_home_depot_is_split_without_leaks(real, tmp_path: Path) -> None:
    ingest(HomeDepot(path=real("homedepot/train.csv.zip")).read(), tmp_path)
    shop = Shop(tmp_path / "shop")
    parted = split_queries(shop, SplitConfig(seed=7)).to_pydict()
    texts = dict(zip(*shop.read("queries", ["query_id", "text"]).to_pydict().values(), strict=True))
    side_of: dict[str, set[str]] = {}
    for query_id, side in zip(parted["query_id"], parted["split"], strict=True):
        side_of.setdefault(same_query(texts[query_id]), set()).add(side)
    assert all(len(found) == 1 for found in side_of.values())
    assert len(side_of) < len(texts), "some terms differ only in order, case or endings"
    assert parted["split"].count("test") == round(0.2 * len(texts))
    rank = strata(shop).to_pydict()["stratum"]
    for stratum in ("head", "torso", "tail"):
        inside = [side for side, found in zip(parted["split"], rank, strict=True) if found == stratum]
        assert abs(inside.count("test") / len(inside) - 0.2) < 0.01
