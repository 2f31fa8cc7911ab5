"""A shop of a few products and small models of every kind, for the suite of passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import nn

from shopstill.compress._calibration import Calibration
from shopstill.data.lexical import LexicalIndex
from shopstill.data.pairs import PairTexts
from shopstill.data.tokens import TextTokenizer
from shopstill.models import build
from shopstill.models.build import TextModel
from shopstill.models.cross import Cross, CrossEncoder
from shopstill.models.encoder import Encoder, EncoderConfig
from shopstill.train.batches import Examples
from shopstill.train.predict import predict
from shopstill.train.training import Training
from shopstill.types import Term

PRODUCTS = (
    "red steel mug 12 oz",
    "blue chair",
    "mug",
    "a very long title of a garden hose 50 ft with a brass nozzle and more than will fit",
    "保温杯 500ml",
    "led bulb",
)
QUERIES = ("red mug", "garden hose 50 ft brass", "杯", "")
_WIDTH, _UNUSED = 16, 40


def tokenizer(path: Path) -> TextTokenizer:
    """A WordPiece tokenizer of the shop's words and characters, with some tokens that none of its texts uses."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    words = sorted({word for text in (*PRODUCTS, *QUERIES) for word in text.split()})
    letters = sorted({letter for word in words for letter in word})
    unused = [f"zq{number:02}zq" for number in range(_UNUSED)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    tokens += [word for word in words if len(word) > 1] + unused
    vocabulary = {token: number for number, token in enumerate(tokens)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(tokens[:5])
    made.save(str(path))
    return TextTokenizer(path)


def start(folder: Path, size: Mapping[str, Any] | None = None) -> Path:
    """A saved cross-encoder of three layers for models to start from; ``size`` replaces sizes of its encoder."""
    folder.mkdir(parents=True)
    words = tokenizer(folder / "words.json")
    stated = {"width": _WIDTH, "layers": 3, "heads": 2, "feed_forward": 32, "positions": 64, **(size or {})}
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(vocab=words.vocab, **stated))
    with torch.no_grad():
        for name, value in encoder.named_parameters():
            if "norm" not in name:
                value.mul_(15)
    network = CrossEncoder(encoder, Cross(start=None, max_tokens=20))
    build.save(TextModel(network=network, tokenizer=words), folder)
    return folder


def configurations(folder: Path) -> dict[str, dict[str, Any]]:
    """Every kind of model that a pass may be given, by name."""
    cross = {"kind": "cross", "start": str(folder), "max_tokens": 20}
    static = {"kind": "static", "start": str(folder), "max_tokens": 12}
    reader = {"kind": "transformer", "start": str(folder), "max_tokens": 12}
    towers = {"kind": "towers", "width": 12, "hidden": 8, "query": static, "product": static}
    interaction = {**towers, "head": "interaction"}
    return {
        "cross": cross,
        "cross, first token": {**cross, "pooling": "first"},
        "static towers": towers,
        "static towers, interaction": interaction,
        "static towers, tokens shared": {**towers, "shared": "tokens"},
        "shared transformer towers, interaction": {**interaction, "query": reader, "product": reader, "shared": True},
        "joint": {"kind": "joint", "cross": cross, "towers": interaction},
    }


def model(stated: Mapping[str, Any], seed: int = 0) -> TextModel:
    """A model as configured whose every weight has some part in its scores."""
    made = build.create(TypeAdapter(build.Text).validate_python(stated), None, seed)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in made.network.named_parameters():
            if "importance" in name or "head" in name:
                value.add_(0.3 * torch.randn(value.shape, generator=draw))
    return _ready(made)


def _ready(made: TextModel) -> TextModel:
    index = LexicalIndex.build(PRODUCTS) if getattr(made.network, "lexical", 0) else None
    made.network.eval()
    return TextModel(network=made.network, tokenizer=made.tokenizer, lexical=index)


def pairs(given: TextModel) -> PairTexts:
    """Every query with every product."""
    query_N, product_N = (part.ravel() for part in np.indices((len(QUERIES), len(PRODUCTS))))
    index = None if given.lexical is None else given.lexical.others(PRODUCTS)
    lexical = None if index is None else index.pairs(QUERIES, query_N, product_N)
    return PairTexts(queries=QUERIES, products=PRODUCTS, query_N=query_N, product_N=product_N, lexical_NF=lexical)


def scores(given: TextModel, rows: int = 256) -> np.ndarray:
    """A model's scores of these pairs [N]."""
    return predict(given.network, given.network.feed(given.tokenizer, pairs(given)), rows=rows).logits


def calibration(folder: Path, seed: int = 0) -> Calibration:
    """What a pass may look at: these pairs with a teacher that counts the words they share, for one short epoch."""

    def examples(given: TextModel, most: int | None = None) -> Examples:
        every = pairs(given)
        chosen = np.sort(np.random.default_rng(seed).permutation(len(every))[:most])
        lexical = None if every.lexical_NF is None else every.lexical_NF[chosen]
        query_N, product_N = every.query_N[chosen], every.product_N[chosen]
        rows = replace(every, query_N=query_N, product_N=product_N, lexical_NF=lexical)
        shared = [len(set(q.split()) & set(p.split())) for q, p in zip(*rows.texts(np.arange(len(rows))), strict=True)]
        teacher = np.asarray(shared, np.float32)
        feed = given.network.feed(given.tokenizer, rows)
        return Examples(feed=feed, target_N=teacher.clip(0, 1), group_N=rows.query_N, teacher_N=teacher)

    def judge(given: TextModel) -> Any:
        own = examples(given)
        assert own.teacher_N is not None
        truth = own.teacher_N
        return lambda network: {"closeness": -float(np.square(predict(network, own.feed).logits - truth).mean())}

    return Calibration(
        examples=examples,
        objective=(Term(loss="score_mse"),),
        judge=judge,
        create=lambda wanted, assistant: _ready(build.create(wanted, assistant, seed)),
        texts=lambda: iter((*PRODUCTS, *QUERIES)),
        training=Training(epochs=1, batch_rows=12, learning_rate=1e-3),
        folder=folder,
        seed=seed,
    )


@dataclass(frozen=True, kw_only=True)
class PlainModel:
    """A network of linear layers alone, with nothing about texts: what generic passes must take too."""

    network: nn.Module


def linears(seed: int = 0) -> PlainModel:
    """Two hidden layers of 32 units."""
    torch.manual_seed(seed)
    layers = (nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    return PlainModel(network=nn.Sequential(*layers).eval())
