"""Labelling throughput beside ``CrossEncoder.predict`` of sentence-transformers.

Both score the same pairs with the same weights: all-MiniLM-L6-v2 with BERT's pooler and a linear layer drawn from a
seed, in one checkpoint that both load, fp32, 64 tokens a pair at most. The pairs stand in the order in which the label
stage gives them to the teacher: a query's mined candidates, then the next query's.

Timed, for ours: ``teach.label.label`` with ``Teacher.answer`` on an empty store, which makes the keys, asks the store,
tokenises, scores, and writes and syncs the shard. Timed, for theirs: ``predict`` on a list of pairs of texts, at each
batch size of ``--batches``; nothing is stored. It sorts by characters and pads each batch; we sort by tokens, drop the
padding, and compute the last layer for the first token alone, which the head reads. Left out, for both: mining, and
loading the weights, with the digest that names our teacher. Where a logit differs by 1e-4 or more, the benchmark stops
with an error; their standard deviation is stated, so that this says something.

The gain is against their best batch size, by its median. Run: ``python -m benchmarks.labelling``.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np
from benchmarks._bench import Variant, in_turn, opened_shop, publish, ratio, say, shown, threads

from shopstill.core.hardware import cores
from shopstill.data.pairs import PairTexts
from shopstill.models import build
from shopstill.models.cross import Cross
from shopstill.models.pretrained import locate
from shopstill.teach import teacher as teachers
from shopstill.teach.label import keys_of, label
from shopstill.teach.mine import mine
from shopstill.teach.store import LabelStore
from shopstill.teach.teacher import Teacher

START = "all-minilm-l6-v2"
TOKENS = 64
CANDIDATES = 32
"""What ``Mine`` gives a query at most."""
TOLERANCE = 1e-4


def main() -> None:
    """Measure, print and publish."""
    arguments = _arguments()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    pairs, source = mined(arguments.pairs)
    with TemporaryDirectory() as folder:
        where = Path(folder)
        checkpoint(where / "theirs")
        teacher, model = our_teacher(where), their_model(where / "theirs")
        scores = agree(pairs, teacher, model, where)
        say(f"{len(pairs):,} pairs of {source}; {scores}")
        sides: dict[str, Variant] = {f"theirs, {b}": partial(theirs, pairs, model, b) for b in arguments.batches}
        sides["ours"] = partial(ours, pairs, teacher, where)
        rows, figures = [], []
        for count in arguments.threads:
            row, figure = measured(sides, len(pairs), count, arguments.rounds)
            rows.append(row)
            figures.append(figure)
    columns = ("threads", *(f"predict, batch {b}" for b in arguments.batches), "shopstill, pairs/s", "times as fast")
    found = {"source": source, "pairs": len(pairs), "logits": scores, "runs": figures}
    publish(f"Labelling on {source}: pairs a second", columns, rows, found)


def measured(sides: dict[str, Variant], pairs: int, count: int, rounds: int) -> tuple[list[object], dict[str, Any]]:
    """A row of the table, and its figures."""
    say(f"{count} threads")
    # The tokenizers of both sides look this up at each call.
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if count > 1 else "false"
    with threads(count):
        # Both are warm: they were compared.
        seconds = in_turn(sides, rounds, warm=False)
    rate = {side: pairs / float(np.median(taken)) for side, taken in seconds.items()}
    best = max((side for side in sides if side != "ours"), key=lambda side: rate[side])
    gains = {side: ratio(seconds[side], seconds["ours"]) for side in sides if side != "ours"}
    row = [count, *(f"{r:,.0f}" for r in rate.values()), shown(gains[best])]
    stated = {"threads": count, "seconds": seconds, "pairs_a_second": rate, "their_best": best, "gains": gains}
    return row, stated


def mined(pairs: int) -> tuple[PairTexts, str]:
    """Candidates mined for the first queries of a shop, query by query, and the name of the shop."""
    asked = pairs // (CANDIDATES // 2) + 1
    with opened_shop(max(600, asked)) as (shop, source):
        query_ids = shop.read("queries", ["query_id"]).column("query_id").to_pylist()[:asked]
        table = mine(shop, query_ids).pairs.slice(0, pairs)
        if table.num_rows < pairs:
            raise SystemExit(f"--pairs {pairs}: {table.num_rows:,} were mined from the {source}")
        return PairTexts.of(table, shop.read("queries"), shop.read("products")), source


def checkpoint(folder: Path) -> None:
    """A cross-encoder as the hub has them: a body, the pooler, and one output."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    start = str(locate(START))
    model = AutoModelForSequenceClassification.from_pretrained(start, num_labels=1)
    # As large as logits of a trained teacher are: close scores of a small head would say nothing.
    torch.nn.init.normal_(model.classifier.weight)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(start).save_pretrained(folder)


def our_teacher(folder: Path) -> Teacher:
    """The checkpoint as a teacher of one member, saved and loaded as the stages do."""
    model = build.create(Cross(start=str(folder / "theirs"), pooling="first", max_tokens=TOKENS), None, 0)
    build.save(model, folder / "ours" / teachers.MEMBERS / "0")
    return teachers.load(folder / "ours")


def their_model(folder: Path) -> Any:
    """The checkpoint as their cross-encoder, with logits as scores."""
    from sentence_transformers import CrossEncoder
    from torch import nn

    return CrossEncoder(str(folder), max_length=TOKENS, device="cpu", activation_fn=nn.Identity())


def ours(pairs: PairTexts, teacher: Teacher, where: Path) -> Callable[[], LabelStore]:
    """Our label stage's path, from texts to labels in a new store."""
    folder = Path(mkdtemp(dir=where))

    def work() -> LabelStore:
        store = LabelStore(folder, teacher=teacher.fingerprint, preparation=teacher.preparation)
        label(pairs, teacher.answer, store)
        return store

    return work


def theirs(pairs: PairTexts, model: Any, batch: int) -> Callable[[], Any]:
    """Their ``predict`` on the same texts, which stand ready as a list."""
    texts = list(zip(*pairs.texts(np.arange(len(pairs))), strict=True))
    return lambda: model.predict(texts, batch_size=batch, show_progress_bar=False)


def agree(pairs: PairTexts, teacher: Teacher, model: Any, where: Path) -> dict[str, float]:
    """How far both sides' logits are apart.

    Raises:
        SystemExit: too far for the comparison to be one of speed alone.
    """
    store = ours(pairs, teacher, where)()
    logit_N = store.lookup(keys_of(pairs, store)).logits
    apart = float(np.abs(logit_N - theirs(pairs, model, 32)()).max())
    if not apart < TOLERANCE:
        raise SystemExit(f"the logits differ by up to {apart:.1e}: must be below {TOLERANCE:.0e}")
    return {"largest_difference": apart, "standard_deviation": float(logit_N.std())}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 32, 64, 128], help="their batch sizes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores()}))
    return parser.parse_args()


if __name__ == "__main__":
    main()
