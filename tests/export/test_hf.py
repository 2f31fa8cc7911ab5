"""A cross-encoder as transformers' own folder: equal logits from text, or a refusal with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.models.conftest import pairs

from shopstill.core.errors import ConfigError
from shopstill.export.hf import write_hf
from shopstill.models.build import TextModel
from shopstill.models.cross import Cross, CrossEncoder
from shopstill.models.encoder import Encoder, EncoderConfig, LayerSize
from shopstill.train.predict import predict

transformers = pytest.importorskip("transformers")
Make = Callable[..., TextModel]


def test_transformers_reads_the_folder_and_gives_equal_logits_from_text(make: Make, tmp_path: Path) -> None:
    model = make("cross, first token")
    folder = write_hf(model, tmp_path / "hf", labels=("relevance",))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = pairs(model)
    queries, products = rows.texts(range(len(rows)))
    inputs = tokenizer(queries, products, padding=True, truncation="only_second", return_tensors="pt")
    with torch.no_grad():
        found = network(**inputs).logits.squeeze(-1).numpy()
    expected = predict(model.network, model.network.feed(model.tokenizer, rows)).logits
    short = (inputs["attention_mask"].sum(1) < model.network.config.max_tokens).numpy()
    assert short.sum() > len(rows) / 2
    torch.testing.assert_close(torch.tensor(found[short]), torch.tensor(expected[short]), atol=1e-5, rtol=0)
    assert network.config.id2label == {0: "relevance"}


def _cross(make: Make, config: Cross, **sizes: object) -> TextModel:
    size = EncoderConfig(**{"vocab": 400, "width": 16, "heads": 2, "feed_forward": 24, "positions": 40, **sizes})
    torch.manual_seed(0)
    return replace(make("cross, first token"), network=CrossEncoder(Encoder(size), config).eval())


def test_positions_that_begin_behind_padding_make_a_roberta(make: Make, tmp_path: Path) -> None:
    model = _cross(make, Cross(pooling="first", outputs=3, max_tokens=20), first_position=2, segments=1)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(write_hf(model, tmp_path / "hf")).eval()
    assert network.config.model_type == "roberta"
    ids, length = torch.randint(3, 400, (3, 9)), torch.tensor([9, 9, 9])
    with torch.no_grad():
        found = network(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        expected = model.network(ids.flatten(), length, torch.tensor([4, 4, 4])).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["joint", "static towers, interaction", "cross, both sides"])
def test_what_no_library_has_a_class_for_is_refused(kind: str, make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"transformers has no (class|module) for .* export it as a bundle"):
        write_hf(make(kind), tmp_path / "hf")
    assert not list(tmp_path.iterdir())


def test_layers_of_different_sizes_are_refused(make: Make, tmp_path: Path) -> None:
    each = tuple(LayerSize(heads=heads, head_width=8, feed_forward=24) for heads in (2, 1))
    with pytest.raises(ConfigError, match="different sizes"):
        write_hf(_cross(make, Cross(pooling="first", max_tokens=20), each=each), tmp_path / "hf")
