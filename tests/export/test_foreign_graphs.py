"""Encoders of other families export as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shopstill.export.bundle import About, write_bundle
from shopstill.models.build import TextModel
from shopstill.models.cross import Cross, CrossEncoder
from shopstill.models.foreign import ForeignEncoder
from shopstill.serve.bundle.load import load_bundle

from .conftest import ROWS

pytest.importorskip("transformers")

_SMALL = {
    "vocab_size": 400,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "cls_token_id": 2,
    "eos_token_id": 3,
    "sep_token_id": 3,
}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["modernbert", "mpnet"])
def test_an_encoder_of_another_family_is_exported(family: str, make: Callable[..., TextModel], tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = ForeignEncoder({"model_type": family, **_SMALL})
    for value in encoder.parameters():
        if value.ndim == 2:  # the norms stay at one: scaled down, they would hide the texts
            torch.nn.init.normal_(value, std=0.3)
    network = CrossEncoder(encoder, Cross(max_tokens=20)).eval()
    model = replace(make("cross, both sides"), network=network)
    bundle = load_bundle(write_bundle(model, tmp_path / "bundle", about=About(name=family), rows=ROWS))
    found = bundle.score([(query, product) for query in ROWS.queries for product in ROWS.products])
    assert len(np.unique(found.round(3))) > len(ROWS.products)
    assert bundle.manifest.parity["difference"] < 1e-5
