"""Models of classes over a few made-up products: by picture, by text, by both; each bundle written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.models.label.conftest import CLASSES, SIZE, TITLES, shown, stirred

from shopstill.data.images import ImageForm
from shopstill.export.bundle import About
from shopstill.export.label import write_label_bundle
from shopstill.models.label import Bag, Both, Config, LabelModel, LabelRows, TextEncoder, create
from shopstill.models.vision import EfficientNetLite, SmallCNN
from shopstill.train.predict import predict

FORM = ImageForm(height=SIZE[0], width=SIZE[1])
KINDS = ("picture", "title", "letters", "both")
PIXELS = np.asarray(shown().pictures)
Written = Callable[[str], tuple[LabelModel, Path]]

_WRITTEN: dict[str, tuple[LabelModel, Path]] = {}


def config(kind: str, start: Path) -> Config:
    """A small network that looks at a picture, reads a title's tokens and letters, its letters alone, or both."""
    tokens = Bag(start=str(start), width=8, buckets=50)
    picture = SmallCNN(channels=(4, 8))
    transformer = TextEncoder(start=str(start), layers=(0,), max_tokens=12)
    return {
        "picture": picture,
        "title": tokens,
        "letters": Bag(tokens=False, width=8, buckets=50),
        "both": Both(image=picture, text=tokens, width=8),
        "transformer": transformer,
        "cross": Both(image=picture, text=transformer, fusion="cross", width=8),
        "scaled": EfficientNetLite(start=None, scale=2),
    }[kind]


def model(kind: str, start: Path) -> LabelModel:
    """One whose every weight has some part in its logits."""
    return stirred(create(config(kind, start), CLASSES, None, 0, SIZE), 0)


def written(kind: str, start: Path, folder: Callable[[], Path]) -> tuple[LabelModel, Path]:
    """A model and its bundle."""
    if kind not in _WRITTEN:
        made, bundle = model(kind, start), folder() / "bundle"
        write_label_bundle(made, bundle, about=About(name=kind), rows=shown(), pictures=FORM)
        _WRITTEN[kind] = (made, bundle)
    return _WRITTEN[kind]


def given(made: LabelModel, count: int = len(TITLES)) -> dict[str, object]:
    """What a model reads of the first products, as a bundle takes it."""
    reads = {"resnet", "mobilenet", "efficientnet_lite", "small_cnn"}
    kind = made.network.config.kind
    pixels = {} if kind in ("bag", "text_encoder") else {"pixels": PIXELS[:count]}
    return pixels if kind in reads else {"texts": list(TITLES[:count]), **pixels}


def logits(made: LabelModel, rows: LabelRows | None = None) -> np.ndarray:
    """What the model itself says."""
    return predict(made.network, made.network.feed(made.tokenizer, rows or shown())).logits
