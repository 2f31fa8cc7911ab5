"""A few products of three classes that their colours and their titles tell, and small models of every kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from shopstill.models.label import Label, LabelModel, LabelRows, TextNetwork, create

CLASSES = ("mugs", "chairs", "杯子")
SIZE = (26, 18)
TITLES = ("red steel mug", "blue chair", "保温杯 500ml", "mug", "a chair to sit on", "杯", "", "mug 12 oz")
CLASS_N = np.array([0, 1, 2, 0, 1, 2, 1, 0])

IMAGES: dict[str, dict[str, Any]] = {
    "resnet 18": {"kind": "resnet", "width": 0.125},
    "resnet 50": {"kind": "resnet", "depth": 50, "width": 0.125, "stem": "small"},
    "mobilenet": {"kind": "mobilenet", "width": 0.25, "last": 32},
    "mobilenet, squeezed": {
        "kind": "mobilenet",
        "width": 0.25,
        "last": 32,
        "squeeze": True,
        "activation": "hard_swish",
        "stem": "small",
    },
    "efficientnet_lite": {"kind": "efficientnet_lite", "start": None, "scale": 2},
    "small_cnn": {"kind": "small_cnn", "channels": [8, 12, 16]},
}


def kinds(start: Path) -> dict[str, dict[str, Any]]:
    """A configuration of every kind of model."""
    bag = {"kind": "bag", "start": str(start), "width": 12, "buckets": 50}
    text = {"kind": "text_encoder", "start": str(start), "layers": [0, 2], "max_tokens": 12}
    both = {"kind": "both", "image": IMAGES["small_cnn"], "width": 8}
    return {
        **IMAGES,
        "bag": bag,
        "bag of letters": {**bag, "tokens": False},
        "bag of tokens": {**bag, "buckets": 0},
        "text, mean": text,
        "text, first": {**text, "pooling": "first"},
        "both, late": {**both, "text": text},
        "both, late, bag": {**both, "text": bag, "image": IMAGES["mobilenet"]},
        "both, cross": {**both, "text": text, "fusion": "cross"},
        "both, cross, bag": {**both, "text": bag, "fusion": "cross"},
    }


KINDS = list(kinds(Path()))

Make = Callable[..., LabelModel]


def shown() -> LabelRows:
    """Noise that is brighter in the colour of the class."""
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 80, (len(TITLES), *SIZE, 3), dtype=np.uint8)
    pictures[np.arange(len(TITLES)), :, :, CLASS_N] += 170
    every = np.arange(len(TITLES))
    return LabelRows(pictures=pictures, picture_N=every, texts=TITLES, text_N=every)


@pytest.fixture(scope="session")
def rows() -> LabelRows:
    return shown()


@pytest.fixture(scope="session")
def make(tiny_start: Path) -> Make:
    """Name of a kind → a model of it whose every weight, and every running statistic, has some part in its logits."""

    def made(kind: str, seed: int = 0, teacher: Path | None = None, **changes: Any) -> LabelModel:
        stated: Mapping[str, Any] = {**kinds(tiny_start)[kind], **changes}
        model = create(TypeAdapter(Label).validate_python(stated), CLASSES, teacher, seed, SIZE)
        return stirred(model, seed)

    return made


def stirred(model: LabelModel, seed: int) -> LabelModel:
    """With norms as after some training: of the pictures' own statistics, and scales and shifts at random."""
    draw = torch.Generator().manual_seed(seed)
    norms = [m for m in model.network.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.add_(0.2 * torch.randn(norm.weight.shape, generator=draw))
            norm.bias.add_(0.3 * torch.randn(norm.bias.shape, generator=draw))
        if not isinstance(model.network, TextNetwork):
            before, _ = [norm.momentum for norm in norms], [setattr(norm, "momentum", 1.0) for norm in norms]
            model.network.train().reader(torch.from_numpy(np.asarray(shown().pictures)))
            for norm, momentum in zip(norms, before, strict=True):
                norm.momentum = momentum
    model.network.eval()
    return model


def inputs(model: LabelModel, rows: LabelRows, which: np.ndarray | None = None) -> dict[str, torch.Tensor]:
    every = np.arange(len(TITLES)) if which is None else which
    return model.network.feed(model.tokenizer, rows).inputs(every)
