"""Models from configurations, and from the folders they were saved to.

A model folder holds ``model.json`` (its configuration and sizes), ``model.safetensors`` and ``tokenizer.json``.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from shopstill.core.config import config, plain
from shopstill.core.errors import ConfigError
from shopstill.data.lexical import FEATURES, LexicalIndex
from shopstill.data.tokens import TextTokenizer
from shopstill.data.vectors import Codec
from shopstill.models import _folder, pretrained
from shopstill.models._folder import Shape
from shopstill.models.compact._part import Table
from shopstill.models.cross import Cross, CrossEncoder
from shopstill.models.encoder import Encoder, EncoderConfig
from shopstill.models.foreign import AnyEncoder, ForeignEncoder
from shopstill.models.joint import Joint, JointModel
from shopstill.models.towers import Static, TokenTower, Tower, Towers, TwoTowers

Text = Annotated[Cross | Towers | Joint, Field(discriminator="kind")]
"""Configuration of a model of text pairs."""

Network = CrossEncoder | TwoTowers | JointModel
LEXICAL = "lexical"
DEFAULT_TOKENIZER = "all-minilm-l6-v2"


@config
class Saved(Shape):
    """What ``model.json`` holds."""

    model: Text
    encoders: dict[str, EncoderConfig] = Field(default_factory=dict)
    foreign: dict[str, dict[str, Any]] = Field(default_factory=dict)
    tables: dict[str, tuple[int, int]] = Field(default_factory=dict)
    vectors: Codec | None = None


@dataclass(frozen=True, kw_only=True)
class TextModel:
    """A network with the tokenizer its ids come from.

    ``lexical`` holds the rarity of words that its lexical features, where it takes any, were learned with; no products.
    ``vectors`` says how a bundle keeps the vectors of products that are encoded ahead; None leaves them as they are.
    """

    network: Network
    tokenizer: TextTokenizer
    lexical: LexicalIndex | None = None
    vectors: Codec | None = None

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.network.parameters())


def starts(wanted: Text) -> list[str | None]:
    """What a configuration's networks begin with: pretrained models by name, ``teacher``, None for random weights."""
    if isinstance(wanted, Joint):
        return [*starts(wanted.cross), *starts(wanted.towers)]
    return [wanted.start] if isinstance(wanted, Cross) else [wanted.query.start, wanted.product.start]


def taps(wanted: Text) -> list[str]:
    """Names of the features that a configuration's network returns beside its logits."""
    if isinstance(wanted, Joint):
        return [*taps(wanted.cross), *taps(wanted.towers)]
    if isinstance(wanted, Cross):
        return ["pooled"]
    return ["query", "product", *(["hidden"] if wanted.head == "interaction" else [])]


def traits(wanted: Text | Tower) -> set[str]:
    """What a configuration's network has that can be made smaller, as ``families.Trait`` names it."""
    match wanted:
        case Static():
            return {"token tables", "tokenizers", "tables"}
        case Towers():
            return {"products ahead"} | traits(wanted.query) | traits(wanted.product)
        case Joint():
            return traits(wanted.cross) | traits(wanted.towers)
        case _:
            return {"text transformers", "tokenizers", "tables", "linear layers"}


def quick(wanted: Text) -> Text:
    """The same, without vectors of tokens that a network is asked for and a head that needs a catalogue's words."""
    if isinstance(wanted, Joint):
        return replace(wanted, towers=_at_hand(wanted.towers))
    return _at_hand(wanted) if isinstance(wanted, Towers) else wanted


def _at_hand(wanted: Towers) -> Towers:
    return replace(wanted, query=_input(wanted.query), product=_input(wanted.product), head="dot")


def _input(tower: Tower) -> Tower:
    return replace(tower, vectors="input") if isinstance(tower, Static) else tower


