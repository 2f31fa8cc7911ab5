"""Two towers as sentence-transformers' own folder: equal cosines from text, or a refusal with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.conftest import pairs

from shopstill.core.errors import ConfigError
from shopstill.data.tokens import TextTokenizer
from shopstill.export.hf import write_hf
from shopstill.export.parity import HOSTILE
from shopstill.models.build import TextModel
from shopstill.models.encoder import Encoder, EncoderConfig
from shopstill.models.foreign import ForeignEncoder
from shopstill.models.towers import Static, TokenTower, Towers, Transformer, TwoTowers
from shopstill.train.predict import predict

from .conftest import PRODUCTS, QUERIES

Make = Callable[..., TextModel]
TEXTS = [text.encode("utf-8", "replace").decode("utf-8") for text in HOSTILE]


def _reads(folder: Path) -> Any:
    reason = "sentence-transformers is not installed: pip install 'shopstill[bench]'"
    return pytest.importorskip("sentence_transformers", reason=reason).SentenceTransformer(str(folder), device="cpu")


def _cosines(model: TextModel) -> np.ndarray:
    """[queries, products] as the model has them."""
    texts = pairs(model)
    scores = predict(model.network, model.network.feed(model.tokenizer, texts)).logits
    network = model.network
    assert isinstance(network, TwoTowers)
    return (scores.reshape(len(QUERIES), -1) - network.bias.item()) / network.scale.item()


def _towers(make: Make, body: Callable[[], Any], shared: bool, **limits: int) -> TextModel:
    """Towers with a body of one's own on a model's tokenizer, every weight with some part in its scores."""
    torch.manual_seed(0)
    kinds = {side: Transformer(start=None, max_tokens=limits.get(side, 12)) for side in ("query", "product")}
    config = Towers(width=8, shared=shared, **kinds)
    query = TokenTower(body(), 8)
    product = query if shared else TokenTower(body(), 8)
    network = TwoTowers(query, product, config, 0).eval()
    for name, value in network.named_parameters():
        if value.ndim and "norm" not in name.lower():
            torch.nn.init.normal_(value, std=0.5)
    return replace(make("static towers"), network=network)


def _own(**sizes: int) -> Encoder:
    return Encoder(
        EncoderConfig(**{"vocab": 400, "width": 16, "heads": 2, "feed_forward": 24, "positions": 40, **sizes})
    )


def _foreign() -> ForeignEncoder:
    size = {"vocab_size": 400, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return ForeignEncoder({"model_type": "mpnet", **size, "intermediate_size": 24, "pad_token_id": 0})


def _mixed(make: Make) -> TextModel:
    """A static query tower beside a transformer for products, as found among the kinds, with the dot head."""
    static, reader = make("static towers").network.query, make("transformer towers").network.product
    config = Towers(width=8, query=Static(max_tokens=9), product=Transformer(max_tokens=12))
    return replace(make("static towers"), network=TwoTowers(static, reader, config, 0).eval())


MADE: dict[str, Callable[[Make], TextModel]] = {
    "static": lambda make: make("static towers"),
    "static, shared": lambda make: make("shared static towers"),
    "static, tokens shared": lambda make: make("static towers, tokens shared"),
    "transformers": lambda make: make("transformer towers"),
    "static and transformer": _mixed,
    "shared, one limit": lambda make: _towers(make, _own, shared=True),
    "shared, two limits": lambda make: _towers(make, _own, shared=True, query=8),
    "positions behind padding": lambda make: _towers(make, lambda: _own(first_position=1, segments=1), shared=True),
    "another family": lambda make: _towers(make, _foreign, shared=False),
}


@pytest.mark.parametrize("kind", MADE)
def test_the_library_gives_equal_cosines_from_text(kind: str, make: Make, tmp_path: Path) -> None:
    model = MADE[kind](make)
    read = _reads(write_hf(model, tmp_path / "towers"))
    found = read.similarity(read.encode_query(QUERIES), read.encode_document(PRODUCTS)).numpy()
    expected = _cosines(model)
    assert np.ptp(expected) > 0.01, "the cosines tell nothing apart"
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["static", "transformers"])
def test_texts_that_are_hard_to_read_are_encoded_alike(kind: str, make: Make, tmp_path: Path) -> None:
    model = MADE[kind](make)
    network, tokenizer = model.network, model.tokenizer
    rows = tokenizer.singles(tokenizer.encode(TEXTS), np.arange(len(TEXTS)), network.config.product.max_tokens)
    with torch.no_grad():
        ids, length = torch.from_numpy(rows.ids_S).long(), torch.from_numpy(rows.length_N).long()
        expected = network.product.pool(ids, length).numpy()
    found = _reads(write_hf(model, tmp_path / "towers")).encode_document(TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_tower_for_both_sides_needs_no_side_named(make: Make, tmp_path: Path) -> None:
    for kind in ("static, shared", "shared, one limit"):
        read = _reads(write_hf(MADE[kind](make), tmp_path / kind))
        np.testing.assert_array_equal(read.encode(PRODUCTS), read.encode_document(PRODUCTS))


def test_a_text_whose_side_is_not_named_is_refused_by_towers_that_differ(make: Make, tmp_path: Path) -> None:
    read = _reads(write_hf(MADE["static"](make), tmp_path / "towers"))
    with pytest.raises(ValueError, match=r"query|route"):
        read.encode(PRODUCTS)


def test_a_score_that_falls_with_the_cosine_is_refused(make: Make, tmp_path: Path) -> None:
    model = make("static towers", seed=1)
    with torch.no_grad():
        model.network.scale.fill_(-2)
    with pytest.raises(ConfigError, match=r"falls as the cosine rises .* is -2"):
        write_hf(model, tmp_path / "towers")
    assert not list(tmp_path.iterdir())


def test_a_tokenizer_that_the_library_reads_otherwise_is_refused(make: Make, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, processors

    made = make("transformer towers")
    other = Tokenizer.from_file(str(made.tokenizer.path))
    other.post_processor = processors.ByteLevel()
    other.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match=r"no module for how tokenizer\.json reads the text"):
        write_hf(replace(made, tokenizer=TextTokenizer(tmp_path / "tokenizer.json")), tmp_path / "towers")
