"""A smaller vocabulary leaves every text of the shop as it was, whatever kind of tokenizer the model has."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from shopstill.compress import _tokens
from shopstill.compress.vocabulary import Vocabulary
from shopstill.core.errors import ConfigError
from shopstill.data.tokens import TextTokenizer
from shopstill.models import build
from shopstill.models.build import TextModel
from shopstill.models.cross import Cross, CrossEncoder
from shopstill.models.encoder import Encoder, EncoderConfig
from shopstill.testing import _pass_models

SHOP = [
    "Red Steel Mug 12 oz",
    "garden hose 50 ft brass nozzle",
    "不锈钢保温杯 500ml 红色",
    "кружка красная 350 мл",
    "mug 🧉 rosé",
    "",
    "3/4 in. x 2-1/2 in. screws (100-pack)",
]
OTHERS = ["harbour lights and steamers", "保温壶", "unknown colours of screwdrivers", "reddest steelworks", "ab" * 40]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def _wordpiece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(
        SHOP + OTHERS * 3, trainers.WordPieceTrainer(vocab_size=400, special_tokens=SPECIAL, show_progress=False)
    )
    made.post_processor = processors.BertProcessing(*((t, made.token_to_id(t)) for t in ("[SEP]", "[CLS]")))
    return made


def _unigram() -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.normalizer, made.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(SHOP + OTHERS * 3, trainer)
    ends = [(t, made.token_to_id(t)) for t in ("<s>", "</s>")]
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ends
    )
    made.add_special_tokens(["<mask>"])
    return made


def _byte_pairs() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    made.train_from_iterator(
        SHOP + OTHERS * 3,
        trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    ends = [(t, made.token_to_id(t)) for t in ("</s>", "<s>")]
    made.post_processor = processors.RobertaProcessing(*ends)
    return made


def _marked_pairs() -> Tokenizer:
    made = Tokenizer(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    made.normalizer, made.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        continuing_subword_prefix="##",
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    made.train_from_iterator(SHOP + OTHERS * 3, trainer)
    return made


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "wordpiece": _wordpiece,
    "unigram": _unigram,
    "byte-level pairs": _byte_pairs,
    "pairs with marks": _marked_pairs,
}


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> TextModel:
    """A cross-encoder with random weights and a tokenizer of each kind."""
    KINDS[request.param]().save(str(tmp_path / "tokenizer.json"))
    tokenizer = TextTokenizer(tmp_path / "tokenizer.json")
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(vocab=tokenizer.vocab, width=16, heads=2, feed_forward=16))
    with torch.no_grad():
        encoder.tokens.weight.mul_(30)
    return TextModel(network=CrossEncoder(encoder, Cross(start=None)).eval(), tokenizer=tokenizer)


def _pruned(model: TextModel, folder: Path, characters: Any = "all") -> TextModel:
    given = replace(_pass_models.calibration(folder), texts=lambda: iter(SHOP))
    return Vocabulary(characters=characters).apply(model, given)


def _tokens_of(tokenizer: TextTokenizer, text: str) -> list[str]:
    return list(Tokenizer.from_file(str(tokenizer.path)).encode(text, add_special_tokens=False).tokens)


def _scores(model: TextModel, texts: list[str]) -> np.ndarray:
    held = model.tokenizer.encode(texts)
    query_N, product_N = (part.ravel() for part in np.indices((len(texts), len(texts))))
    rows = model.tokenizer.pairs(held, held, query_N, product_N, 64)
    given = (torch.from_numpy(part).long() for part in (rows.rows.ids_S, rows.rows.length_N, rows.second_N))
    with torch.inference_mode():
        return np.asarray(model.network(*given).logits.numpy())


@pytest.mark.parametrize("characters", ["all", "used"])
def test_every_text_of_the_shop_has_the_tokens_and_scores_it_had(
    model: TextModel, characters: str, tmp_path: Path
) -> None:
    pruned = _pruned(model, tmp_path, characters)
    assert pruned.tokenizer.vocab < model.tokenizer.vocab
    assert pruned.network.encoder.tokens.num_embeddings == pruned.tokenizer.vocab
    for text in SHOP:
        assert _tokens_of(pruned.tokenizer, text) == _tokens_of(model.tokenizer, text)
    np.testing.assert_array_equal(_scores(pruned, SHOP), _scores(model, SHOP))


def test_saved_and_loaded_it_is_as_small(model: TextModel, tmp_path: Path) -> None:
    pruned = _pruned(model, tmp_path)
    build.save(pruned, tmp_path / "saved")
    loaded = build.load(tmp_path / "saved")
    assert loaded.tokenizer.vocab == loaded.network.size.vocab == pruned.tokenizer.vocab
    np.testing.assert_array_equal(_scores(loaded, SHOP), _scores(model, SHOP))


def test_words_of_tomorrow_are_spelt_from_what_is_left(model: TextModel, tmp_path: Path) -> None:
    pruned = _pruned(model, tmp_path)
    unknown = {"[UNK]", "<unk>"}
    for text in OTHERS:
        before, after = (_tokens_of(one.tokenizer, text) for one in (model, pruned))
        assert bool(unknown & set(after)) == bool(unknown & set(before)), (text, after)
    assert np.isfinite(_scores(pruned, OTHERS)).all()


def test_special_and_added_tokens_stay_and_have_their_new_numbers(model: TextModel, tmp_path: Path) -> None:
    pruned = _pruned(model, tmp_path)
    before, after = (Tokenizer.from_file(str(one.tokenizer.path)) for one in (model, pruned))
    added = {token.content for token in before.get_added_tokens_decoder().values()}
    assert {token.content for token in after.get_added_tokens_decoder().values()} == added
    one, other = (tokenizer.encode(SHOP[0], SHOP[2]) for tokenizer in (before, after))
    assert other.tokens == one.tokens
    assert [after.id_to_token(number) for number in other.ids] == [before.id_to_token(number) for number in one.ids]
    assert sorted(after.get_vocab().values()) == list(range(after.get_vocab_size()))


def test_a_second_time_nothing_is_left_to_take(model: TextModel, tmp_path: Path) -> None:
    pruned = _pruned(model, tmp_path)
    assert _pruned(pruned, tmp_path).tokenizer.vocab == pruned.tokenizer.vocab


def test_what_has_no_tokenizer_or_another_kind_is_refused(model: TextModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="vocabulary: this model has no tokenizer"):
        Vocabulary().apply(_pass_models.linears(), _pass_models.calibration(tmp_path))  # type: ignore[type-var]
    stated = json.loads(model.tokenizer.path.read_text(encoding="utf-8"))
    stated["model"]["type"] = "Other"
    odd = tmp_path / "odd.json"
    odd.write_text(json.dumps(stated), encoding="utf-8")
    tokenizer = object.__new__(TextTokenizer)
    tokenizer.path = odd
    with pytest.raises(ConfigError, match=r"odd\.json: model\.type 'Other' cannot be cut; allowed: WordPiece"):
        _tokens.read(tokenizer)
