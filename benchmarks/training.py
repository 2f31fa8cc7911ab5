"""Training throughput beside sentence-transformers' own trainers.

Both get the same weights, pairs, batch size, lengths and threads, in one process. Timed, for both: everything from the
texts to the trained weights. Ours tokenises each text once and trains with ``fit``, which also writes the checkpoint
that it ends with; theirs is ``trainer.train()``, which tokenises each batch as it comes. Left out, for both: loading
the weights it starts from, and for theirs building the trainer and the data set. Both run fp32, fused AdamW, batches of
pairs drawn at random, gradients clipped at norm 1, linear decay and no evaluation.

- cross: 2 × 128 (SPLADE-tiny), the score read from the first token by BERT's own pooler and a linear layer; mean
  squared error to the scores.
- static: two towers that share one table of token vectors, 64 wide. Theirs is mean pooling and the cosine, with the
  mean squared error on the cosine. Ours also learns a weight for each token, a projection, and a scale and shift.
- transformer: two towers that share one 2 × 128 encoder (SPLADE-tiny); pooling and loss as for static.

The grades stand in for a teacher's scores: to a trainer they are numbers alike. Run: ``python -m benchmarks.training``.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from benchmarks._bench import Judged, Variant, in_turn, judged, publish, ratio, say, shown, threads

from shopstill.core.hardware import cores
from shopstill.models import build
from shopstill.models.cross import Cross
from shopstill.models.pretrained import locate
from shopstill.models.towers import Static, Towers, Transformer
from shopstill.train.batches import Examples
from shopstill.train.fit import fit
from shopstill.train.objective import Objective
from shopstill.train.training import Training
from shopstill.types import Term

START = "splade-tiny"
WIDTH = 64
RATE = {"cross": 1e-4, "static": 1e-2, "transformer": 1e-4}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of model: pairs an epoch, pairs a step, tokens a row (cross) or a text (towers) at most."""

    kind: str
    pairs: int
    epochs: int
    batch: int
    tokens: int


def main() -> None:
    """Measure, print and publish."""
    arguments = _arguments()
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    logging.getLogger("transformers").setLevel(logging.ERROR)
    data = judged(arguments.static_pairs)
    slow = partial(Case, pairs=min(arguments.pairs, len(data)), epochs=1, batch=arguments.batch)
    cases = [
        slow(kind="cross", tokens=64),
        slow(kind="transformer", tokens=48),
        Case(kind="static", pairs=len(data), epochs=2, batch=arguments.static_batch, tokens=48),
    ]
    rows, figures = [], []
    for case in (c for c in cases if c.kind in arguments.only):
        for count in arguments.threads:
            say(f"{case}, {count} threads")
            with threads(count):
                seconds = in_turn(_sides(case, data.first(case.pairs)), arguments.rounds)
            gain = ratio(seconds["theirs"], seconds["ours"])
            rate = {side: case.pairs * case.epochs / float(np.median(taken)) for side, taken in seconds.items()}
            rows.append((case.kind, count, case.batch, f"{rate['theirs']:,.0f}", f"{rate['ours']:,.0f}", shown(gain)))
            figures.append({**asdict(case), "threads": count, "seconds": seconds, "pairs_a_second": rate, "gain": gain})
    columns = ("model", "threads", "batch", "sentence-transformers, pairs/s", "shopstill, pairs/s", "times as fast")
    publish(f"Training on {data.source}", columns, rows, {"source": data.source, "runs": figures})


def _sides(case: Case, data: Judged) -> dict[str, Variant]:
    theirs = their_cross if case.kind == "cross" else their_towers
    return {"theirs": partial(theirs, case, data), "ours": partial(ours, case, data)}


def ours(case: Case, data: Judged) -> Callable[[], Any]:
    """Our model, and ``fit``."""
    model = build.create(_ours(case), None, 0)
    training = Training(
        epochs=case.epochs, batch_rows=case.batch, learning_rate=RATE[case.kind], warmup=0.0, precision="fp32"
    )
    numbers = np.arange(len(data))

    def work() -> None:
        feed = model.network.feed(model.tokenizer, data.texts())
        examples = Examples(feed=feed, target_N=data.grade_N, group_N=numbers, teacher_N=data.grade_N)
        objective = Objective([Term(loss="score_mse")])
        with TemporaryDirectory() as folder:
            where = Path(folder)
            fit(model.network, examples, objective, training, judge=lambda _: {"none": 0.0}, folder=where, seed=0)

    return work


def _ours(case: Case) -> Cross | Towers:
    if case.kind == "cross":
        return Cross(start=START, pooling="first", max_tokens=case.tokens)
    if case.kind == "static":
        tower: Static | Transformer = Static(start=None, max_tokens=case.tokens)
    else:
        tower = Transformer(start=START, max_tokens=case.tokens)
    return Towers(query=tower, product=tower, shared=True, width=WIDTH, head="dot")


def their_cross(case: Case, data: Judged) -> Callable[[], Any]:
    """Their cross-encoder, and ``CrossEncoderTrainer`` with ``MSELoss``."""
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments, losses

    model = CrossEncoder(str(locate(START)), num_labels=1, max_length=case.tokens, device="cpu")
    options = CrossEncoderTrainingArguments(**_their_options(case))
    return CrossEncoderTrainer(
        model=model, args=options, train_dataset=_their_rows(data), loss=losses.MSELoss(model)
    ).train


def their_towers(case: Case, data: Judged) -> Callable[[], Any]:
    """Their towers, and ``SentenceTransformerTrainer`` with ``CosineSimilarityLoss``: squared errors of cosines."""
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer import losses, modules
    from tokenizers import Tokenizer

    if case.kind == "static":
        tokenizer = Tokenizer.from_file(str(locate("all-minilm-l6-v2") / "tokenizer.json"))
        tokenizer.enable_truncation(case.tokens)
        parts = [modules.StaticEmbedding(tokenizer, embedding_dim=WIDTH)]
    else:
        body = modules.Transformer(str(locate(START)), max_seq_length=case.tokens)
        parts = [body, modules.Pooling(body.get_embedding_dimension(), "mean")]
    model = SentenceTransformer(modules=parts, device="cpu")
    options = SentenceTransformerTrainingArguments(**_their_options(case))
    return SentenceTransformerTrainer(
        model=model, args=options, train_dataset=_their_rows(data), loss=losses.CosineSimilarityLoss(model)
    ).train


def _their_rows(data: Judged) -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"query": data.queries, "product": data.products, "label": data.grade_N.tolist()})


def _their_options(case: Case) -> dict[str, Any]:
    return {
        "output_dir": str(Path(os.environ.get("TMPDIR", "/tmp")) / "never-written"),
        "num_train_epochs": case.epochs,
        "per_device_train_batch_size": case.batch,
        "learning_rate": RATE[case.kind],
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "optim": "adamw_torch_fused",
        "lr_scheduler_type": "linear",
        "use_cpu": True,
        "save_strategy": "no",
        "eval_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=4_000, help="an epoch of cross and transformer")
    parser.add_argument("--static-pairs", type=int, default=40_000, help="an epoch of static")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--static-batch", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores()}))
    parser.add_argument("--only", nargs="+", choices=list(RATE), default=list(RATE))
    return parser.parse_args()


if __name__ == "__main__":
    main()
