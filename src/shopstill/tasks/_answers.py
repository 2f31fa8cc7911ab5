"""What it costs to put products into classes: from pixels and texts to logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shopstill.core.hardware import cores
from shopstill.evaluate.alone import alone
from shopstill.evaluate.costs import Costs
from shopstill.evaluate.latency import Timing
from shopstill.models import families
from shopstill.models.label import LabelModel, LabelRows
from shopstill.serve.bundle.label import LabelBundle
from shopstill.serve.bundle.load import load_label
from shopstill.tasks._turns import Answer, InTurn, interleaved, on_threads, operations

_ASKED, _PIECE = 256, 1024
_ONE = np.zeros(1, np.int64)
_TEXT = "red steel mug 12 oz"
_ANSWER_ONCE, _SERVE_ONCE = f"{__name__}:answer_once", "shopstill.serve.bundle.load:categorise_once"
_NOTE = "pictures already decoded; texts tokenised, pictures looked at, all of it answered"
_SERVED = "as served: from a bundle, with onnxruntime; pictures already decoded"


def costs(rows: LabelRows, count: int, folders: Mapping[str, Sequence[Path]], timing: Timing) -> Costs:
    """Measure models, or ensembles of several, on products.

    Args:
        rows: the products.
        count: how many there are.
        folders: contender → folders of its models; one without any is left out.
        timing: how times are taken; its candidates are products at once.
    """
    there = {name: list(those) for name, those in folders.items() if those}
    models = {name: [families.load(folder) for folder in those] for name, those in there.items()}
    asked = min(count, _ASKED)
    contenders = {
        name: InTurn(open=on_threads(_answer(those, rows)), questions=asked, note=_NOTE)
        for name, those in models.items()
    }
    calls = {name: [[str(folder) for folder in those], _TEXT] for name, those in there.items()}
    return Costs(
        latency=interleaved(contenders, timing),
        alone={name: alone(_ANSWER_ONCE, call) for name, call in calls.items() if timing.memory},
        flops={name: flops(those, rows) for name, those in models.items()},
    )


def served_costs(
    rows: LabelRows, count: int, bundles: Mapping[str, Path], models: Mapping[str, Path], timing: Timing
) -> Costs:
    """The same of bundles; ``models`` are the folders that operations are counted from."""
    asked = min(count, _ASKED)
    shown = shown_of(rows, np.arange(asked))
    contenders = {
        name: InTurn(open=_serving(folder, shown), questions=asked, note=_SERVED) for name, folder in bundles.items()
    }
    return Costs(
        latency=interleaved(contenders, timing),
        alone={name: alone(_SERVE_ONCE, [str(folder), _TEXT]) for name, folder in bundles.items() if timing.memory},
        flops={name: flops([families.load(folder)], rows) for name, folder in models.items()},
    )


Shown = tuple[list[str] | None, np.ndarray | None]
"""Texts and pixels of products, as a bundle takes them."""


def shown_of(rows: LabelRows, which: np.ndarray) -> Shown:
    """Texts and pixels of some products, where there are any."""
    texts = pixels = None
    if rows.texts is not None and rows.text_N is not None:
        texts = [rows.texts[at] for at in rows.text_N[which].tolist()]
    if rows.pictures is not None and rows.picture_N is not None:
        pixels = rows.pictures[rows.picture_N[which]]
    return texts, pixels


def served(rows: LabelRows, count: int, folder: Path) -> np.ndarray:
    """What a bundle says of products: logits [N, K]."""
    bundle = load_label(folder, threads=cores())
    pieces = [np.arange(at, min(at + _PIECE, count)) for at in range(0, count, _PIECE)]
    found = [_logits(bundle, shown_of(rows, piece)) for piece in pieces]
    return np.concatenate(found) if found else np.zeros((0, len(bundle.classes)), np.float32)


def _logits(bundle: LabelBundle, shown: Shown) -> np.ndarray:
    texts, pixels = shown
    return bundle.logits(texts if bundle.reads_texts else None, pixels if bundle.reads_pictures else None)


def _serving(folder: Path, shown: Shown) -> Any:
    texts, pixels = shown

    def opened(threads: int) -> Answer:
        bundle = load_label(folder, threads)

        def answer(which: np.ndarray) -> object:
            some = None if texts is None else [texts[at] for at in which.tolist()]
            return _logits(bundle, (some, None if pixels is None else pixels[which]))

        return answer

    return opened


def _answer(models: Sequence[LabelModel], rows: LabelRows) -> Answer:
    def answer(which: np.ndarray) -> object:
        some = rows.take(which)
        return [answered(model, some, len(which)) for model in models]

    return answer


@torch.inference_mode()
def answered(model: LabelModel, rows: LabelRows, count: int) -> torch.Tensor:
    """Logits of products."""
    inputs = model.network.feed(model.tokenizer, rows).inputs(np.arange(count))
    found: torch.Tensor = model.network.eval()(**inputs).logits
    return found


def flops(models: Sequence[LabelModel], rows: LabelRows) -> int:
    """Floating point operations of one product's answer."""
    one = rows.take(_ONE)
    return sum(operations(lambda model=model: answered(model, one, 1)) for model in models)  # type: ignore[misc]


def answer_once(folders: Sequence[str], text: str) -> None:
    """Load models and answer one product, as a process would that does nothing else: a text, a picture of noise."""
    for folder in folders:
        model: LabelModel = families.load(Path(folder))
        height, width = model.size or (1, 1)
        pixels = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
        answered(model, LabelRows(pictures=pixels, picture_N=_ONE, texts=[text], text_N=_ONE), 1)
