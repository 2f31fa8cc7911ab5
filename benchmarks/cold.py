"""How well products that nobody has taken up are ranked by their attributes, on Amazon Beauty as S3-Rec prepares it.

A tenth of the items, drawn by chance, is taken out of every history. SASRec learns from what is left, with the items'
attributes, and with id dropout at several rates. Then each event with an item that was taken out is asked for: after
what the shopper took up before, where does the item stand among all those that were taken out? Beside it: chance, and
the popularity of an item's attributes (the mean of their events in training). NDCG@10 of validation is that of items
which were learnt, among all of them, so that what id dropout costs is seen.

Run: ``python -m benchmarks.cold`` (s3rec in ``SHOPSTILL_DATA``; some minutes for each rate).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from benchmarks._bench import DATA, publish, say

from shopstill.data.histories import (
    AttributeConfig,
    ColdItems,
    Histories,
    HistoryConfig,
    Part,
    cold_items,
    item_attributes,
    read_histories,
)
from shopstill.data.ingest import ingest
from shopstill.data.readers.s3rec import S3Rec
from shopstill.data.shop import Shop, ShopWriter
from shopstill.data.split import SplitConfig
from shopstill.evaluate.compare import Judging
from shopstill.models.sequence import HistoryFeed, Negatives, SASRec, with_cold
from shopstill.tasks._places import trained
from shopstill.tasks.sequential import Sequential, SequentialCourse
from shopstill.train.fit import fit
from shopstill.train.objective import Objective
from shopstill.train.training import Training
from shopstill.types import Term

HELD, TOP, _AT_ONCE = 0.1, 10, 1024
EVENTS = HistoryConfig(kinds=("purchase",), core=1, repeats="keep")
JUDGING = Judging(metrics=("ndcg@10",))
HARD = Objective([Term(loss="cross_entropy")])


def main() -> None:
    """Measure, print and publish."""
    arguments, path = _arguments(), DATA / "s3rec" / "Beauty.txt"
    if not path.exists():
        raise SystemExit(f"{path}: is not there; name the folder that holds s3rec in SHOPSTILL_DATA")
    with TemporaryDirectory() as folder:
        ingest(S3Rec(path=path).read(), Path(folder))
        whole = Shop(Path(folder) / "shop")
        warm = without(whole, Path(folder) / "warm")
        rows, figures = [], {}
        for rate in arguments.rates:
            task = Sequential(
                histories=EVENTS, attributes=AttributeConfig(id_dropout=rate), negatives=Negatives(count=512), seen=True
            )
            course = SequentialCourse(warm, task, SplitConfig(), 0)
            found = judged(course, whole, warm, arguments.epochs, Path(folder) / f"fit-{rate}")
            figures[str(rate)] = found
            rows.append((f"{rate}", *(f"{value:.4f}" for value in found.values())))
            say(f"  id dropout {rate}: {found}")
    columns = ("id dropout", *next(iter(figures.values())))
    publish(f"Cold items of Beauty, {arguments.epochs} epochs", columns, rows, {"rates": figures})


def without(whole: Shop, folder: Path) -> Shop:
    """The shop without the events of a tenth of its items."""
    items = read_histories(whole, EVENTS).item_ids
    held = items.take(pa.array(np.sort(np.random.default_rng(0).permutation(len(items))[: round(HELD * len(items))])))
    with ShopWriter(folder) as writer:
        for name in ("products", "edges"):
            for batch in whole.scan(name):
                writer.write(name, batch)
        for batch in whole.scan("events"):
            writer.write("events", batch.filter(pc.invert(pc.is_in(batch["product_id"], value_set=held))))
    return Shop(folder)


def judged(course: SequentialCourse, whole: Shop, warm: Shop, epochs: int, folder: Path) -> dict[str, float]:
    """Train, and rank the items that were taken out."""
    model = course.create(SASRec(width=64, layers=2, heads=2, dropout=0.4), (), 0)
    judge = course.validation(model, JUDGING)
    settings = Training(epochs=epochs, batch_rows=128, learning_rate=1e-3, warmup=0.05)
    fit(model.network, course.direct(model, HARD), HARD, settings, judge=judge, folder=folder, seed=0)
    cold = cold_items(warm, course.histories, item_attributes(warm, course.histories))
    asked, target_N = questions(whole, course.histories, cold)
    network = with_cold(model.network.eval(), cold.attributes)
    among = np.unique(target_N)
    feed = HistoryFeed.of(network, course.histories, asked.shopper_N, asked.upto_N)
    score = []
    with torch.inference_mode():
        for at in range(0, len(asked), _AT_ONCE):
            inputs = feed.inputs(np.arange(at, min(at + _AT_ONCE, len(asked))))
            inputs["candidate_PC"] = torch.from_numpy(course.histories.items + 1 + among)
            score.append(network(**inputs).logits.numpy())
    truth_N = np.searchsorted(among, target_N)
    known_N = np.repeat(popularity(course, warm, cold)[None, among], len(target_N), 0)
    return {
        "cold HR@10": hits(np.concatenate(score), truth_N),
        "by popular attributes": hits(known_N, truth_N),
        "by chance": TOP / len(among),
        "validation NDCG@10": float(judge(model.network)["ndcg@10"]),
        "cold items": len(among),
        "questions": len(target_N),
    }


def questions(whole: Shop, warm: Histories, cold: ColdItems) -> tuple[Part, np.ndarray]:
    """What shoppers had taken up before each event with a cold item, and which of the cold items it is."""
    histories = read_histories(whole, EVENTS)
    shopper_E = np.repeat(np.arange(len(histories)), histories.lengths())
    item_E = pa.array(histories.item_E - 1)
    cold_E = np.asarray(pc.index_in(histories.item_ids, value_set=cold.ids).fill_null(-1))[item_E]
    held_E = np.asarray(pc.is_null(pc.index_in(histories.item_ids, value_set=warm.item_ids)))[item_E]
    before_E = np.cumsum(~held_E)
    before_E = before_E - np.concatenate([[0], before_E])[histories.start_U[shopper_E]]
    number_U = pc.index_in(histories.shopper_ids, value_set=warm.shopper_ids).fill_null(-1)
    asked = np.flatnonzero((cold_E >= 0) & held_E & (before_E > 0))
    part = Part(
        shopper_N=np.asarray(number_U, np.int32)[shopper_E[asked]],
        upto_N=before_E[asked].astype(np.int32),
        target_N=np.ones(len(asked), np.int32),
    )
    return part, cold_E[asked].astype(np.int64)


def popularity(course: SequentialCourse, warm: Shop, cold: ColdItems) -> np.ndarray:
    """Of each cold item, the mean over its attributes of how many events of training have them."""
    histories = course.histories
    told = item_attributes(warm, histories)
    item_E = histories.item_E[trained(histories, course.parts)]
    count_I = np.bincount(item_E, minlength=histories.items + 1)
    length_I = np.diff(told.start_I)
    count_V = np.bincount(told.code_A, np.repeat(count_I, length_I), len(told.names) + 1)
    start = cold.attributes.start_I[1:]
    return np.add.reduceat(count_V[cold.attributes.code_A], start[:-1]) / np.diff(start)


def hits(score_NC: np.ndarray, truth_N: np.ndarray) -> float:
    """Share of questions whose item is among the first ten; of those that score the same, as many as are left."""
    own_N1 = np.take_along_axis(score_NC, truth_N[:, None], 1)
    above_N, same_N = (score_NC > own_N1).sum(1), (score_NC == own_N1).sum(1)
    return float(np.clip((TOP - above_N) / same_N, 0, 1).mean())


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.0, 0.1])
    parser.add_argument("--epochs", type=int, default=10)
    return parser.parse_args()


if __name__ == "__main__":
    main()
