"""Encoders of other families give the outputs that transformers gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from shopstill.core.errors import ConfigError
from shopstill.models import pretrained
from shopstill.models.foreign import ForeignEncoder

transformers = pytest.importorskip("transformers")

_SMALL = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
_SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "cls_token_id": 1, "eos_token_id": 2, "sep_token_id": 2}


@pytest.fixture(params=["modernbert", "mpnet"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    settings = transformers.AutoConfig.for_model(request.param, **_SMALL, **_SPECIAL)
    torch.manual_seed(0)
    transformers.AutoModel.from_config(settings).save_pretrained(tmp_path)
    return tmp_path


def test_a_foreign_encoder_equals_transformers_own(folder: Path) -> None:
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    ours = pretrained.encoder(folder).eval()
    assert isinstance(ours, ForeignEncoder)
    ids = torch.randint(3, 60, (3, 7))
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[1, 5:] = False
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        found = ours(ids, mask)
        first = ours(ids, mask, first_only=True)
    torch.testing.assert_close(found[mask], expected[mask])
    torch.testing.assert_close(first, expected[:, :1])


def test_weights_of_another_architecture_are_refused(folder: Path) -> None:
    stated = json.loads((folder / "config.json").read_text())
    stated["num_hidden_layers"] = 3
    (folder / "config.json").write_text(json.dumps(stated))
    with pytest.raises(ConfigError, match=r"lacks|cannot build"):
        pretrained.encoder(folder)


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no-such-model", "hidden_size": 8}))
    with pytest.raises(ConfigError, match="no-such-model"):
        pretrained.encoder(tmp_path)
