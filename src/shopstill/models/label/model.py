"""A network that puts products into classes, with the names of these: saved to a folder, and read back."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import nn

from shopstill.core.config import config, plain
from shopstill.data.tokens import TextTokenizer
from shopstill.models import _folder
from shopstill.models._folder import Shape
from shopstill.models.compact._part import Table
from shopstill.models.encoder import Encoder, EncoderConfig
from shopstill.models.foreign import ForeignEncoder
from shopstill.models.label.config import Bag, Both, Label, TextEncoder
from shopstill.models.label.networks import BothNetwork, ImageNetwork, LabelNetwork, TextNetwork
from shopstill.models.label.texts import BagBody, EncoderBody, TextBody
from shopstill.models.vision import Picture, PictureReader, Widths, body, counts

_TOKENIZER, _SIDE = "tokenizer.json", 64


@config
class Saved(Shape):
    """What ``model.json`` holds.

    Attributes:
        model: the configuration.
        classes: names of the classes, in the order of the logits.
        size: height and width of the pictures it was made for, or None.
        channels: how many channels of each name its picture network has.
        encoders: sizes of its encoder, if it has one of ours.
        foreign: settings of its encoder, if it has one of another family.
        tables: rows and width of its table, if it has one.
    """

    model: Label
    classes: tuple[str, ...]
    size: tuple[int, int] | None = None
    channels: dict[str, int] = Field(default_factory=dict)
    encoders: dict[str, EncoderConfig] = Field(default_factory=dict)
    foreign: dict[str, dict[str, Any]] = Field(default_factory=dict)
    tables: dict[str, tuple[int, int]] = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LabelModel:
    """A network with the classes it knows.

    Attributes:
        network: returns ``Signals``.
        classes: names of the classes, in the order of the logits.
        tokenizer: where its texts' ids come from; None for a network that reads no tokens.
        size: height and width in pixels of the pictures it was made for; None for a network that reads none.
    """

    network: LabelNetwork
    classes: tuple[str, ...]
    tokenizer: TextTokenizer | None = None
    size: tuple[int, int] | None = None

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.network.parameters())


def starts(wanted: Any) -> list[str | None]:
    """What a configuration's networks begin with: pretrained models by name, ``teacher``, None for random weights."""
    return [wanted.image.start, wanted.text.start] if isinstance(wanted, Both) else [wanted.start]


def taps(wanted: Label) -> list[str]:
    """Names of the features that a configuration's network returns beside its logits.

    >>> from shopstill.models.vision import SmallCNN
    >>> taps(SmallCNN(channels=(8, 16)))
    ['pooled', 'map_2', 'map_4', 'map']
    """
    if isinstance(wanted, Bag | TextEncoder):
        return ["pooled"]
    if isinstance(wanted, Both):
        return [*_seen(wanted.image), "image", "text"]
    return _seen(wanted)


def _seen(wanted: Picture) -> list[str]:
    """What a network makes of a picture, asked of one that has no weights."""
    with torch.device("meta"):
        return list(PictureReader(body(wanted)).eval()(torch.zeros(1, _SIDE, _SIDE, 3)).features)


def traits(wanted: Label) -> set[str]:
    """What a configuration's network has that can be made smaller, as ``families.Trait`` names it."""
    match wanted:
        case Both():
            return traits(wanted.image) | traits(wanted.text)
        case TextEncoder():
            return {"text transformers", "tokenizers", "tables", "linear layers"}
        case Bag():
            return {"tables", "linear layers", *(["tokenizers"] if wanted.tokens else [])}
        case _:
            return {"convolutions", "linear layers"}


def quick(wanted: Label) -> Label:
    """The same: these are created in seconds."""
    return wanted


def save(model: LabelModel, folder: Path) -> None:
    """Write a model folder: weights, sizes, classes and tokenizer; ``load`` needs nothing else."""
    network = model.network
    modules = dict(network.named_modules())
    stated = {
        "model": plain(network.config),
        "classes": model.classes,
        "size": model.size,
        "channels": counts(network),
        "encoders": {n: plain(m.size) for n, m in modules.items() if isinstance(m, Encoder)},
        "foreign": {n: m.settings for n, m in modules.items() if isinstance(m, ForeignEncoder)},
        "tables": {n: _rows(m.table) for n, m in modules.items() if isinstance(m, BagBody)},
    }
    _folder.write(folder, network, stated)
    if model.tokenizer is not None:
        shutil.copyfile(model.tokenizer.path, folder / _TOKENIZER)


def load(folder: Path) -> LabelModel:
    """Read a model folder that ``save`` wrote.

    Raises:
        ArtifactError: there is none, or its weights do not fit its configuration.
    """
    stated = _folder.stated(Saved, folder)
    network = _empty(stated)
    _folder.fill(network, stated, folder)
    tokenizer = TextTokenizer(folder / _TOKENIZER) if (folder / _TOKENIZER).exists() else None
    return LabelModel(network=network, classes=stated.classes, tokenizer=tokenizer, size=stated.size)


def _rows(table: Table) -> tuple[int, int]:
    return table.num_embeddings, table.embedding_dim


def _empty(stated: Saved) -> LabelNetwork:
    wanted, classes = stated.model, len(stated.classes)
    match wanted:
        case Both():
            reader, text = _reader(stated, wanted.image), _text(stated, wanted.text)
            return BothNetwork(reader, text, wanted, classes)
        case Bag() | TextEncoder():
            return TextNetwork(_text(stated, wanted), wanted, classes)
        case _:
            return ImageNetwork(_reader(stated, wanted), wanted, classes)


def _reader(stated: Saved, wanted: Picture) -> PictureReader:
    return PictureReader(body(wanted, Widths(stated.channels)))


def _text(stated: Saved, wanted: Bag | TextEncoder) -> TextBody:
    if isinstance(wanted, Bag):
        return BagBody(nn.Embedding(*stated.tables["body"]), wanted)
    if "body.encoder" in stated.foreign:
        return EncoderBody(ForeignEncoder(stated.foreign["body.encoder"]), wanted)
    return EncoderBody(Encoder(stated.encoders["body.encoder"]), wanted)