def create(wanted: Cross | Towers | Joint, teacher: Path | None, seed: int) -> TextModel:
    """A model as configured, with its starting weights.

    Args:
        wanted: the configuration.
        teacher: folder of the teacher's model, for ``start: teacher``.
        seed: of the random weights.

    Raises:
        ConfigError: a start is not to be had or too short, or the parts' starts have different tokenizers.
    """
    torch.manual_seed(seed)
    if isinstance(wanted, Cross):
        return _create_cross(wanted, teacher)
    if isinstance(wanted, Towers):
        return _create_towers(wanted, teacher)
    cross, towers = _create_cross(wanted.cross, teacher), _create_towers(wanted.towers, teacher)
    _agree(cross.tokenizer, towers.tokenizer, "cross.start and towers")
    assert isinstance(cross.network, CrossEncoder)
    assert isinstance(towers.network, TwoTowers)
    return TextModel(network=JointModel(cross.network, towers.network, wanted), tokenizer=cross.tokenizer)


def _create_cross(wanted: Cross, teacher: Path | None) -> TextModel:
    encoder, tokenizer = _cross_body(wanted, teacher)
    _reaches(encoder, wanted.max_tokens)
    network = CrossEncoder(encoder, wanted)
    _start_head(network, wanted, teacher)
    return TextModel(network=network, tokenizer=tokenizer)


def _create_towers(wanted: Towers, teacher: Path | None) -> TextModel:
    query, tokenizer = _tower(wanted.query, wanted.width, teacher)
    product, other = _beside(query, wanted), tokenizer
    if not wanted.shared:
        product, other = _tower(wanted.product, wanted.width, teacher)
    _reaches(query.body, wanted.query.max_tokens)
    _reaches(product.body, wanted.product.max_tokens)
    _agree(tokenizer, other, "query.start and product.start")
    return TextModel(network=TwoTowers(query, product, wanted, _lexical(wanted)), tokenizer=tokenizer)


def _lexical(wanted: Towers) -> int:
    return len(FEATURES) if wanted.head == "interaction" else 0


def _agree(one: TextTokenizer, other: TextTokenizer, which: str) -> None:
    if not one.agrees(other):
        raise ConfigError(f"{which} have different tokenizers; use starts of one family")


def save(model: TextModel, folder: Path) -> None:
    """Write a model folder: weights, sizes and tokenizer; ``load`` needs nothing else."""
    network = model.network
    bodies = {n: m for n, m in network.named_modules() if n.endswith("body") and isinstance(m, Table)}
    stated = {
        "model": plain(network.config),
        "encoders": {n: plain(m.size) for n, m in network.named_modules() if isinstance(m, Encoder)},
        "foreign": {n: m.settings for n, m in network.named_modules() if isinstance(m, ForeignEncoder)},
        "tables": {n: (m.num_embeddings, m.embedding_dim) for n, m in bodies.items()},
        "vectors": None if model.vectors is None else plain(model.vectors),
    }
    _folder.write(folder, network, stated)
    shutil.copyfile(model.tokenizer.path, folder / "tokenizer.json")
    if model.lexical is not None:
        model.lexical.save(folder / LEXICAL)


def load(folder: Path) -> TextModel:
    """Read a model folder that ``save`` wrote.

    Raises:
        ArtifactError: there is none, or its weights do not fit its configuration.
    """
    stated = _folder.stated(Saved, folder)
    network = _empty(stated)
    _folder.fill(network, stated, folder)
    lexical = LexicalIndex.load(folder / LEXICAL) if (folder / LEXICAL).exists() else None
    tokenizer = TextTokenizer(folder / "tokenizer.json")
    return TextModel(network=network, tokenizer=tokenizer, lexical=lexical, vectors=stated.vectors)


def _empty(stated: Saved) -> Network:
    if isinstance(stated.model, Cross):
        return CrossEncoder(_reader(stated, "encoder"), stated.model)
    if isinstance(stated.model, Towers):
        return _empty_towers(stated, stated.model, "")
    cross = CrossEncoder(_reader(stated, "cross.encoder"), stated.model.cross)
    return JointModel(cross, _empty_towers(stated, stated.model.towers, "towers."), stated.model)


def _empty_towers(stated: Saved, wanted: Towers, prefix: str) -> TwoTowers:
    query = TokenTower(_body(stated, f"{prefix}query.body"), wanted.width)
    product = _beside(query, wanted)
    if not wanted.shared:
        product = TokenTower(_body(stated, f"{prefix}product.body"), wanted.width)
    return TwoTowers(query, product, wanted, _lexical(wanted))


def _beside(query: TokenTower, wanted: Towers) -> TokenTower:
    """The product tower of towers that share: the query's own, or one with the same vectors of tokens."""
    if wanted.shared != "tokens":
        return query
    product = TokenTower(query.body, wanted.width)
    product.project = query.project
    return product


