"""Networks that put products into classes, with their starting weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from shopstill.core.errors import ConfigError
from shopstill.data.tokens import TextTokenizer
from shopstill.models import build, pretrained
from shopstill.models.cross import CrossEncoder
from shopstill.models.encoder import Encoder, EncoderConfig
from shopstill.models.foreign import AnyEncoder
from shopstill.models.label import model as _model
from shopstill.models.label.config import Bag, Both, Config, TextEncoder
from shopstill.models.label.model import LabelModel
from shopstill.models.label.networks import BothNetwork, ImageNetwork, TextNetwork
from shopstill.models.label.texts import BagBody, EncoderBody, TextBody, positions
from shopstill.models.vision import EfficientNetLite, Picture, PictureReader, body
from shopstill.models.vision.efficientnet_lite import ours, taken

_TEACHER = "teacher"


def create(
    wanted: Config, classes: Sequence[str], teacher: Path | None, seed: int, size: tuple[int, int] | None = None
) -> LabelModel:
    """A model as configured, with its starting weights.

    Args:
        wanted: the configuration.
        classes: names of the classes.
        teacher: folder of the teacher's model, for ``start: teacher``.
        seed: of the random weights.
        size: height and width of the pictures, kept for whoever serves it.

    Raises:
        ConfigError: a start is not to be had, or of other sizes.
    """
    torch.manual_seed(seed)
    names, count = tuple(classes), len(classes)
    if isinstance(wanted, Bag | TextEncoder):
        text, tokenizer = _text(wanted, teacher)
        return LabelModel(network=TextNetwork(text, wanted, count), classes=names, tokenizer=tokenizer)
    if isinstance(wanted, Both):
        reader, (text, tokenizer) = _reader(wanted.image, teacher), _text(wanted.text, teacher)
        both = BothNetwork(reader, text, wanted, count)
        return LabelModel(network=both, classes=names, tokenizer=tokenizer, size=size)
    network = ImageNetwork(_reader(wanted, teacher), wanted, count)
    return LabelModel(network=network, classes=names, size=size)


def _reader(wanted: Picture, teacher: Path | None) -> PictureReader:
    made = PictureReader(body(wanted))
    if wanted.start is None:
        return made
    if wanted.start == _TEACHER or (Path(wanted.start) / "model.json").exists():
        found = _held(wanted.start, teacher).network
        if isinstance(found, TextNetwork):
            raise ConfigError(f"start {wanted.start!r}: it reads no pictures; start from another, or from null")
        state = found.reader.body.state_dict()
    elif isinstance(wanted, EfficientNetLite):
        state = ours(pretrained.image_weights(wanted.start))
    else:
        raise ConfigError(
            f"start {wanted.start!r}: a {wanted.kind} starts from 'teacher', a model's folder, or null; only "
            f"efficientnet_lite has published weights, such as {', '.join(pretrained.IMAGES)}"
        )
    if isinstance(wanted, EfficientNetLite):
        state = taken(state, made.body.state_dict())
    _fill(made.body, state, wanted.start)
    return made


def _fill(module: nn.Module, state: dict[str, torch.Tensor], start: str) -> None:
    own = module.state_dict()
    wrong = sorted(own.keys() ^ state.keys()) + [n for n in own if n in state and own[n].shape != state[n].shape]
    if wrong:
        raise ConfigError(
            f"start {start!r}: its picture network has other parts or sizes ({', '.join(wrong[:3])}); "
            "use the same family, depth, width and channels"
        )
    module.load_state_dict(state)


def _held(start: str, teacher: Path | None) -> LabelModel:
    """The model that a folder holds, or the teacher."""
    if start == _TEACHER and teacher is None:
        raise ConfigError("start: teacher, but this teacher has no weights here; name a pretrained start instead")
    folder = teacher if start == _TEACHER and teacher is not None else Path(start)
    return _model.load(folder)


def _text(wanted: Bag | TextEncoder, teacher: Path | None) -> tuple[TextBody, TextTokenizer | None]:
    found: TextBody
    found, tokenizer = _bag(wanted, teacher) if isinstance(wanted, Bag) else _encoder(wanted, teacher)
    most = positions(found)
    if most is not None and wanted.max_tokens > most:
        raise ConfigError(
            f"max_tokens: {wanted.max_tokens} is more than the start's {most} positions; use at most that"
        )
    return found, tokenizer


def _encoder(wanted: TextEncoder, teacher: Path | None) -> tuple[EncoderBody, TextTokenizer | None]:
    if wanted.start is None:
        tokenizer = TextTokenizer(pretrained.locate(build.DEFAULT_TOKENIZER) / "tokenizer.json")
        size = EncoderConfig(
            vocab=tokenizer.vocab,
            width=wanted.width,
            layers=wanted.depth,
            heads=wanted.heads,
            feed_forward=4 * wanted.width,
        )
        return EncoderBody(Encoder(size), wanted), tokenizer
    encoder, tokenizer = _source(wanted.start, teacher)
    return EncoderBody(pretrained.shrink(encoder, list(wanted.layers)) if wanted.layers else encoder, wanted), tokenizer


def _bag(wanted: Bag, teacher: Path | None) -> tuple[BagBody, TextTokenizer | None]:
    if not wanted.tokens:
        return BagBody(_small(nn.Embedding(wanted.buckets, wanted.width)), wanted), None
    if wanted.start is None:
        tokenizer = TextTokenizer(pretrained.locate(build.DEFAULT_TOKENIZER) / "tokenizer.json")
        return BagBody(_small(nn.Embedding(tokenizer.vocab + wanted.buckets, wanted.width)), wanted), tokenizer
    encoder, tokenizer = _source(wanted.start, teacher)
    known = pretrained.narrow(encoder.tokens.weight.detach(), wanted.width)
    table = _small(nn.Embedding(len(known) + wanted.buckets, wanted.width))
    with torch.no_grad():
        table.weight[: len(known)] = known
    return BagBody(table, wanted), tokenizer


def _small(table: nn.Embedding) -> nn.Embedding:
    """Vectors of about length one half: less than those of known tokens, so that these are heard first."""
    nn.init.normal_(table.weight, std=0.5 * table.embedding_dim**-0.5)
    return table


def _source(start: str, teacher: Path | None) -> tuple[AnyEncoder, TextTokenizer]:
    """The encoder and the tokenizer of a start."""
    folder = teacher if start == _TEACHER else pretrained.locate(start)
    if folder is None or not (folder / "model.json").exists():
        if folder is None:
            _held(start, teacher)
        assert folder is not None
        return pretrained.encoder(folder), TextTokenizer(folder / "tokenizer.json")
    from shopstill.models import families

    held = families.load(folder)
    network = held.network
    if isinstance(network, CrossEncoder):
        return network.encoder, held.tokenizer
    if isinstance(network, TextNetwork | BothNetwork) and isinstance(network.body, EncoderBody):
        return network.body.encoder, held.tokenizer
    raise ConfigError(f"start {start!r}: it has no transformer that reads texts; start from another, or from null")