def _reader(stated: Saved, name: str) -> AnyEncoder:
    found = _body(stated, name)
    assert not isinstance(found, nn.Embedding)
    return found


def _body(stated: Saved, name: str) -> nn.Embedding | AnyEncoder:
    if name in stated.foreign:
        return ForeignEncoder(stated.foreign[name])
    return Encoder(stated.encoders[name]) if name in stated.encoders else nn.Embedding(*stated.tables[name])


def _source(start: str, teacher: Path | None) -> tuple[AnyEncoder, TextTokenizer]:
    if start == "teacher":
        if teacher is None:
            raise ConfigError("start: teacher, but this teacher has no weights here; name a pretrained start instead")
        held = load(teacher)
        if not isinstance(held.network, CrossEncoder):
            raise ConfigError("start: teacher needs a cross-encoder teacher; name a pretrained start instead")
        return held.network.encoder, held.tokenizer
    folder = pretrained.locate(start)
    if (folder / "model.json").exists():
        return _source("teacher", folder)
    return pretrained.encoder(folder), TextTokenizer(folder / "tokenizer.json")


def _cross_body(wanted: Cross, teacher: Path | None) -> tuple[AnyEncoder, TextTokenizer]:
    if wanted.start is None:
        tokenizer = TextTokenizer(pretrained.locate(DEFAULT_TOKENIZER) / "tokenizer.json")
        return _fresh(tokenizer, wanted.width, wanted.depth, wanted.heads), tokenizer
    encoder, tokenizer = _source(wanted.start, teacher)
    return pretrained.shrink(encoder, list(wanted.layers)) if wanted.layers else encoder, tokenizer


def _fresh(tokenizer: TextTokenizer, width: int, depth: int, heads: int) -> Encoder:
    return Encoder(EncoderConfig(vocab=tokenizer.vocab, width=width, layers=depth, heads=heads, feed_forward=4 * width))


def _reaches(body: nn.Module, max_tokens: int) -> None:
    if isinstance(body, Encoder) and max_tokens > body.size.positions - body.size.first_position:
        most = body.size.positions - body.size.first_position
        raise ConfigError(f"max_tokens: {max_tokens} is more than the start's {most} positions; use at most {most}")


def _tower(wanted: Tower, width: int, teacher: Path | None) -> tuple[TokenTower, TextTokenizer]:
    if wanted.start is None:
        tokenizer = TextTokenizer(pretrained.locate(DEFAULT_TOKENIZER) / "tokenizer.json")
        if isinstance(wanted, Static):
            return TokenTower(nn.Embedding(tokenizer.vocab, width), width), tokenizer
        return TokenTower(_fresh(tokenizer, wanted.width, wanted.depth, wanted.heads), width), tokenizer
    encoder, tokenizer = _source(wanted.start, teacher)
    if isinstance(wanted, Static):
        vectors = encoder.tokens.weight if wanted.vectors == "input" else pretrained.spoken(encoder, tokenizer)
        table = pretrained.narrow(vectors.detach(), width)
        tower = TokenTower(nn.Embedding.from_pretrained(table, freeze=False), width)
        nn.init.eye_(tower.project.weight)
        return tower, tokenizer
    return TokenTower(pretrained.shrink(encoder, list(wanted.layers)) if wanted.layers else encoder, width), tokenizer


def _start_head(network: CrossEncoder, wanted: Cross, teacher: Path | None) -> None:
    """The head of the start, where it has one of the same width."""
    if wanted.start is None:
        return
    folder = teacher if wanted.start == "teacher" else pretrained.locate(wanted.start)
    if folder is not None and (folder / "model.json").exists():
        source = load(folder).network
        own = network.head.state_dict()
        if isinstance(source, CrossEncoder) and all(
            own.get(k) is not None and own[k].shape == v.shape for k, v in source.head.state_dict().items()
        ):
            network.head.load_state_dict(source.head.state_dict())
    elif folder is not None and wanted.pooling == "first":
        found = pretrained.head_weights(folder, network.size.width)
        own = network.head.state_dict()
        network.head.load_state_dict({k: v for k, v in found.items() if own[k].shape == v.shape}, strict=False)
